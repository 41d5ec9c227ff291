"""What lies on disk: YAML, CSV and mesh files read and written. No mathematics."""
