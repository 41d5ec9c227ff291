"""Spec -> Problem: the mathematics, well formed or refused with every reason. No array library."""
