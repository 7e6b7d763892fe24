"""Hessian-vector products taken layer by layer."""
