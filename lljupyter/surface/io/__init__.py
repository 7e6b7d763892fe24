"""Surfaces on disk: netCDF with the whole recipe, the authors' .h5, and meshes for ParaView."""
