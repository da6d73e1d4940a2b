"""One app too many."""

from __future__ import annotations

import azure.functions as func

app = func.FunctionApp()
other = func.FunctionApp()
