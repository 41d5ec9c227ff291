"""What `parameters` holds by name: a number, or a range of numbers. No sympy."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ValidationInfo, WrapValidator, model_validator

from pinnsolve.spec.schema.types import Interval, Number, Strict, about, choice, evaluated, refuse

Spacing = choice("auto", "linear", "log")


class RangeInput(Strict):
    """All values of a parameter in a range: the solution is a function of it, too."""

    range: Interval = about("Least and greatest value.", ...)
    spacing: Spacing = about(
        "`linear`, or `log` for positive values whose ratio matters: points are spaced by their logarithm then; "
        "`auto` is `log` where both ends are positive and the upper is at least five times the lower.",
        "auto",
    )

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> RangeInput:
        if self.spacing == "log" and evaluated(self.range[0], info) <= 0:
            raise refuse("a range spaced by the logarithm has positive ends", "leave `spacing` out, or mend the range")
        return self


def _parameter(value: Any, handler: Any, info: ValidationInfo) -> Any:
    """A map is a range; anything else a number."""
    if isinstance(value, dict):
        return RangeInput.model_validate(value, context=info.context)
    evaluated(value, info)
    return value


Parameter = Annotated[RangeInput | Number, WrapValidator(_parameter)]
