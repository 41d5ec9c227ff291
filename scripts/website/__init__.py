"""The pages of the documentation site that are made from the code, the problems and their records."""
