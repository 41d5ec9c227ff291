"""What people see of a run: the terminal, exports, checks."""
