"""The shape of a problem file: its sections, keys and the types of their values."""
