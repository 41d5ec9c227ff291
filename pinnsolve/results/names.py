"""The names of the files of a run folder."""

RESULT_FILE, SOLUTION_FILE, PROBLEM_FILE, HISTORY_FILE = "result.json", "solution.npz", "problem.yaml", "history.jsonl"
CHECKPOINTS, ABOUT_FILE = "checkpoints", "about.json"
