"""The kinds of values a problem file holds: numbers that may be expressions, counts, names, lists of texts.

Input: plain values of YAML or Python. Output: the same values normalized, for the models in `schema`. Each type carries
the JSON Schema of the *forms it accepts*, for editors. Numbers are evaluated with the parameters of the file, which
pydantic passes along as the validation context. No sympy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pinnsolve.errors import ExpressionError
from pinnsolve.language.constants import Value
from pinnsolve.language.parsed_texts import ParsedTexts
from pinnsolve.language.syntax import MAX_LENGTH
from pinnsolve.language.vocabulary import close_match

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
TERM_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_ -]{0,58}[A-Za-z0-9_-])?")
PROBLEM_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_ .+-]{0,78}[A-Za-z0-9_+-])?")
MAX_COUNT = 10**9
MAX_ITEMS = 200  # of one list or map


@dataclass(frozen=True)
class Context:
    """The values of the parameters, which numbers may refer to.

    `reliable` is false when some of them are wrong already; `texts` are those of the file that are parsed already.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    reliable: bool = True
    texts: ParsedTexts = field(default_factory=ParsedTexts)


def refuse(message: str, hint: str | None = None, offset: int | None = None, text: str | None = None) -> Exception:
    """An error for pydantic to collect, with what a `Diagnostic` needs."""
    details = {"message": message, "hint": hint, "offset": offset, "text": text}
    return PydanticCustomError("problem", "{message}", details)


def shown(value: Any) -> str:
    """A value as a message shows it, cut to a reasonable length."""
    words = {bool: str(value).lower(), type(None): "nothing", dict: "a map", list: "a list"}
    text = words.get(type(value)) or f"`{value}`"
    return text if len(text) <= 60 else text[:56] + "...`"


# -- numbers ----------------------------------------------------------------------------------------------


