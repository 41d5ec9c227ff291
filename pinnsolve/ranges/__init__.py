"""Solutions as functions of ranges of parameters: members at chosen points of the range, and their interpolation."""
