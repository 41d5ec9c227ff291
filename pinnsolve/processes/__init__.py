"""Other processes: those that share a solve, and those that solve beside this one."""
