"""Twin Relay as a function app: which functions it has follows from its settings."""

from __future__ import annotations

import azure.functions as func

from relay.app import from_environment
from relay.triggers import blueprint

app = func.FunctionApp()
app.register_functions(blueprint(from_environment()))
