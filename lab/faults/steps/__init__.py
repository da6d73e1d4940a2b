"""What cases are made of: the ways in which things go wrong, and right again."""
