"""`python -m relay`: what an operator does by hand."""

from __future__ import annotations

from relay.operations.cli import app

if __name__ == "__main__":
    app()
