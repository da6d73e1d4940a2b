"""One target under Atheris, which looks for inputs that reach new code.

`python tests/fuzz/guided.py <target> <options of libFuzzer>`; it ends the process.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["relay"]):
    from tests.fuzz.targets import TARGETS

target = TARGETS[sys.argv[1]]
atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
atheris.Fuzz()
