"""Shapes, the parts of the domain where terms hold (`regions`, no array library), and points on them (`sampling`)."""
