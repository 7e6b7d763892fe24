"""What comes out: the result as an ``xarray.Dataset`` and what is made of it."""
