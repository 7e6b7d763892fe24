"""Points to values: the plain loop, and what is faster."""
