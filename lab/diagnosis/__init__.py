"""Every cause that can be produced here, on every path, and what the doctor makes of it."""
