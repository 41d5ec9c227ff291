"""How wrong a solution may be, and how wrong it is where the truth is known."""
