"""Output for people and other programs: the terminal, reports, exports, checks."""
