"""The shape of `solve:`, as pydantic models: how a problem is solved, with the default of everything.

Input: the plain values below the key `solve` of a problem file. Output: `SolveSettings`, or every error at
once. No sympy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, PlainValidator, TypeAdapter, ValidationInfo, WrapValidator, model_validator
from pydantic import WithJsonSchema as Json

from pinnsolve import extensions
from pinnsolve.language.vocabulary import close_match
from pinnsolve.spec.schema.types import (
    POSITIVE_SCHEMA,
    Count,
    CountOrZero,
    PositiveNumber,
    Strict,
    about,
    choice,
    evaluated,
    positive,
    refuse,
    shown,
    whole,
)

_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_STRING = {"type": "string"}


def _kind(value: Any) -> str:
    if isinstance(value, str) and value in extensions.BASES:
        return value
    known = ", ".join(extensions.BASES)
    close = close_match(value, extensions.BASES) if isinstance(value, str) else None
    hint = f"did you mean `{close}`? There are {known}" if close else f"there are {known}"
    raise refuse(f"unknown kind of basis {shown(value)}", hint)


def _method(value: Any) -> str:
    known = ("auto", *extensions.SOLVERS)
    if isinstance(value, str) and value in known:
        return value
    close = close_match(value, known) if isinstance(value, str) else None
    raise refuse(f"{shown(value)} is not one of {', '.join(known)}", f"did you mean `{close}`?" if close else None)


def _scale(value: Any, info: ValidationInfo) -> float | str:
    if value == "auto":
        return value
    number = evaluated(value, info)
    if number <= 0:
        raise refuse(f"a positive number or `auto` is expected, not {shown(value)}")
    return number


Kind = Annotated[str, PlainValidator(_kind), Json({"anyOf": [{"enum": list(extensions.BUILT_IN_BASES)}, _STRING]})]
Scale = Annotated[float | str, PlainValidator(_scale), Json({"anyOf": [_POSITIVE, {"const": "auto"}]})]


def _per_axis(least: int):
    def check(value: Any, info: ValidationInfo) -> int | list[int]:
        values = [whole(least)(item, info) for item in (value if isinstance(value, list) else [value])]
        if not values:
            raise refuse("a number or a list of numbers is expected, not an empty list")
        return values if isinstance(value, list) else values[0]

    return check


def _overlap(value: Any, info: ValidationInfo) -> float:
    number = evaluated(value, info)
    if not 0 <= number <= 0.5:
        raise refuse(f"a number between 0 and 0.5 is expected, not {shown(value)}")
    return number


def _counts(least: int) -> Json:
    one = {"type": "integer", "minimum": least}
    return Json({"anyOf": [one, {"type": "array", "items": one}]})


PerAxis = Annotated[int | list[int], PlainValidator(_per_axis(1)), _counts(1)]
PerAxisOrZero = Annotated[int | list[int], PlainValidator(_per_axis(0)), _counts(0)]
Overlap = Annotated[float, PlainValidator(_overlap), Json({"type": "number", "minimum": 0, "maximum": 0.5})]
_NETWORK_KEYS = ("width", "depth", "activation", "initialization", "scale")
BASIS_KEYS = {  # of the built-in kinds
    "mlp": _NETWORK_KEYS,
    "resnet": _NETWORK_KEYS,
    "interactions": ("degree", "pairs", "radial"),
    "pou_grid": ("partitions", "degree", "overlap"),
    "pou_rbf": ("partitions", "degree", "scale", "anisotropic"),
    "pou_resnet": ("partitions", "degree", *_NETWORK_KEYS),
}
Pairs = choice("none", "neighbours", "all")
Activation = choice("relu", "tanh", "sin", "gaussian", "softplus")
Initialization = choice("box", "he", "glorot")
# an editor that checks a file knows the methods that come with pinnsolve, as most files use no other
Method = Annotated[str, PlainValidator(_method), Json({"enum": ["auto", *extensions.BUILT_IN_SOLVERS]})]
Sampling = choice("grid", "sobol", "uniform", "chebyshev")
Optimizer = choice("adam", "sgd", "lbfgs")
Device = choice("cpu", "cuda", "auto")
Precision = choice("float64", "float32")


class BasisSpec(Strict):
    """The functions that the solution is a combination of."""

    kind: Kind | None = about(
        "`mlp` (a network), `resnet` (one with residual layers), sums of functions of few coordinates "
        "(`interactions`), a partition of unity times polynomials whose "
        "windows are a grid's (`pou_grid`), normalized Gaussians (`pou_rbf`) or the softmax of a residual network "
        "(`pou_resnet`), or the name of a basis registered through Python."
    )
    width: Count | None = about("How many functions a network has, W; of `pou_resnet`, inside its partition.")
    depth: Count | None = about("How many hidden layers.")
    activation: Activation | None = about(
        "What each hidden unit applies; `relu` only where no derivatives of second order are needed."
    )
    initialization: Initialization | None = about("How the hidden parameters start.")
    scale: Scale | None = about(
        "How fast the initial functions vary over the box: a factor, or `auto`. Of `pou_rbf`, 1 over the first shapes."
    )
    partitions: PerAxis | None = about(
        "How many partitions there are: a number; of `pou_grid` along each coordinate, a number or a list."
    )
    degree: PerAxisOrZero | None = about(
        "The degree of the polynomials on each partition: a number, the total degree; so of `interactions`; "
        "of `pou_grid` the degree along each coordinate, a number or a list."
    )
    overlap: Overlap | None = about(
        "How far the windows of `pou_grid` reach into their neighbours, at most 0.5 of them; 0 for sharp cells."
    )
    anisotropic: bool | None = about(
        "Whether each Gaussian of `pou_rbf` has a matrix for its shape, so that it may be long and turned; else all "
        "are round."
    )
    pairs: Pairs | None = about(
        "Which coordinates `interactions` couples: `none`, `neighbours` or `all`; found by the residual where left out."
    )
    radial: CountOrZero | None = about("The degree of the radial functions of `interactions`.")

    def settings(self) -> dict[str, Any]:
        """What was said about the basis, as `make_basis` takes it."""
        return {key: value for key, value in self.model_dump().items() if value is not None}


class CustomBasisSpec(BasisSpec):
    """A basis registered through Python: its own settings are passed on as they are."""

    model_config = ConfigDict(extra="allow")
    depth: Any = None
    activation: Any = None
    initialization: Any = None
    scale: Any = None
    partitions: Any = None
    degree: Any = None
    overlap: Any = None
    anisotropic: Any = None
    pairs: Any = None
    radial: Any = None


def _basis(value: Any, handler: Any, info: ValidationInfo) -> BasisSpec:
    """A built-in basis by its own keys, any other with whatever it is given."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind in extensions.BASES and kind not in extensions.BUILT_IN_BASES:
        return CustomBasisSpec.model_validate(value, context=info.context)
    if isinstance(value, dict) and kind in (None, *extensions.BUILT_IN_BASES):
        _keys_fit(value, kind or "mlp")
    return handler(value)


