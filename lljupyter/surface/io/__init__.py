"""Surfaces in files."""
