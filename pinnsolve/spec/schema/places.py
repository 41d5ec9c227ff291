"""Where unknowns live, as a problem file says it: regions by name, and the region of each unknown.

Input: plain values. Output: validated models. No sympy.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationInfo, WrapValidator, model_validator
from pydantic import WithJsonSchema as Json

from pinnsolve.spec.schema.shapes import ShapeInput, too_large
from pinnsolve.spec.schema.types import Strict, Text, Texts, about, choice, one_or_several, refuse


class ComparisonInput(Strict):
    """A region by comparisons of the coordinates."""

    where: Text = about('What holds inside: `"x < 0.5 and y > 0"`.', ...)


def _region(value: Any, handler: Any, info: ValidationInfo) -> ShapeInput | ComparisonInput:
    if words := too_large(value):
        raise refuse(words)
    if isinstance(value, dict) and "where" in value:
        return ComparisonInput.model_validate(value, context=info.context)
    return ShapeInput.model_validate(value, context=info.context)


RegionItem = Annotated[ShapeInput | ComparisonInput, WrapValidator(_region)]


class UnknownInput(Strict):
    """An unknown function: whether it is complex, and the part of the domain that it lives in."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    within: Texts | None = Field(
        None, alias="in", description="The region that it lives in, one of `regions` or a group of cells, or several."
    )
    where: Text | None = about('That part by comparisons of the coordinates: `"x < 0.5"`.')
    values: choice("real", "complex", "vector") = about("What its values are.", "real")
    of: Texts | None = about(
        "Of an unknown function of the state, which data determine: the one or two unknowns, coordinates or names that "
        "it is a function of. In equations it is called as `f(u)`; `f` alone is the function of these."
    )
    positive: bool = about("Whether a function of the state is nowhere negative.", False)
    monotone: choice("increasing", "decreasing") | None = about("Whether a function of the state is monotone.")

    @model_validator(mode="after")
    def _check(self) -> UnknownInput:
        if self.of is not None:
            return self._checked_function()
        if self.positive or self.monotone:
            message = "`positive` and `monotone` are said of functions of the state"
            raise refuse(message, "give what it is a function `of`")
        if self.within is not None and self.where is not None:
            raise refuse("both `in` and `where` are given", "an unknown lives in one place")
        return self

    def _checked_function(self) -> UnknownInput:
        if self.within is not None or self.where is not None or self.values != "real":
            raise refuse("a function of the state is real, and lives wherever equations call it")
        if len(self.of) not in (1, 2) or len(set(self.of)) < len(self.of):
            raise refuse("a function of the state has one or two arguments, each named once")
        if self.monotone and len(self.of) > 1:
            raise refuse("a monotone function is one of one argument")
        return self


def _unknown(value: Any, handler: Any) -> UnknownInput:
    """`complex` stands for a map that says so."""
    if value is None or isinstance(value, str):
        return handler({} if value is None else {"values": value})
    return handler(value)


UnknownItem = Annotated[UnknownInput, WrapValidator(_unknown)]


def _unknowns(value: Any, handler: Any) -> dict[str, UnknownInput]:
    """A map from the name of each unknown to what it is; a name or a list of names is one of real ones."""
    if isinstance(value, dict):
        if not value:
            raise refuse("there are no unknowns")
        return handler(value)
    return handler(dict.fromkeys(_NAMES.validate_python(value)))


_NAMES: TypeAdapter[tuple[str, ...]] = TypeAdapter(Texts)
_STRINGS = one_or_several({"type": "string"})
_UNKNOWN = {
    "anyOf": [
        {"enum": ["real", "complex", "vector"]},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "in": _STRINGS,
                "where": {"type": "string"},
                "values": {"enum": ["real", "complex", "vector"]},
                "of": _STRINGS,
                "positive": {"type": "boolean"},
                "monotone": {"enum": ["increasing", "decreasing"]},
            },
        },
    ]
}
Unknowns = Annotated[
    dict[str, UnknownItem],
    WrapValidator(_unknowns),
    Json({"anyOf": [
        *_STRINGS["anyOf"],
        {"type": "object", "additionalProperties": _UNKNOWN, "minProperties": 1},
    ]}),
]  # fmt: skip
