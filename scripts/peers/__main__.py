"""One peer on one problem: the process that `run_peer` starts."""

from __future__ import annotations

import importlib
import json
import resource
import sys

from peers.stated import Judge, NotStated, state_problem


def main() -> int:
    peer, name, budget = sys.argv[1], sys.argv[2], float(sys.argv[3])
    solver = importlib.import_module(f"peers.{peer}_peer")
    try:
        stated = state_problem(name)
        judge = Judge(stated)
        how = solver.solve(stated, budget, judge)
    except NotStated as reason:
        print(json.dumps({"message": str(reason)}))
        return 0
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"points": judge.points, "memory_mb": memory, "message": how}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