def _keys_fit(value: dict, kind: str) -> None:
    """Refuse keys of other kinds, and lists where a kind has no axes."""
    for key in value:
        owners = [f"`{name}`" for name, keys in BASIS_KEYS.items() if key in keys]
        if owners and key not in BASIS_KEYS[kind]:
            message = f"`{key}` belongs to the kind{'s' * (len(owners) > 1)} {', '.join(owners)}"
            raise refuse(message, f"take it out, or choose another kind than `{kind}`")
        if (
            kind in ("pou_rbf", "pou_resnet", "interactions")
            and key in ("partitions", "degree")
            and isinstance(value[key], list)
        ):
            raise refuse(f"`{key}` of the kind `{kind}` is a number, not a list", "only a grid has axes: `pou_grid`")


def _weight(value: Any) -> str | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise refuse(f"a positive number or an expression in `W` is expected, not {shown(value)}")
    return value


Weight = Annotated[str | float, PlainValidator(_weight), Json({"anyOf": [_POSITIVE, _STRING]})]
_WEIGHTS = TypeAdapter(dict[str, Weight])


def _term_weights(value: Any) -> Any:
    if value == "auto":
        return value
    if not isinstance(value, dict):
        raise refuse(f"a map or `auto` is expected, not {shown(value)}", "for example `{walls: 10}`, by term name")
    return _WEIGHTS.validate_python(value)


Basis = Annotated[BasisSpec, WrapValidator(_basis)]
TermWeights = Annotated[
    dict[str, str | float] | str,
    PlainValidator(_term_weights),
    Json({"anyOf": [{"type": "object", "additionalProperties": {"anyOf": [_POSITIVE, _STRING]}}, {"const": "auto"}]}),
]


class CollocationSpec(Strict):
    """Where residuals are sampled."""

    interior: Count | None = about("How many points in the domain.")
    boundary: Count | None = about("How many points on the boundary.")
    sampling: Sampling | None = about("How the points are laid out.")


def _share(value: Any, info: ValidationInfo) -> float:
    number = evaluated(value, info)
    if not 0 < number < 1:
        raise refuse(f"a number between 0 and 1 is expected, not {shown(value)}")
    return number


