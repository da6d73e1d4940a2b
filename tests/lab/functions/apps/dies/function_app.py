"""An app that ends its process while it is imported."""

from __future__ import annotations

import os

print("about to die", flush=True)  # noqa: T201 - its last words
os._exit(7)
