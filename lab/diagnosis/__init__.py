"""Every cause that can be produced here, against every path, and what the doctor makes of it."""