Share = Annotated[float, PlainValidator(_share), Json({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1})]


class FirstPhaseSpec(Strict):
    """LSGD with a penalty on the coefficients, before the method proper: it keeps partitions from collapsing."""

    steps: Count = about("How many steps of this phase.", 500)
    penalty: PositiveNumber = about("The lambda of the sum of loss and lambda |c|^2 that is minimized, at first.", 1e-3)
    factor: Share = about("The rho that lambda is multiplied by when that sum stagnates.", 0.9)
    stagnation: Count = about("After how many steps without a new least sum it counts as stagnating, n_stag.", 20)

    @model_validator(mode="after")
    def _fits(self) -> FirstPhaseSpec:
        if self.stagnation > self.steps:
            message = f"`stagnation` of {self.stagnation} steps never comes in a phase of {self.steps}"
            raise refuse(message, "lower `stagnation`, or raise `steps`")
        return self


class OptimizerSpec(Strict):
    """How the hidden parameters move, in the methods that move them."""

    name: Optimizer | None = about("The method of descent.")
    learning_rate: PositiveNumber | None = about("Its step size.")
    steps: Count | None = about("How many steps at most.")
    first_phase: FirstPhaseSpec | None = about(
        "A phase before: with it `lsgd` is two-phase LSGD, and `varpro` starts from where it ends."
    )


class LimitsSpec(Strict):
    """Where to stop when the tolerance is out of reach."""

    seconds: PositiveNumber | None = about(
        "Wall-clock time; without it there is no limit. A first answer may take a tenth and 0.6 s longer; without any, "
        "the run ends with an error."
    )
    memory_gb: PositiveNumber | None = about("Memory; without it, most of what is free.")
    refinements: CountOrZero | None = about("How often the basis may be made larger; without it, by the method.")


class Tolerance(float):
    """The error to reach; of several, `by_name` of unknowns and quantities, the smallest."""

    by_name: Mapping[str, float]

    def __new__(cls, by_name: Mapping[str, float]) -> Tolerance:
        made = super().__new__(cls, min(by_name.values()))
        made.by_name = dict(by_name)
        return made

    def __reduce__(self):
        return Tolerance, (self.by_name,)


def _tolerance(value: Any, info: ValidationInfo) -> float:
    if isinstance(value, Tolerance):
        return value
    if not isinstance(value, dict):
        return positive(value, info)
    if not value:
        raise refuse("a map of tolerances is empty", "write `tolerance: {u: 1e-3}`, or one number")
    return Tolerance({str(name): positive(item, info) for name, item in value.items()})


ToleranceInput = Annotated[
    float,
    PlainValidator(_tolerance),
    Json({"anyOf": [*POSITIVE_SCHEMA["anyOf"], {"type": "object", "additionalProperties": POSITIVE_SCHEMA}]}),
]


class SolveSettings(Strict):
    """How to solve. Everything has a default."""

    tolerance: ToleranceInput = about(
        "The relative L2 error to reach, as estimated; or a map, `{drag: 1e-4, u: 1e-3}`, from unknowns and quantities "
        "to relative errors: what is not named may have any error.",
        1e-6,
    )
    method: Method = about(
        "The method; `auto` picks by the problem. Solvers registered through Python have their own names.",
        "auto",
    )
    basis: Basis | None = about("The functions that the solution is a combination of; without it, by the problem.")
    collocation: CollocationSpec | None = about("Where residuals are sampled; without it, by the basis.")
    term_weights: TermWeights = about(
        "The epsilon_k of the loss: by term name a number or an expression in the width `W`, such as `W**(-0.5)`.",
        "auto",
    )
    optimizer: OptimizerSpec | None = about("How hidden parameters move; without it, by the method.")
    starts: Count = about(
        "From how many values of the unknown parameters an inverse problem starts: the guess, and others at random.", 1
    )
    limits: LimitsSpec = about("Where to stop when the tolerance is out of reach.", LimitsSpec())
    seed: CountOrZero = about("Of everything random.", 0)
    device: Device = about("Where to compute; `auto` takes a card where there is one and the problem is large.", "cpu")
    precision: Precision = about("Of floating-point numbers.", "float64")

    @model_validator(mode="after")
    def _phases_fit(self) -> SolveSettings:
        phased = self.optimizer is not None and self.optimizer.first_phase is not None
        if phased and self.method not in ("lsgd", "varpro"):
            message = f"`optimizer.first_phase` is for the methods `lsgd` and `varpro`, not `{self.method}`"
            raise refuse(message, "give `method: lsgd` for two-phase LSGD")
        return self
