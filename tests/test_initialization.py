"""Box, He and Glorot: what their definitions promise, and the rank of the initial basis."""

from __future__ import annotations

import itertools
from math import e

import pytest
import torch

from pinnsolve.bases import make_basis
from pinnsolve.bases.networks.activations import ACTIVATIONS
from pinnsolve.bases.networks.initialization import (
    NetworkShape,
    box_layer,
    glorot_slopes,
    he_slopes,
    initial_layers,
    numerical_rank,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cube(inputs: int, low: float = 0.0, high: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((inputs,), low, dtype=torch.float64), torch.full((inputs,), high, dtype=torch.float64)


def corners(inputs: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    return torch.tensor(list(itertools.product((low, high), repeat=inputs)), dtype=torch.float64)


def values(settings: dict, points: torch.Tensor, seed: int = 0) -> torch.Tensor:
    dimension = points.shape[1]
    basis = make_basis(settings, [0.0] * dimension, [1.0] * dimension, seed)
    return basis.derivatives(points, ((0,) * dimension,))[(0,) * dimension]


@pytest.mark.parametrize("inputs", [1, 2, 5])
@pytest.mark.parametrize("interval", [(0.0, 1.0), (-1.0, 2.0)])
def test_box_layer_reaches_its_top_and_cuts_the_box(inputs, interval):
    slopes, offsets = box_layer(50, cube(inputs, *interval), 3.0, generator())
    y = corners(inputs, *interval) @ slopes.T + offsets  # an affine function is extreme at corners
    torch.testing.assert_close(y.max(0).values, torch.full((50,), 3.0, dtype=torch.float64))
    assert (y.min(0).values < 0).all()


def test_box_layer_cut_planes_are_uniform_in_one_dimension():
    slopes, offsets = box_layer(4000, cube(1), 1.0, generator())
    p = -offsets / slopes[:, 0]
    assert p.min() >= 0 and p.max() <= 1
    deviation = (p.sort().values - torch.linspace(0, 1, 4000, dtype=torch.float64)).abs().max()
    assert deviation < 1.63 / 4000**0.5  # Kolmogorov-Smirnov at 1 %
    assert 0.45 < (slopes > 0).double().mean() < 0.55


def test_box_layer_symmetric():
    slopes, offsets = box_layer(50, cube(3), 0.25, generator(), symmetric=True)
    y = corners(3) @ slopes.T + offsets
    torch.testing.assert_close(y.abs().max(0).values, torch.full((50,), 0.25, dtype=torch.float64))


def test_relu_functions_of_a_plain_box_basis_stay_in_the_unit_interval():
    points = torch.rand(500, 2, generator=generator(1), dtype=torch.float64)
    shallow, deep = (values({"width": 20, "depth": depth, "activation": "relu"}, points) for depth in (1, 8))
    assert shallow.min() >= 0 and shallow.max() <= 1
    assert deep.min() >= 0 and deep.max() <= 1.1  # the inner boxes are those of a sample


@pytest.mark.parametrize("name", ["relu", "tanh"])
@pytest.mark.parametrize("dimension", [1, 2])
def test_plain_box_keeps_the_rank(name, dimension):
    """Full for relu; for tanh not below that of one layer, which its smoothness bounds."""
    points = torch.rand(256, dimension, generator=generator(1), dtype=torch.float64)

    def rank(depth: int) -> int:
        return numerical_rank(values({"width": 32, "depth": depth, "activation": name}, points), 1e-10)

    least = 30 if name == "relu" else rank(1)
    assert rank(8) >= least and rank(32) >= least


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("depth", [2, 16, 128])
def test_growth_of_residual_layers_is_bounded(name, depth):
    points = torch.rand(200, 2, generator=generator(1), dtype=torch.float64)
    found = values({"kind": "resnet", "width": 16, "depth": depth, "activation": name}, points)
    low, high = ACTIVATIONS[name].bounds(1.0)
    assert found.abs().max() <= e * max(-low, high)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("bound", [1e-3, 0.1, 1.0])
def test_argument_keeps_the_bound(name, bound):
    top, symmetric = ACTIVATIONS[name].argument(bound)
    y = torch.linspace(-top if symmetric else -50.0, top, 2001, dtype=torch.float64)
    found = ACTIVATIONS[name].function.shapes(y, (0,))[0].abs().max()
    assert found <= bound * (1 + 1e-12)
    assert found > 0.75 * bound  # and no smaller interval than needed (tanh 1 = 0.76)


def test_scale_multiplies_the_first_layer_only():
    def layers(initialization, scale):
        return initial_layers(
            initialization,
            ACTIVATIONS["tanh"],
            NetworkShape(dimension=2, width=6, depth=2, residual=True),
            scale=scale,
            seed=3,
        )

    for initialization in ("box", "he", "glorot"):
        once, thrice = layers(initialization, 1.0), layers(initialization, 3.0)
        torch.testing.assert_close(thrice[0][0], 3 * once[0][0])
        torch.testing.assert_close(thrice[0][1], 3 * once[0][1])
        torch.testing.assert_close(thrice[1], once[1])


def test_he_and_glorot_have_their_variances():
    he, glorot = he_slopes(400, 100, generator()), glorot_slopes(400, 100, generator())
    assert he.var().item() == pytest.approx(2 / 100, rel=0.03)
    assert glorot.var().item() == pytest.approx(2 / 500, rel=0.03)
    assert glorot.abs().max() <= (6 / 500) ** 0.5


def test_same_numbers_in_every_type_and_no_global_state():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    single = make_basis({"kind": "resnet", "width": 7}, [0.0], [1.0], 4, dtype=torch.float32)
    double = make_basis({"kind": "resnet", "width": 7}, [0.0], [1.0], 4)
    assert torch.equal(before, torch.get_rng_state())
    for name, value in double.hidden.items():
        assert torch.equal(single.hidden[name], value.float())


def test_numerical_rank():
    matrix = torch.diag(torch.tensor([2.0, 1.0, 1e-5, 1e-12, 1e-18], dtype=torch.float64))
    assert numerical_rank(matrix, 1e-10) == 3
    assert numerical_rank(matrix) == 4
    assert numerical_rank(matrix * float("nan")) == 0
    assert numerical_rank(torch.zeros(3, 2)) == 0


@pytest.mark.parametrize("depth", [8, 32, 128])
def test_residual_box_keeps_the_rank_where_he_and_glorot_lose_it(depth):
    points = torch.linspace(0, 1, 256, dtype=torch.float64)[:, None]

    def rank(initialization: str, seed: int) -> int:
        settings = {"kind": "resnet", "width": 32, "depth": depth, "activation": "relu"}
        return numerical_rank(values({**settings, "initialization": initialization}, points, seed), 1e-10)

    assert min(rank("box", seed) for seed in range(4)) >= 31
    assert rank("he", 0) < 16
    assert rank("glorot", 0) < 16


def test_rank_in_two_dimensions():
    """With one coordinate He has nothing to lose: zero offsets make every function a multiple of x."""
    points = torch.rand(256, 2, generator=generator(1), dtype=torch.float64)

    def rank(initialization: str, depth: int) -> int:
        settings = {"kind": "resnet", "width": 32, "depth": depth, "activation": "relu"}
        return numerical_rank(values({**settings, "initialization": initialization}, points), 1e-10)

    assert rank("box", 8) == rank("box", 128) == 32
    assert rank("he", 8) > 16 and rank("he", 128) < 8
    assert rank("glorot", 8) > 16 and rank("glorot", 128) < 8
