"""How fast, against whom, how near the limit; `make bench`."""
