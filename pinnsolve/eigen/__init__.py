"""Eigenvalues: for which numbers a homogeneous linear problem has solutions other than zero."""
