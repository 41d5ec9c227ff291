"""The domain of a solution that was stored: the problem file in its run folder, read once more.

Input: the text of the problem file and its folder. Output: a shape tree, which so needs no form of its own on disk.
"""

from __future__ import annotations

from pathlib import Path

from pinnsolve.geometry.shape_tree import ShapeTree
from pinnsolve.problem import build_problem
from pinnsolve.spec import spec_from_dict
from pinnsolve.yaml_loader import parse_yaml

_NEEDED = ("name", "coordinates", "domain", "time", "unknowns", "parameters", "definitions")


def shape_of_text(text: str, folder: Path) -> ShapeTree | None:
    """The shape of the domain, None for a box. Raises `ProblemError`.

    Nothing else is looked at: what holds on the domain may need operators and files that are not at hand.
    """
    data = parse_yaml(text).data if text.strip() else {}
    if "domain" not in data:
        return None
    kept = {key: data[key] for key in _NEEDED if key in data}
    unknown = kept["unknowns"] if isinstance(kept["unknowns"], str) else kept["unknowns"][0]
    return build_problem(spec_from_dict({**kept, "equations": {"any": f"{unknown} = 0"}}, folder)).shape
