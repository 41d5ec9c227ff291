"""Many solves of one problem file: the values to take, the processes that solve, the table of what came out."""
