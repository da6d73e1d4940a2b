"""The relay's own app, looked at while it works."""

from __future__ import annotations

import sys
from pathlib import Path

import azure.functions as func

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import sampling
from relay.app import from_environment
from relay.triggers import blueprint

app = func.FunctionApp()
app.register_functions(blueprint(from_environment()))
sampling.start()
