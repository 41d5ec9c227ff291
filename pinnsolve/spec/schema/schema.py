"""The shape of a problem file, as pydantic models: which keys there are, what each holds, and what it means.

Input: the plain values of a file. Output: validated models, or every error at once. The descriptions here are the
reference of the language: `pinnsolve schema` publishes them for editors, and `docs/problem-file.md` is made from
them. What expressions say is checked elsewhere (`spec.file_reader`). No sympy.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    PlainValidator,
    ValidationInfo,
    WrapValidator,
    model_validator,
)
from pydantic import WithJsonSchema as Json

from pinnsolve.language.systems import SYSTEMS
from pinnsolve.language.vocabulary import IMAGINARY_UNIT
from pinnsolve.spec.schema.output import OutputInput
from pinnsolve.spec.schema.places import RegionItem, Unknowns
from pinnsolve.spec.schema.ranges import Parameter
from pinnsolve.spec.schema.shapes import ShapeInput, too_large
from pinnsolve.spec.schema.solve import SolveSettings
from pinnsolve.spec.schema.types import (
    INTERVAL_SCHEMA,
    MAX_ITEMS,
    Context,
    Count,
    Equation,
    Equations,
    Expression,
    Expressions,
    Flag,
    Interval,
    Number,
    Points,
    PositiveNumber,
    ProblemName,
    Strict,
    Text,
    Texts,
    about,
    choice,
    complex_number,
    evaluated,
    refuse,
    shown,
    whole,
)

Loss = choice("squares", "huber")
_STRING = {"type": "string"}
_NUMBER_OR_STRING = {"anyOf": [_STRING, {"type": "number"}]}


# -- terms ------------------------------------------------------------------------------------------------


def _seminorm(value: Any, info: ValidationInfo) -> int | str:
    if value == TOTAL_VARIATION:
        return value
    number = whole(1)(value, info)
    if number > MOST_SMOOTH:
        raise refuse(
            f"derivatives beyond order {MOST_SMOOTH} are not supported",
            f"1 to 4, 3 as a rule; or `{TOTAL_VARIATION}` of a function that jumps",
        )
    return number


def _smoothness_weight(value: Any, info: ValidationInfo) -> float | str:
    if value in WEIGHT_CHOICES:
        return value
    word = isinstance(value, str) and value.isidentifier() and value not in (info.context or Context()).values
    if word or evaluated(value, info) <= 0:
        raise refuse(f"a positive number or {' or '.join(WEIGHT_CHOICES)} is expected, not {shown(value)}")
    return evaluated(value, info)


MOST_SMOOTH = 4
TOTAL_VARIATION = "total_variation"  # the seminorm of functions that jump
WEIGHT_CHOICES = ("auto", "gcv", "discrepancy")
Seminorm = Annotated[
    int | str,
    PlainValidator(_seminorm),
    Json({"anyOf": [{"const": TOTAL_VARIATION}, {"type": "integer", "minimum": 1, "maximum": MOST_SMOOTH}]}),
]
SmoothnessWeight = Annotated[
    float | str,
    PlainValidator(_smoothness_weight),
    Json({"anyOf": [{"enum": list(WEIGHT_CHOICES)}, {"type": "number", "exclusiveMinimum": 0}]}),
]


def _one_equation(value: Any, needed: bool = True) -> None:
    """`equation` or `equations`, one of the two."""
    if value.equation is not None and value.equations is not None:
        raise refuse(
            "both `equation` and `equations` are given", "one text is an `equation`, a list of them `equations`"
        )
    if needed and value.equation is None and value.equations is None:
        raise refuse("the equation is missing", 'give `equation: "u = 0"`, or several in a list under `equations`')


class EquationInput(Strict):
    """An equation that holds in the domain, or where a condition on the coordinates says."""

    equation: Equation | None = about("Left side `=` right side.")
    equations: Equations | None = about("Several, sharing the name.")
    on: Texts | None = about(
        "Regions by name, or groups of cells of a mesh, in which alone it holds. Between them, "
        "unknowns and fluxes are continuous: give "
        "`div([k*D(u, x), k*D(u, y)])` in each, and not a multiple of it."
    )
    where: Text | None = about('Restricts the term: `"x < 0.5"`.')
    conservative: Flag = about(
        "`true`: what flows out of every cell is what its sources give, to rounding, whatever the tolerance; with one "
        "flux for both cells at a face. The equation is in divergence form, or can be brought into it: "
        "`div([k*D(u, x), k*D(u, y)]) = f`, `u*D(u, x)`.",
        False,
    )

    @model_validator(mode="after")
    def _check(self) -> EquationInput:
        _one_equation(self)
        return self


class ConditionInput(Strict):
    """A boundary, initial or other condition."""

    on: Texts | None = about(
        'A face (`"x = 0"`), `boundary` (all of it in space), a part of it that a shape or a mesh names, `domain` (the '
        "interior), a region, or a list of these; or `fluid/solid`, where two regions meet: `n_x`, ... and `Dn` "
        "then point out of the first."
    )
    at: Points | None = about("A point such as `{x: 0, y: 0}`, or a list of them; coordinates left out stay free.")
    periodic: Texts | None = about(
        "A coordinate, or several, whose two faces are tied: every unknown and the derivatives that the equations need."
    )
    equation: Equation | None = about(
        "What holds there; `n_x`, `n_y`, ... are the outward normal and `Dn(u)` its derivative."
    )
    equations: Equations | None = about("Several, sharing the name.")
    integral: Expression | None = about(
        "In the place of an equation, what is integrated over the place `on`, at every time: `u*n_x`."
    )
    mean: Expression | None = about("The same for an average: `p`.")
    equals: Expression | None = about("What the integral or the mean is: an expression of time and parameters.")
    where: Text | None = about(
        'Narrows the place: `"y < 0.5"`; on a boundary by its normal, too: `"a*n_x + b*n_y < 0"`.'
    )
    exactly: Flag = about(
        "`true`: it holds to rounding, whatever the tolerance; least squares share what is left of the others alone.",
        False,
    )

    @model_validator(mode="after")
    def _check(self) -> ConditionInput:
        places = [key for key in ("on", "at", "periodic") if getattr(self, key) is not None]
        if len(places) > 1:
            raise refuse(f"both `{places[0]}` and `{places[1]}` are given", "a condition has one kind of place")
        if not places:
            raise refuse("the place is missing", 'give `on: "x = 0"`, `on: boundary`, `at: {x: 0}` or `periodic: x`')
        if self.integral is not None or self.mean is not None or self.equals is not None:
            self._check_integral(places[0])
            return self
        _one_equation(self, needed=places[0] != "periodic")
        if places[0] == "periodic" and (self.equation or self.equations):
            raise refuse("a periodic condition has no equation", "it ties every unknown and its derivatives by itself")
        return self

    def _check_integral(self, place: str) -> None:
        """One of `integral` and `mean`, what it equals, and a place that has a size."""
        shape = 'write `{on: outlet, integral: "u*n_x", equals: 0.3}`'
        if (self.integral is None) == (self.mean is None):
            several = "both `integral` and `mean` are given" if self.integral else "`integral` or `mean` is missing"
            raise refuse(several, shape)
        if self.equation is not None or self.equations is not None:
            raise refuse("an equation and an integral are given", "give each a condition of its own")
        if self.equals is None:
            raise refuse("`equals` is missing: what the integral is", shape)
        if place != "on":
            raise refuse(f"an integral is taken `on` a place, not `{place}`", shape)


class DataInput(Strict):
    """Measured values that the solution should meet."""

    file: Text = about("A CSV or NPZ file beside the problem file, with a column for each coordinate.", ...)
    equation: Equation | None = about("How unknowns and the other columns belong together: `u = measured`.")
    equations: Equations | None = about("Several, sharing the file.")
    noise: PositiveNumber | None = about("The standard deviation of the measurements; without it, it is estimated.")
    loss: Loss = about(
        "`squares`, or `huber`: residuals beyond 1.345 standard deviations count by their size only, as outliers "
        "should.",
        "squares",
    )

    @model_validator(mode="after")
    def _check(self) -> DataInput:
        _one_equation(self)
        return self


def _outside(value: Any, info: ValidationInfo) -> Any:
    if value not in OUTSIDE:
        word = isinstance(value, str) and value.isidentifier() and value not in (info.context or Context()).values
        if word:
            raise refuse(f"{shown(value)} is not one of error, hold", "or a number, which it is outside of the table")
        evaluated(value, info)
    return value


OUTSIDE = ("error", "hold")
Outside = Annotated[
    float | str, PlainValidator(_outside), Json({"anyOf": [{"enum": list(OUTSIDE)}, *_NUMBER_OR_STRING["anyOf"]]})
]
Interpolation = choice("cubic", "linear", "nearest")


class FunctionInput(Strict):
    """A function that a table gives."""

    file: Text = about("A CSV or NPZ file beside the problem file, with a column for each argument.", ...)
    of: Texts = about("The columns of its arguments, one to three; those with names of coordinates are these.", ...)
    column: Text | None = about("The column of its values; without it, that of its name, or the only one left.")
    interpolation: Interpolation = about(
        "`cubic`, of one argument as monotone as the table; `linear`; `nearest`, which in `div` or `D` gives several "
        "materials, as `where` does, at most 36. Values on a full grid in any order of rows, or scattered in two and "
        "three arguments.",
        "cubic",
    )
    outside: Outside = about("Outside of the table: `error`, `hold` the nearest value, or a number.", "error")


class QuantityInput(Strict):
    """A number to report, with its error; where time is free, a series."""

    on: Texts | None = about(
        "`domain`, a face, `boundary` or a part of it, as for conditions; without it, the domain in space."
    )
    at: Points | None = about("The point of a `value`: `{x: 0.5, y: 0.2}`; time may stay free.")
    integral: Expression | None = about("What is integrated; on a boundary with `n_x`, `n_y`, ... and `Dn(u)`.")
    mean: Expression | None = about("What is averaged.")
    maximum: Expression | None = about("What is largest.")
    minimum: Expression | None = about("What is smallest.")
    value: Expression | None = about(
        "What is evaluated `at` a point; without `at`, what is made of other quantities: `drag/lift`."
    )
    where: Text | None = about('Narrows the place: `"y < 0.5"`.')

    @property
    def kind(self) -> str:
        """Which of the five it is."""
        return next(kind for kind in QUANTITIES if getattr(self, kind) is not None)

    @property
    def is_combination(self) -> bool:
        """Whether it is made of other quantities."""
        return self.value is not None and self.at is None

    @model_validator(mode="after")
    def _check(self) -> QuantityInput:
        given = [kind for kind in QUANTITIES if getattr(self, kind) is not None]
        if len(given) != 1:
            raise refuse(
                f"a quantity is one of {', '.join(QUANTITIES)}, and {' and '.join(given) or 'none'} is given",
                'write `drag: {on: cylinder, integral: "..."}`',
            )
        beside = self.on is not None or self.where is not None
        wrong = beside if self.is_combination else (given[0] == "value") != (self.at is not None)
        if wrong or (self.at is not None and len(self.at) != 1):
            raise refuse("a `value` is taken `at` one point, and nothing else is", "`{at: {x: 0, y: 1}, value: u}`")
        if self.at is not None and self.on is not None:
            raise refuse("both `on` and `at` are given", "a quantity has one kind of place")
        return self


QUANTITIES = ("integral", "mean", "maximum", "minimum", "value")


class RegularizationInput(Strict):
    """How smooth an unknown function is taken to be that equations do not determine."""

    seminorm: Seminorm = about(
        "The order of the derivatives whose square should be small; or `total_variation`, of a function of one "
        "coordinate that is constant but for jumps, whose places and number are found.",
        3,
    )
    weight: SmoothnessWeight = about(
        "The weight of their mean square, the domain mapped to the unit box, against the mean square of the data's "
        "residuals over their noise. `auto` chooses it by the likelihood of the data, `gcv` (and `auto` in large "
        "systems) by generalized cross-validation, `discrepancy` so that the residual is the noise stated.",
        "auto",
    )

    @model_validator(mode="after")
    def _check(self) -> RegularizationInput:
        if self.seminorm == TOTAL_VARIATION and self.weight != "auto":
            raise refuse("the weight of a total variation is chosen by cross-validation", "leave `weight` out")
        return self


class UnknownParameterInput(Strict):
    """A constant to find."""

    guess: Number = about("Where the search starts.", ...)
    bounds: Interval | None = about("Least and greatest value.")

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> UnknownParameterInput:
        if self.bounds is not None:
            low, guess, high = (evaluated(value, info) for value in (self.bounds[0], self.guess, self.bounds[1]))
            if not low <= guess <= high:
                raise refuse(f"the guess {guess:g} lies outside the bounds [{low:g}, {high:g}]")
        return self


def _near(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str) and IMAGINARY_UNIT not in (info.context or Context()).values:
        complex_number(value, info)
    else:
        evaluated(value, info)
    return value


ComplexNumber = Annotated[int | float | str, PlainValidator(_near), Json(_NUMBER_OR_STRING)]


class EigenvaluesInput(Strict):
    """Numbers for which the problem has solutions other than zero."""

    name: Text = about("The name of the eigenvalue in equations and conditions.", ...)
    count: Count = about("How many, the nearest first.", 6)
    near: ComplexNumber = about(
        "The number that they are nearest to; `0.2 + 0.1*i` for a complex one, and then all unknowns are complex.", 0
    )

    @model_validator(mode="after")
    def _check(self) -> EigenvaluesInput:
        if self.count > MOST_EIGENVALUES:
            raise refuse(f"{self.count} eigenvalues are too many at a time: at most {MOST_EIGENVALUES}")
        return self


MOST_EIGENVALUES = 100


class ReferenceInput(Strict):
    """A solution of known accuracy, when no exact one is known."""

    file: Text = about("An NPZ or CSV file with a column for each coordinate and unknown, and its accuracy.", ...)


# -- the file ---------------------------------------------------------------------------------------------


def _equation_item(value: Any, handler: Any, info: ValidationInfo) -> EquationInput:
    """A text stands for a map with one `equation`."""
    whole = {"equation": value} if isinstance(value, str) else value
    return EquationInput.model_validate(whole, context=info.context)


def _domain(value: Any) -> Any:
    if words := too_large(value):
        raise refuse(words)
    return value


def _coordinates(value: Any, handler: Any) -> Any:
    if isinstance(value, list | tuple):
        for name in value:
            if not isinstance(name, str):
                raise refuse(f"a list of coordinates holds names, not {shown(name)}")
        return tuple(value)
    if not isinstance(value, dict):
        raise refuse(
            f"a map is expected, not {shown(value)}",
            "write `coordinates: {t: [0, 1], x: [0, 1]}`, or `coordinates: [x, y]` where a `domain` follows",
        )
    return handler(value)


def _time(value: Any, handler: Any) -> Any:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise refuse(f"the name of a coordinate is expected, not {shown(value)}", "`time: t`, or `time: {t: [0, 3]}`")
    return handler(value)


def _named(value: Any) -> Any:
    if not isinstance(value, dict):
        raise refuse(f"a map from names is expected, not {shown(value)}")
    if len(value) > MAX_ITEMS:
        raise refuse(f"too many entries: at most {MAX_ITEMS}")
    return value


def _guesses(value: Any, handler: Any) -> Any:
    """One guess, or a list of them; a text stands for the guess of the only unknown."""
    several = value if isinstance(value, list | tuple) else [value]
    if not several:
        raise refuse("the list of guesses is empty", "give a map, or a list of maps")
    if len(several) > MOST_GUESSES:
        raise refuse(f"too many guesses: at most {MOST_GUESSES}")
    return handler([one if isinstance(one, dict) else {"": one} for one in several])


MOST_GUESSES = 50


Item = TypeVar("Item")
Named = Annotated[dict[str, Item], BeforeValidator(_named)]
# of a vector, a list with an expression for each component
_COMPONENT_LIST = {"type": "array", "items": _NUMBER_OR_STRING, "minItems": 1}
_BY_UNKNOWN = {
    "type": "object",
    "additionalProperties": {"anyOf": [*_NUMBER_OR_STRING["anyOf"], _COMPONENT_LIST]},
}
Exact = Annotated[
    dict[str, Expression],
    BeforeValidator(lambda value: value if isinstance(value, dict) else {"": value}),
    Json({"anyOf": [_BY_UNKNOWN, *_NUMBER_OR_STRING["anyOf"]]}),
]
_ONE_GUESS = [_BY_UNKNOWN, *_NUMBER_OR_STRING["anyOf"]]
Guess = Annotated[
    list[dict[str, Expression]],
    WrapValidator(_guesses),
    Json({"anyOf": [*_ONE_GUESS, {"type": "array", "minItems": 1, "items": {"anyOf": _ONE_GUESS}}]}),
]
_COMPONENTS = {
    "type": "object",
    "properties": {"count": {"type": "integer", "minimum": 1, "maximum": 200}, "interval": INTERVAL_SCHEMA},
    "required": ["count"],
    "additionalProperties": False,
}
_COORDINATE = {"anyOf": [INTERVAL_SCHEMA, _COMPONENTS]}
_INTERVALS = Json(
    {
        "type": "object",
        "properties": {"system": {"enum": list(SYSTEMS), "description": "The system of the coordinates of space."}},
        "additionalProperties": _COORDINATE,
        "minProperties": 1,
        "maxProperties": 200,
    }
)
Intervals = Annotated[dict[str, Interval], _INTERVALS]
Coordinates = Annotated[
    dict[str, Interval],
    WrapValidator(_coordinates),
    Json({"anyOf": [_INTERVALS.json_schema, {"type": "array", "items": _STRING, "minItems": 1, "maxItems": 200}]}),
]
Time = Annotated[
    dict[str, Interval],
    WrapValidator(_time),
    Json({"anyOf": [_STRING, {"type": "object", "additionalProperties": INTERVAL_SCHEMA, "maxProperties": 1}]}),
]


def _regularization_item(value: Any, handler: Any, info: ValidationInfo) -> RegularizationInput:
    """A weight stands for a map with one, and the word for a function that jumps for one with that."""
    key = "seminorm" if value == TOTAL_VARIATION else "weight"
    whole = value if isinstance(value, dict) else {key: value}
    return RegularizationInput.model_validate(whole, context=info.context)


RegularizationItem = Annotated[RegularizationInput | str | float, WrapValidator(_regularization_item)]
EquationItem = Annotated[EquationInput | str, WrapValidator(_equation_item)]


class ProblemFile(Strict):
    """A boundary value problem, and how to solve it."""

    model_config = ConfigDict(title="pinnsolve problem file")

    name: ProblemName = about("A short name; it names the run folder.", ...)
    title: Text | None = about("One line for people.")
    description: Text | None = about("More words.")
    cite: Texts | None = about("Where the problem comes from: a text or a list.")
    coordinates: Coordinates | None = about(
        "Ordered map, coordinate to its interval: a box. With `domain`, names alone will do. "
        "`x: {count: 10, interval: [-1, 1]}` makes the coordinates x1 to x10; `system: polar` (`cylindrical`, "
        "`spherical`) says what they are."
    )
    domain: Annotated[ShapeInput, BeforeValidator(_domain)] | None = about(
        "The domain as a shape, instead of the intervals of `coordinates`: `{disk: {center: [0, 0], radius: 1}}`."
    )
    time: Time | None = about(
        "Which coordinate is time: `t` when there is one. With `domain`, also its interval: `{t: [0, 3]}`."
    )
    regions: Named[RegionItem] | None = about(
        'By name, parts of the domain, which may touch: a shape as for `domain`, or `{where: "x < 0.5"}`. Equations '
        "hold `on` them, unknowns live `in` them, and conditions hold between two: `on: fluid/solid`."
    )
    unknowns: Unknowns = about(
        "The unknown functions: a name, a list, or a map that says which are complex: `{psi: complex, n: real}`, and "
        "where they live: `{p: {in: fluid}, u: {in: solid}}`; or vectors, `{v: vector, p: real}`, which are v_x, v_y. "
        "With complex ones, `i` is the imaginary unit, and there "
        "are `re(a)`, `im(a)`, `conj(a)` and `abs(a)`. Equations and conditions with an unknown hold where it lives. "
        "An unknown function of the state, of one or two arguments, is found from data: `{u: real, f: {of: [u]}}`; "
        "equations call it as `f(u)`. It is `positive: true` or `monotone: increasing` (`decreasing`) if so asked.",
        ...,
    )
    parameters: Named[Parameter] | None = about(
        "Named constants; numbers, or expressions of those before them; or a range: `{range: [0.01, 1], spacing: log}`."
    )
    functions: Named[FunctionInput] | None = about("Functions given by tables: `k: {file: k.csv, of: [x, y]}`.")
    definitions: Named[Expression] | None = about("Named sub-expressions: `name: expr` or `name(a, b): expr`.")
    equations: Named[EquationItem] | None = about(
        "By term name, what holds in the domain: a text, or a map with `where`."
    )
    conditions: Named[ConditionInput] | None = about("By term name, what holds in other places.")
    data: Named[DataInput] | None = about("By term name, measured values.")
    unknown_parameters: Named[UnknownParameterInput] | None = about("Constants to find.")
    discover: Named[Expressions] | None = about(
        "By equation, terms that may stand on its right side, each with a constant that data determine: "
        "`prey: [y, x*y]`. Those that the data do not support are dropped."
    )
    eigenvalues: EigenvaluesInput | None = about(
        "Numbers for which a linear problem without sources has solutions: `{name: lam, count: 6, near: 0}`."
    )
    guess: Guess | None = about(
        "Where Newton's method starts, of nonlinear problems: by unknown an expression in the coordinates, or "
        "`run: FOLDER`, the solution in a run folder of a problem with the same unknowns and coordinates. A list of "
        "guesses gives a solution each."
    )
    regularization: Named[RegularizationItem] | None = about(
        "By unknown, how smooth it is where only data determine it: `a: auto`, a weight, or a map."
    )
    quantities: Named[QuantityInput] | None = about("By name, numbers to report: integrals, extrema, values at points.")
    exact: Exact | None = about("The exact solution where it is known: by unknown an expression in the coordinates.")
    reference: ReferenceInput | None = about("A file to compare with, when no exact solution is known.")
    output: OutputInput | None = about("Times and grid of tables, exports and figures: `{times: [0, 1], grid: 64}`.")
    solve: SolveSettings = about("How to solve. Everything has a default.", SolveSettings())

    @property
    def unknown_names(self) -> tuple[str, ...]:
        """The names of the unknowns, in order."""
        return tuple(name for name, item in self.unknowns.items() if item.of is None)


class SettingsFile(Strict):
    """The `solve` section of a problem file by itself, for settings given in Python."""

    solve: SolveSettings = about("How to solve. Everything has a default.", SolveSettings())
