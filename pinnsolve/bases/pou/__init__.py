"""Partitions of unity times polynomials."""
