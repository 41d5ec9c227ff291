"""Refinement: growing bases, cells and degrees, slabs in time, until the estimated error meets the tolerance."""
