"""Unknown parameters and functions found from data, with their uncertainty."""