def evaluated(value: Any, info: ValidationInfo) -> float:
    """The number that a value stands for. Raises what pydantic collects."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise refuse(f"a number is expected, not {shown(value)}", "a number, or an expression such as `2*pi`")
    context = info.context or Context()
    try:
        return float(context.texts.value(value, context.values))
    except ExpressionError as error:
        text = str(value)
        raise refuse(error.message, error.hint, error.offset, text if error.offset or len(text) > 1 else None) from None


def complex_number(value: str, info: ValidationInfo) -> complex:
    """The number that a text such as `1 + 2*i` stands for. Raises what pydantic collects."""
    context = info.context or Context()
    try:
        return context.texts.complex_value(value, context.values)
    except ExpressionError as error:
        raise refuse(error.message, error.hint, error.offset, value) from None


def _number(value: Any, info: ValidationInfo) -> Any:
    evaluated(value, info)
    return value


def _at_least(least: float, strict: bool = False) -> Callable[[Any, ValidationInfo], float]:
    def check(value: Any, info: ValidationInfo) -> float:
        number = evaluated(value, info)
        if number < least or (strict and number == least):
            wanted = "a positive number" if strict else f"a number of at least {least:g}"
            raise refuse(f"{wanted} is expected, not {shown(value)}")
        return number

    return check


def whole(least: int) -> Callable[[Any, ValidationInfo], int]:
    """A validator of whole numbers, which may be written as constant expressions."""

    def check(value: Any, info: ValidationInfo) -> int:
        number = evaluated(value, info)
        if number != int(number) or number < least:
            wanted = "positive whole number" if least == 1 else f"whole number of at least {least}"
            raise refuse(f"a {wanted} is expected, not {shown(value)}")
        if number > MAX_COUNT:
            raise refuse(f"{shown(value)} is too large: at most {MAX_COUNT}")
        return int(number)

    return check


def _expression_or(kind: str, **limits: Any) -> dict[str, Any]:
    return {"anyOf": [{"type": kind, **limits}, {"type": "string", "description": "a constant expression"}]}


Number = Annotated[int | float | str, PlainValidator(_number), WithJsonSchema(_expression_or("number"))]
positive = _at_least(0, strict=True)
POSITIVE_SCHEMA = _expression_or("number", exclusiveMinimum=0)
PositiveNumber = Annotated[float, PlainValidator(positive), WithJsonSchema(POSITIVE_SCHEMA)]
Count = Annotated[int, PlainValidator(whole(1)), WithJsonSchema(_expression_or("integer", minimum=1))]
CountOrZero = Annotated[int, PlainValidator(whole(0)), WithJsonSchema(_expression_or("integer", minimum=0))]


def _interval(value: Any, info: ValidationInfo) -> tuple[Any, Any]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise refuse(f"an interval is expected, not {shown(value)}", "write it as `[0, 1]`")
    low, high = (evaluated(end, info) for end in value)
    reliable = info.context is None or info.context.reliable
    if low >= high and reliable:
        raise refuse(f"the interval is empty: {value[0]} is not below {value[1]}")
    return (value[0], value[1])


INTERVAL_SCHEMA = {"type": "array", "items": _expression_or("number"), "minItems": 2, "maxItems": 2}
Interval = Annotated[
    tuple[int | float | str, int | float | str], PlainValidator(_interval), WithJsonSchema(INTERVAL_SCHEMA)
]

# -- texts ------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise refuse(f"a text is expected, not {shown(value)}", "put it in quotes" if value is not None else None)
    if len(value) > MAX_LENGTH:
        raise refuse(f"the text is too long: {len(value)} characters, at most {MAX_LENGTH}")
    return value


def _expression(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise refuse(
            f"an expression is expected, not {shown(value)}", "an expression with `[`, `{` or `: ` needs quotes"
        )
    return _text(str(value))


def _equation(value: Any) -> str:
    if not isinstance(value, str):
        hint = 'write a text such as "u = 0"; several belong in a list under `equations`'
        raise refuse(f"an equation is expected, not {shown(value)}", hint)
    return _text(value)


def _problem_name(value: Any) -> str:
    text = _text(value)
    if not PROBLEM_NAME.fullmatch(text):
        raise refuse(
            f"{shown(text)} is no name", "letters, digits and `_ - + .` within, at most 80: it names the run folder"
        )
    return text


def _listed(value: Any) -> Any:
    """One or several: a list either way."""
    if isinstance(value, list | tuple):
        if not value:
            raise refuse("the list is empty")
        if len(value) > MAX_ITEMS:
            raise refuse(f"the list is too long: at most {MAX_ITEMS}")
        return tuple(value)
    return (value,)


def one_or_several(item: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an item or a list of such."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


_STRING = {"type": "string"}
_NUMBER_OR_STRING = {"anyOf": [{"type": "string"}, {"type": "number"}]}
Text = Annotated[str, PlainValidator(_text), WithJsonSchema(_STRING)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed), WithJsonSchema(one_or_several(_STRING))]
Expression = Annotated[str, PlainValidator(_expression), WithJsonSchema(_NUMBER_OR_STRING)]
Expressions = Annotated[
    tuple[Expression, ...], BeforeValidator(_listed), WithJsonSchema(one_or_several(_NUMBER_OR_STRING))
]
Equation = Annotated[str, PlainValidator(_equation), WithJsonSchema(_STRING)]
Equations = Annotated[tuple[Equation, ...], BeforeValidator(_listed), WithJsonSchema(one_or_several(_STRING))]
ProblemName = Annotated[
    str, PlainValidator(_problem_name), WithJsonSchema({"type": "string", "pattern": f"^{PROBLEM_NAME.pattern}$"})
]

_POINT = {"type": "object", "additionalProperties": _expression_or("number"), "minProperties": 1}
Points = Annotated[
    tuple[Annotated[dict[str, Number], BeforeValidator(lambda v: _map(v, "a point such as `{x: 0, y: 0}`"))], ...],
    BeforeValidator(_listed),
    WithJsonSchema(one_or_several(_POINT)),
]


def _map(value: Any, what: str) -> dict:
    if not isinstance(value, dict):
        raise refuse(f"{what} is expected, not {shown(value)}")
    if not value:
        raise refuse(f"{what} is expected, not an empty map")
    return value


# -- choices ----------------------------------------------------------------------------------------------


def choice(*words: str, later: tuple[str, ...] = ()) -> Any:
    """One of some words; those `later` are in the language and not built yet."""

    def check(value: Any) -> str:
        if isinstance(value, str) and value in words:
            return value
        known = ", ".join(words)
        if isinstance(value, str) and value in later:
            raise refuse(f"`{value}` is not supported yet", f"there are {known}")
        close = close_match(str(value), words) if isinstance(value, str) else None
        raise refuse(f"{shown(value)} is not one of {known}", f"did you mean `{close}`?" if close else None)

    return Annotated[str, PlainValidator(check), WithJsonSchema({"enum": list(words)})]


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise refuse(f"`true` or `false` is expected, not {shown(value)}")


Flag = Annotated[bool, PlainValidator(_flag), WithJsonSchema({"type": "boolean"})]


# -- models -----------------------------------------------------------------------------------------------


class Strict(BaseModel):
    """Unknown keys are errors, values do not change; a key without a value counts as left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        raise refuse(f"a map is expected here, not {shown(value)}", f"its keys are {', '.join(cls.keys())}")

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """As they are written in files: `in` is no name in Python."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())


def about(description: str, default: Any = None) -> Any:
    """A field with its description; one without a default says so by `...`."""
    return Field(default, description=description)
