"""Numbered events through a deployment, and whether all of them arrive in order."""
