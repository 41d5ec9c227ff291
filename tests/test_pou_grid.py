"""Windows on a grid: a partition of unity whose edges move, and sharp cells by sparse least squares."""

from __future__ import annotations

import pytest
import torch

import pinnsolve as ps
from pinnsolve.bases import make_basis, restore_basis
from pinnsolve.errors import PinnsolveError, ResourceError

BOX = ([0.0, -1.0], [1.0, 2.0])
SETTINGS = {"kind": "pou_grid", "partitions": [3, 4], "degree": [2, 3], "overlap": 0.3}
LAYER = {"kind": "pou_grid", "partitions": 6, "degree": 4, "overlap": 0.4}


def points(count: int = 300) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    lower, upper = (torch.tensor(corner, dtype=torch.float64) for corner in BOX)
    return lower + (upper - lower) * torch.rand(count, 2, generator=generator, dtype=torch.float64)


def moved(basis):
    """The basis with edges of its own choice."""
    generator = torch.Generator().manual_seed(1)
    return basis.with_hidden(
        {
            name: value + torch.randn(value.shape, generator=generator, dtype=value.dtype)
            for name, value in basis.hidden.items()
        }
    )


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.3, 0.5])
def test_windows_are_a_partition_of_unity(overlap):
    basis = moved(make_basis({**SETTINGS, "overlap": overlap}, *BOX))
    for axis in (0, 1):
        windows = basis.windows(points()[:, axis], axis)[0]
        assert float(windows.min()) >= -1e-14
        torch.testing.assert_close(windows.sum(dim=1), torch.ones(300, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("overlap", [0.0, 0.3])
def test_polynomials_are_reproduced(overlap):
    basis = moved(make_basis({**SETTINGS, "overlap": overlap}, *BOX))
    x = points()
    wanted = (1 + x[:, 0]) ** 2 * (x[:, 1] ** 3 - 2 * x[:, 1])
    table = basis.derivatives(x, [(0, 0)])[(0, 0)]
    found = table @ torch.linalg.lstsq(table, wanted[:, None], driver="gelsd").solution
    assert float((found[:, 0] - wanted).abs().max()) < 1e-10


@pytest.mark.parametrize("alpha, axis", [((1, 0), 0), ((0, 1), 1), ((2, 0), 0), ((0, 3), 1), ((1, 2), 0)])
def test_derivatives_agree_with_differences(alpha, axis):
    basis, x, h = moved(make_basis(SETTINGS, *BOX)), points(), 1e-5
    below = tuple(a - (i == axis) for i, a in enumerate(alpha))
    shift = torch.zeros(2, dtype=torch.float64)
    shift[axis] = h
    found = basis.derivatives(x, [alpha])[alpha]
    ahead, behind = (basis.derivatives(x + s * shift, [below])[below] for s in (1, -1))
    assert float(((ahead - behind) / (2 * h) - found).abs().max()) < 1e-5 * float(found.abs().max())


def test_autograd_reaches_the_edges():
    basis, x = make_basis(SETTINGS, *BOX), points(40)
    sizes = {name: value.clone().requires_grad_(True) for name, value in basis.hidden.items()}

    def value(direction: float) -> torch.Tensor:
        hidden = {name: (v.detach() if direction else v) + direction for name, v in sizes.items()}
        hidden["sizes1"] = (sizes["sizes1"].detach() if direction else sizes["sizes1"]) + direction * torch.arange(
            4.0
        ).double()
        return basis.derivatives(x, [(0, 2)], hidden)[(0, 2)].square().sum()

    value(0.0).backward()
    slope = float(sizes["sizes1"].grad @ torch.arange(4.0).double() + sizes["sizes0"].grad.sum())
    with torch.no_grad():
        difference = float(value(1e-6) - value(-1e-6)) / 2e-6
    assert slope == pytest.approx(difference, rel=1e-5)


def test_restored_bit_for_bit():
    basis = moved(make_basis(SETTINGS, *BOX))
    other = restore_basis(basis.settings(), basis.hidden, *BOX)
    x = points(20)
    assert torch.equal(basis.derivatives(x, [(1, 1)])[(1, 1)], other.derivatives(x, [(1, 1)])[(1, 1)])


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"partitions": 0}, "at least 1"),
        ({"degree": -1}, "at least 0"),
        ({"partitions": [2, 2, 2]}, "one for each of the 2"),
        ({"overlap": 0.7}, "between 0"),
        ({"width": 3}, "no setting 'width'"),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(PinnsolveError, match=words):
        make_basis({"kind": "pou_grid", **settings}, *BOX)


def test_a_dense_grid_that_is_far_too_large():
    with pytest.raises(ResourceError, match="at most"):
        make_basis({**SETTINGS, "partitions": 100}, *BOX)


def test_sharp_cells_of_the_file():
    solution = ps.solve(ps.load("poisson-2d"), basis={"kind": "pou_grid", "partitions": [3, 2], "degree": 8})
    result = solution.result
    assert "6 cells" in result["basis"] and result["relative_l2_error"]["u"] < 1e-7
    assert 0.2 < result["effectivity"]["u"] < 5


def test_sharp_cells_do_not_move():
    with pytest.raises(PinnsolveError, match="overlap"):
        ps.solve(ps.load("poisson-2d"), method="lsgd", basis={**SETTINGS, "overlap": 0})


def test_moving_the_edges_pays_at_a_layer():
    """Six partitions of degree 4 around a thin layer: LSGD moves their edges into it."""
    problem = ps.load("convection-diffusion")
    fixed, moving = (
        ps.solve(problem, basis=LAYER, method=method).result["relative_l2_error"]["u"]
        for method in ("least_squares", "lsgd")
    )
    assert moving < 0.1 * fixed
