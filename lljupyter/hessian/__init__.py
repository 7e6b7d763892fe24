"""Hessian-vector products and extreme eigenvalues."""
