"""What `output` of a problem file holds: the times and the grid of tables, exports and figures. No sympy."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainValidator, ValidationInfo, WrapValidator
from pydantic import WithJsonSchema as Json

from pinnsolve.spec.schema.types import MAX_ITEMS, Number, Strict, about, refuse, shown, whole

LEAST = 2  # an axis has two ends
_NUMBER = {"anyOf": [{"type": "number"}, {"type": "string", "description": "a constant expression"}]}
_COUNT = {"anyOf": [{"type": "integer", "minimum": LEAST}, {"type": "string", "description": "a constant expression"}]}
AxisCount = Annotated[int, PlainValidator(whole(LEAST)), Json(_COUNT)]


def _times(value: Any, handler: Any, info: ValidationInfo) -> Any:
    if isinstance(value, dict):
        raise refuse(f"how many times, or a list of them, is expected, not {shown(value)}", "`times: [0, 0.5, 1]`")
    if not isinstance(value, list | tuple):
        return whole(LEAST)(value, info)
    if not value:
        raise refuse("the list of times is empty")
    if len(value) > MAX_ITEMS:
        raise refuse(f"the list of times is too long: at most {MAX_ITEMS}", "a number stands for as many even times")
    return handler(tuple(value))


def _grid(value: Any, handler: Any, info: ValidationInfo) -> Any:
    if isinstance(value, list | tuple) or value == {}:
        raise refuse(f"points per axis are expected, not {shown(value)}", "`grid: 64`, or `grid: {x: 64, y: 32}`")
    return handler(value) if isinstance(value, dict) else whole(LEAST)(value, info)


Times = Annotated[
    tuple[Number, ...],
    WrapValidator(_times),
    Json({"anyOf": [*_COUNT["anyOf"], {"type": "array", "items": _NUMBER, "minItems": 1, "maxItems": MAX_ITEMS}]}),
]
Grid = Annotated[
    dict[str, AxisCount],
    WrapValidator(_grid),
    Json({"anyOf": [*_COUNT["anyOf"], {"type": "object", "additionalProperties": _COUNT, "minProperties": 1}]}),
]


class OutputInput(Strict):
    """Where the solution is written and shown."""

    times: Times | None = about(
        "The times: a list, or how many at equal distances, both ends included. Exports have 51 without it."
    )
    grid: Grid | None = about(
        "Points per axis of space, and of a range of a parameter, both ends included: a number for all, or by "
        "coordinate, `{x: 64, y: 32}`. Without it 100, and 40 where there are three axes or more."
    )
