"""The Functions host of the lab: the real worker library in a child process, driven by us."""
