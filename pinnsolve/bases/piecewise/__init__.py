"""Polynomials on cells: the partition, the cells that a boundary cuts, the functions on them."""
