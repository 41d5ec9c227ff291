"""The contract of a basis, held by every kind: a new one gets all of these tests by a line in `CASES`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.func import grad, jacrev, jvp, vmap

from pinnsolve import extensions
from pinnsolve.bases import Basis, make_basis, restore_basis
from pinnsolve.bases.jets import indices_to_order
from pinnsolve.bases.networks.activations import ACTIVATIONS
from pinnsolve.errors import PinnsolveError, ResourceError
from pinnsolve.language.symbols import MAX_ORDER, MultiIndex

LOWER, UPPER = [-1.0, 0.5, 2.0], [3.0, 1.0, 2.7]  # no side is the unit interval's


class Powers(Basis):
    """A basis as one from outside might be, without hidden parameters: (1 + z_1 + ... + z_d)^j for j < W."""

    kind = "test_powers"

    def __init__(self, width: int, lower: Tensor, upper: Tensor):
        self.width, self.lower, self.upper, self.hidden = width, lower, upper, {}

    def derivatives(self, points, alphas, hidden=None):
        if any(len(alpha) != self.dimension or sum(alpha) > MAX_ORDER for alpha in alphas):
            raise PinnsolveError("not a multi-index that Powers has")
        span = self.upper - self.lower
        total = 1 + ((points - self.lower) / span).sum(1, keepdim=True)
        result = {}
        for alpha in alphas:
            columns = []
            for j in range(self.width):
                factor = 1.0
                for i in range(sum(alpha)):
                    factor *= j - i
                columns.append(factor * total ** max(0, j - sum(alpha)))
            chain = torch.prod(torch.stack([s**-a for s, a in zip(span, alpha, strict=True)]))
            result[alpha] = torch.cat(columns, 1) * chain
        return result

    def settings(self):
        return {"kind": self.kind, "width": self.width}

    def describe(self):
        return f"{self.kind}, width {self.width}"

    @classmethod
    def create(cls, settings, lower, upper, seed):
        return cls(settings["width"], lower, upper)

    @classmethod
    def restore(cls, settings, hidden, lower, upper):
        return cls(settings["width"], lower, upper)


# one line per basis; every test below runs for each of them in one, two and three coordinates
CASES: list[dict] = [
    {"kind": "test_powers", "width": 4},
    *(
        {"kind": kind, "width": 5, "depth": depth, "activation": name, "scale": 1.5}
        for kind in ("mlp", "resnet")
        for depth in (1, 3)
        for name in ACTIVATIONS
    ),
    {"kind": "mlp", "width": 5, "depth": 2, "activation": "sin", "initialization": "he"},
    {"kind": "resnet", "width": 5, "depth": 2, "activation": "tanh", "initialization": "glorot"},
    {"kind": "pou_grid", "partitions": 2, "degree": 1, "overlap": 0.5},
    {"kind": "interactions", "degree": 3, "pairs": "all"},
    {"kind": "pou_rbf", "partitions": 3, "degree": 2, "scale": 1.5},
    {"kind": "pou_rbf", "partitions": 2, "degree": 0},
    {"kind": "pou_rbf", "partitions": 3, "degree": 1, "anisotropic": True},
    *(
        {"kind": "pou_resnet", "partitions": 3, "degree": 1, "width": 5, "depth": 2, "activation": name}
        for name in ("relu", "tanh", "softplus")
    ),
]
ROUNDING = {"pou_grid": 200, "pou_rbf": 10}  # times as much as of others: windows of degree 17, sums that cancel
SEEDLESS = ("pou_grid", "interactions")  # starts from equal partitions; has polynomials alone


@pytest.fixture(autouse=True)
def powers() -> Iterator[None]:
    extensions.register_basis("test_powers", Powers)
    yield
    del extensions.BASES["test_powers"]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
def case(request) -> dict:
    return request.param


@pytest.fixture(params=[1, 2, 3], ids="{}d".format)
def basis(request, case) -> Basis:
    return make_basis(case, LOWER[: request.param], UPPER[: request.param], seed=1)


def points_of(basis: Basis, count: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    unit = torch.rand(count, basis.dimension, generator=generator, dtype=torch.float64)
    return basis.lower + unit * (basis.upper - basis.lower)


def alphas_of(basis: Basis, order: int | None = None) -> list[MultiIndex]:
    """All multi-indices; in three coordinates only some of the highest orders."""
    alphas = indices_to_order(basis.dimension, basis.smoothness if order is None else order)
    return [a for a in alphas if basis.dimension < 3 or sum(a) < 3 or max(a) in (2, 4)]


def units(dimension: int) -> list[MultiIndex]:
    return [tuple(int(i == axis) for i in range(dimension)) for axis in range(dimension)]


def random_like(value: Tensor, seed: int) -> Tensor:
    return torch.randn(value.shape, generator=torch.Generator().manual_seed(seed), dtype=value.dtype)


def assert_close(found: Tensor, expected: Tensor, tolerance: float, what: object = "") -> None:
    assert found.shape == expected.shape, what
    size = max(1.0, float(expected.abs().max()))
    assert float((found - expected).abs().max()) <= tolerance * size, what


# --- derivatives -----------------------------------------------------------------------------------------


def test_shapes(basis):
    alphas = alphas_of(basis)
    found = basis.derivatives(points_of(basis), alphas)
    assert set(found) == set(alphas)
    assert all(value.shape == (7, basis.width) and value.dtype == torch.float64 for value in found.values())
    assert all(bool(torch.isfinite(value).all()) for value in found.values())
    none = basis.derivatives(points_of(basis)[:0], alphas)
    assert all(value.shape == (0, basis.width) for value in none.values())
    assert basis.derivatives(points_of(basis), []) == {}


def test_functions_are_not_constant(basis):
    gradient = basis.derivatives(points_of(basis), units(basis.dimension))
    assert all(bool((value.abs() > 1e-6).any()) for value in gradient.values())


def test_derivatives_against_finite_differences(basis):
    """Central differences of fourth order of the derivatives below."""
    points, step = points_of(basis), 1e-4 * (basis.upper - basis.lower)
    alphas = alphas_of(basis)
    exact = basis.derivatives(points, alphas)
    for axis, unit in enumerate(units(basis.dimension)):
        move = torch.zeros_like(step)
        move[axis] = step[axis]
        moved = {times: basis.derivatives(points + times * move, alphas) for times in (-2, -1, 1, 2)}
        for alpha in alphas:
            above = tuple(a + b for a, b in zip(alpha, unit, strict=True))
            if above in exact:
                difference = 8 * (moved[1][alpha] - moved[-1][alpha]) - (moved[2][alpha] - moved[-2][alpha])
                assert_close(difference / (12 * step[axis]), exact[above], 1e-7, above)


def test_derivatives_against_nested_autograd(basis):
    """Forward-mode derivatives, nested once per order, of the values alone."""
    points, zero = points_of(basis, 3), (0,) * basis.dimension
    order = min(basis.smoothness, 3 if basis.dimension > 1 else MAX_ORDER)
    alphas = alphas_of(basis, order)
    known = {zero: lambda x: basis.derivatives(x, [zero])[zero]}
    exact = basis.derivatives(points, alphas)
    for alpha in alphas:
        if alpha != zero:
            axis = max(i for i, a in enumerate(alpha) if a)
            direction = torch.zeros_like(points)
            direction[:, axis] = 1
            below = known.get(tuple(a - (i == axis) for i, a in enumerate(alpha)))
            if below is None:
                continue  # left out in three coordinates
            known[alpha] = lambda x, f=below, v=direction: jvp(f, (x,), (v,))[1]
        assert_close(exact[alpha], known[alpha](points), 1e-11 * ROUNDING.get(basis.kind, 1), alpha)


def test_subsets_equal_the_full_set(basis):
    points, alphas = points_of(basis), alphas_of(basis)
    full = basis.derivatives(points, alphas)
    for alpha in alphas:
        assert_close(basis.derivatives(points, [alpha])[alpha], full[alpha], 1e-13, alpha)
    some = alphas[::-2]
    found = basis.derivatives(points, some)
    assert set(found) == set(some)
    for alpha in some:
        assert_close(found[alpha], full[alpha], 1e-13, alpha)


def test_chain_rule_of_the_map_to_the_unit_box(basis):
    dimension, span = basis.dimension, basis.upper - basis.lower
    unit = restore_basis(basis.settings(), basis.hidden, [0.0] * dimension, [1.0] * dimension)
    points, alphas = points_of(basis), alphas_of(basis)
    found = basis.derivatives(points, alphas)
    inside = unit.derivatives((points - basis.lower) / span, alphas)
    for alpha in alphas:
        factor = torch.prod(span ** torch.tensor(alpha, dtype=torch.float64))
        assert_close(found[alpha] * factor, inside[alpha], 1e-12 * ROUNDING.get(basis.kind, 1), alpha)


def test_smoothness_is_truthful(basis):
    """A multi-index beyond it is refused, and only then; so is one of another number of coordinates."""
    points, first = points_of(basis), [0] * (basis.dimension - 1)
    basis.derivatives(points, [(basis.smoothness, *first)])
    with pytest.raises(PinnsolveError):
        basis.derivatives(points, [(basis.smoothness + 1, *first)])
    with pytest.raises(PinnsolveError):
        basis.derivatives(points, [(0, 0, *first)])


# --- partitions of unity ---------------------------------------------------------------------------------


def moved_partition(basis: Basis) -> Basis:
    """The basis with other hidden parameters, or a skip where it has no partition."""
    if not hasattr(basis, "partition"):
        pytest.skip("is no partition of unity")
    hidden = {name: value + 0.3 * random_like(value, seed) for seed, (name, value) in enumerate(basis.hidden.items())}
    return basis.with_hidden(hidden)


def test_windows_are_not_negative_and_add_up_to_one(basis):
    moved = moved_partition(basis)
    windows = moved.partition(points_of(basis, 200))
    assert windows.shape == (200, basis.partitions)
    assert float(windows.min()) >= 0
    assert float((windows.sum(dim=1) - 1).abs().max()) <= 1e-12


def test_polynomials_of_the_degree_are_reproduced(basis):
    """In value and derivatives, by coefficients that are the same in every partition."""
    moved = moved_partition(basis)
    points, alphas = points_of(basis, 50), alphas_of(basis, min(2, basis.smoothness))
    one = make_basis({**basis.settings(), "partitions": 1}, basis.lower, basis.upper)
    c = random_like(torch.zeros(one.width, dtype=torch.float64), 3)
    found, wanted = moved.derivatives(points, alphas), one.derivatives(points, alphas)
    for alpha in alphas:
        assert_close(found[alpha] @ c.repeat(basis.partitions), wanted[alpha] @ c, 1e-10, alpha)


# --- hidden parameters -----------------------------------------------------------------------------------


def test_gradient_in_hidden_parameters(basis):
    if not basis.hidden:
        pytest.skip("has no hidden parameters")
    points, alphas = points_of(basis), alphas_of(basis)
    directions = {name: random_like(value, seed) for seed, (name, value) in enumerate(basis.hidden.items())}

    def along(step: float) -> dict[MultiIndex, Tensor]:
        moved = {name: value + step * directions[name] for name, value in basis.hidden.items()}
        return basis.derivatives(points, alphas, moved)

    hidden = {name: value.clone().requires_grad_() for name, value in basis.hidden.items()}
    found = basis.derivatives(points, alphas, hidden)
    right, left = along(1e-6), along(-1e-6)
    for seed, alpha in enumerate(alphas):
        factors = random_like(found[alpha], seed)
        gradient = torch.autograd.grad(
            (factors * found[alpha]).sum(), list(hidden.values()), retain_graph=True, allow_unused=True
        )
        exact = sum(((g * v).sum() for g, v in zip(gradient, directions.values(), strict=True) if g is not None))
        difference = (factors * (right[alpha] - left[alpha])).sum() / 2e-6
        size = float((factors * found[alpha].detach()).abs().sum())
        assert float(abs(exact - difference)) <= 1e-5 * (size + float(abs(difference)) + 1e-3), alpha


def test_transforms_of_torch_func(basis):
    """Per-point gradients by vmap(grad) and by jacrev, and a forward derivative, agree with autograd point by point."""
    if not basis.hidden:
        pytest.skip("has no hidden parameters")
    points, alphas = points_of(basis, 4), alphas_of(basis, min(2, basis.smoothness))
    combine = torch.linspace(0.5, 2, basis.width, dtype=torch.float64)

    def at_point(hidden: dict[str, Tensor], point: Tensor) -> Tensor:
        return sum(value[0] @ combine for value in basis.derivatives(point[None], alphas, hidden).values())

    def at_all(hidden: dict[str, Tensor]) -> Tensor:
        return sum(value @ combine for value in basis.derivatives(points, alphas, hidden).values())

    per_point = vmap(grad(at_point), (None, 0))(basis.hidden, points)
    rows = jacrev(at_all)(basis.hidden)
    hidden = {name: value.clone().requires_grad_() for name, value in basis.hidden.items()}
    total = at_all(hidden)
    for i in range(len(points)):
        gradient = torch.autograd.grad(total[i], list(hidden.values()), retain_graph=True)
        for name, expected in zip(hidden, gradient, strict=True):
            assert_close(per_point[name][i], expected, 1e-11, name)
            assert_close(rows[name][i], expected, 1e-11, name)
    directions = {name: random_like(value, 1) for name, value in basis.hidden.items()}
    forward = jvp(at_all, (basis.hidden,), (directions,))[1]
    expected = sum(rows[name].flatten(1) @ directions[name].flatten() for name in rows)
    assert_close(forward, expected, 1e-11)


# --- a basis is a value ----------------------------------------------------------------------------------


def test_round_trip_is_bit_for_bit(basis):
    settings = json.loads(json.dumps(basis.settings()))
    assert settings["kind"] == basis.kind
    points, alphas = points_of(basis), alphas_of(basis)
    expected = basis.derivatives(points, alphas)
    other = make_basis(settings, basis.lower, basis.upper, seed=99)
    for copy in (restore_basis(settings, basis.hidden, basis.lower, basis.upper), other.with_hidden(basis.hidden)):
        assert copy.settings() == basis.settings()
        assert copy.describe() == basis.describe()
        assert (copy.width, copy.dimension, copy.smoothness) == (basis.width, basis.dimension, basis.smoothness)
        found = copy.derivatives(points, alphas)
        assert all(torch.equal(found[alpha], expected[alpha]) for alpha in alphas)
    found = other.derivatives(points, alphas, basis.hidden)
    assert all(torch.equal(found[alpha], expected[alpha]) for alpha in alphas)


def test_the_seed_decides(basis):
    before = torch.get_rng_state()
    same, other = (make_basis(basis.settings(), basis.lower, basis.upper, seed) for seed in (1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(same.hidden[name], value) for name, value in basis.hidden.items())
    differs = any(not torch.equal(other.hidden[name], basis.hidden[name]) for name in basis.hidden)
    assert differs == (bool(basis.hidden) and basis.kind not in SEEDLESS)


def test_description_and_type(basis):
    assert basis.describe().startswith(f"{basis.kind}, ")
    assert "\n" not in basis.describe()
    single = make_basis(basis.settings(), basis.lower, basis.upper, 1, dtype=torch.float32)
    assert all(value.dtype == torch.float32 for value in single.hidden.values())
    zero = (0,) * basis.dimension
    found = single.derivatives(points_of(basis).float(), [zero])[zero]
    assert found.dtype == torch.float32
    assert_close(found.double(), basis.derivatives(points_of(basis), [zero])[zero], 1e-5)


# --- the networks ----------------------------------------------------------------------------------------

PLAIN_TORCH = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sin": torch.sin,
    "gaussian": lambda y: torch.exp(-(y**2)),
    "softplus": torch.nn.functional.softplus,
}


@pytest.mark.parametrize("kind", ["mlp", "resnet"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_of_a_network_are_its_formula(kind, name):
    basis = make_basis({"kind": kind, "width": 6, "depth": 3, "activation": name}, LOWER[:2], UPPER[:2], 3)
    points, s, hidden = points_of(basis), PLAIN_TORCH[name], basis.hidden
    x = s((points - basis.lower) / (basis.upper - basis.lower) @ hidden["layer0.slopes"].T + hidden["layer0.offsets"])
    for index in (1, 2):
        y = s(x @ hidden[f"layer{index}.slopes"].T + hidden[f"layer{index}.offsets"])
        x = x + y if kind == "resnet" else y
    assert_close(basis.derivatives(points, [(0, 0)])[(0, 0)], x, 1e-14)


def test_smoothness_of_the_activations():
    smoothness = {
        name: make_basis({"kind": "mlp", "activation": name}, [0.0], [1.0]).smoothness for name in ACTIVATIONS
    }
    assert smoothness == {"relu": 1, "tanh": 4, "sin": 4, "gaussian": 4, "softplus": 4}


def test_description_of_a_network():
    basis = make_basis({"width": 32, "activation": "relu"}, [0.0], [1.0])
    assert basis.describe() == "mlp, width 32, depth 1, relu, Box initialization"


WRONG = [
    ({"kind": "mpl"}, "unknown basis kind 'mpl'"),
    ({"width": 0}, "'width' must be a whole number of at least 1, not 0"),
    ({"width": 2.5}, "'width'"),
    ({"width": True}, "'width'"),
    ({"depth": -1}, "'depth'"),
    ({"activation": "tahn"}, "relu, tanh, sin, gaussian, softplus; did you mean 'tanh'?"),
    ({"activation": 3}, "unknown activation 3"),
    ({"initialization": "xavier"}, "unknown initialization 'xavier'; there are box, he, glorot"),
    ({"scale": 0}, "'scale' must be a positive number"),
    ({"kind": "pou_rbf", "partitions": 0}, "'partitions' must be a whole number of at least 1, not 0"),
    ({"kind": "pou_resnet", "degree": -1}, "'degree' must be a whole number of at least 0"),
    ({"kind": "pou_rbf", "degree": 41}, "at most 40"),
    ({"kind": "pou_rbf", "partitions": [2, 2]}, "'partitions' must be a whole number"),
    ({"kind": "pou_rbf", "scale": -1}, "'scale' must be a positive number"),
    ({"kind": "pou_rbf", "width": 8}, "no setting 'width'; it has partitions, degree, scale, anisotropic"),
    ({"kind": "pou_resnet", "partitons": 8}, "did you mean 'partitions'?"),
    ({"kind": "pou_resnet", "width": 0}, "'width' must be a whole number"),
    ({"scale": float("nan")}, "'scale'"),
    ({"widht": 3}, "no setting 'widht'; it has width, depth, activation, initialization, scale; did you mean 'width'?"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=[str(settings) for settings, _ in WRONG])
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(PinnsolveError) as caught:
        make_basis(settings, [0.0], [1.0])
    assert message in str(caught.value)


def test_wrong_boxes_sizes_and_hidden_parameters_are_refused():
    for lower, upper in (([0.0], [0.0]), ([0.0], [1.0, 2.0]), ([], []), ([0.0], [float("inf")])):
        with pytest.raises(PinnsolveError, match="box with lower < upper"):
            make_basis({"kind": "mlp"}, lower, upper)
    with pytest.raises(ResourceError, match="hidden parameters"):
        make_basis({"width": 10**6, "depth": 3}, [0.0], [1.0])
    basis = make_basis({"width": 3, "depth": 2}, [0.0], [1.0])
    with pytest.raises(PinnsolveError, match=r"layer1\.offsets: None for \(3,\)"):
        basis.with_hidden({name: value for name, value in basis.hidden.items() if name != "layer1.offsets"})
    with pytest.raises(PinnsolveError, match=r"layer0\.slopes: \(3, 2\) for \(3, 1\)"):
        basis.with_hidden({**basis.hidden, "layer0.slopes": torch.zeros(3, 2)})


def test_a_basis_is_frozen():
    basis = make_basis({"kind": "resnet", "width": 3}, [0.0], [1.0])
    with pytest.raises(AttributeError):
        basis.width = 4
