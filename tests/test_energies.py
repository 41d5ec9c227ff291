"""Energies of linear problems: which have one, its gradient on cells, and how levels of it go on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt.energy_levels import as_levels_tell, energies, split_by_energy, with_error
from pinnsolve.adapt.foreseen_energies import left_by_halving, split_for
from pinnsolve.adapt.hp_refinement import corrected, first_space, make_system, newton, solve_level
from pinnsolve.assembly.compressed_rows import summed
from pinnsolve.assembly.energy_rows import energy_rows
from pinnsolve.assembly.normal_blocks import normal_blocks
from pinnsolve.assembly.row_source import RowBlock, State
from pinnsolve.bases.piecewise.mesh import Cells, uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.energies import energies_of, energies_to_minimize
from pinnsolve.least_squares.block_cholesky import BlockCholesky, BlockMatrix
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

CUBE = {"x": [0, 1], "y": [0, 1], "z": [0, 1]}
NOTHING = torch.zeros(0, dtype=torch.float64)


def compiled(equation: str | dict, conditions: dict, unknowns="u", coordinates=CUBE, **more):
    equations = equation if isinstance(equation, dict) else {"balance": equation}
    parts = {"unknowns": unknowns, "equations": equations, "conditions": conditions, "coordinates": coordinates}
    return compile_problem(build_problem(spec_from_dict({"name": "energy", **parts, **more})))


def everywhere(text: str) -> dict:
    return {"walls": {"on": "boundary", "equation": text}}


def beam(split: str = "lame", **more):
    stress = {
        "x": f"{split}*div(u)*n_x + shear*(Dn(u_x) + D(u_x, x)*n_x + D(u_y, x)*n_y + D(u_z, x)*n_z) = 0",
        "y": f"{split}*div(u)*n_y + shear*(Dn(u_y) + D(u_x, y)*n_x + D(u_y, y)*n_y + D(u_z, y)*n_z) = 0",
        "z": f"{split}*div(u)*n_z + shear*(Dn(u_z) + D(u_x, z)*n_x + D(u_y, z)*n_y + D(u_z, z)*n_z) = 0",
    }
    free = {"on": ["x = 1", "y = 0", "y = 1", "z = 0", "z = 1"], "equations": list(stress.values())}
    conditions = {"clamped": {"on": "x = 0", "equation": "u = [0, 0, 0]"}, "free": free}
    equation = "(lame + shear)*grad(div(u)) + shear*laplacian(u) = [0, 0, 1]"
    return compiled(equation, conditions, {"u": "vector"}, parameters={"lame": 1.5, "shear": 1}, **more)


def hanging_cells() -> Cells:
    """A cube in cells of several sizes, some of whose faces meet two others."""
    cells = Cells(torch.zeros(1, 3).double(), torch.ones(1, 3).double())
    for axis in range(3):
        axes = torch.zeros(cells.count, 3, dtype=torch.bool)
        axes[:, axis] = True
        cells = cells.split(cells.lower[:, (axis + 1) % 3] < 0.4, axes)
    return cells


# -- which problems have an energy --------------------------------------------------------------------------------


def test_an_elastic_body_has_the_fluxes_that_its_conditions_state():
    (found,) = energies_of(beam())
    names = [str(r) for r in found.fluxes.residuals]
    assert names[1] == names[3] and names[2] == names[6] and names[5] == names[7]  # stresses are symmetric
    assert "3.5" in names[0] and "1.5" in names[0]
    assert [wall.held for wall in found.walls] == [(True,) * 3, *[(False,) * 3] * 5]


def test_stresses_that_are_not_those_of_the_equation_have_no_energy():
    assert energies_of(beam(split="0.5*lame")) == ()


def test_the_sign_of_an_equation_does_not_matter():
    one, two = (energies_of(compiled(text, everywhere("u = 0"))) for text in ("laplacian(u) = x", "-laplacian(u) = -x"))
    assert one == two and len(one) == 1


@pytest.mark.parametrize(
    "equation, conditions",
    [
        ("laplacian(u) + 30*u = 1", everywhere("u = 0")),  # oscillates
        ("laplacian(u) + D(u, x) = 1", everywhere("u = 0")),  # is carried along
        ("laplacian(u) = u**2 + 1", everywhere("u = 0")),
        ("D(u, x, 4) + D(u, y, 4) + D(u, z, 4) = 1", everywhere("u = 0")),
        ("D(u, x, 2) + D(u, y, 2) - D(u, z, 2) = 1", everywhere("u = 0")),
        ("(1 + x)*laplacian(u) = 1", everywhere("u = 0")),  # no flux has this divergence
        ("laplacian(u) = 1", everywhere("Dn(u) = u")),  # gains what leaves
        ("laplacian(u) = 1", everywhere("Dn(u) + D(u, x) + D(u, y) = 0")),  # oblique
        ("laplacian(u) = 1", {"a": {"on": "boundary", "where": "x < 0.5", "equation": "u = 0"},
                              "b": {"on": "boundary", "where": "x >= 0.5", "equation": "Dn(u) = 0"}}),
    ],
)  # fmt: skip
def test_other_problems_have_none(equation, conditions):
    assert energies_of(compiled(equation, conditions)) == ()


def test_unsymmetric_couplings_have_none():
    equations = {"one": "laplacian(u) = u - v + 1", "two": "laplacian(v) = 2*u + 3*v"}
    symmetric = {**equations, "two": "laplacian(v) = 3*v - u"}
    conditions = {"walls": {"on": "boundary", "equations": ["u = 0", "v = 1"]}}
    assert energies_of(compiled(equations, conditions, ["u", "v"])) == ()
    assert len(energies_of(compiled(symmetric, conditions, ["u", "v"]))) == 1


@pytest.mark.parametrize(
    "more, minimized",
    [({}, True), ({"solve": {"method": "least_squares"}}, False), ({"solve": {"basis": {"kind": "mlp"}}}, False)],
)
def test_what_a_file_asks_for_is_not_changed(more, minimized):
    assert bool(energies_to_minimize(beam(**more))) == minimized


def plate(where: str = "x = 0", **more):
    free = [face for face in ("x = 0", "x = 4", "y = 0", "y = 1") if face != where]
    conditions = {
        "clamped": {"on": where, "equation": "u = [0, 0]"},
        "free": {"on": free, "equations": [
            "lame*div(u)*n_x + shear*(Dn(u_x) + D(u_x, x)*n_x + D(u_y, x)*n_y) = 0",
            "lame*div(u)*n_y + shear*(Dn(u_y) + D(u_x, y)*n_x + D(u_y, y)*n_y) = 0",
        ]},
    }  # fmt: skip
    return {
        "name": "plate", "coordinates": {"x": [0, 4], "y": [0, 1]}, "unknowns": {"u": "vector"},
        "parameters": {"lame": 1.5, "shear": 1}, "conditions": conditions,
        "equations": {"balance": "(lame + shear)*grad(div(u)) + shear*laplacian(u) = [0, 1]"}, **more,
    }  # fmt: skip


def test_in_the_plane_only_what_is_coupled_is_minimized():
    square = {"x": [0, 1], "y": [0, 1]}
    assert energies_to_minimize(compiled("laplacian(u) = 1", everywhere("u = 0"), coordinates=square)) == ()
    assert energies_to_minimize(compile_problem(build_problem(spec_from_dict(plate())))) != ()


def test_a_clamped_plate_is_as_soft_from_either_side():
    values = []
    x, y = (v.flatten() for v in torch.meshgrid(torch.linspace(0, 4, 17), torch.linspace(0, 1, 5), indexing="ij"))
    for where, places, tolerance in (("x = 0", x, 1e-4), ("x = 4", 4 - x, 1e-6)):
        solution = ps.solve(build_problem(spec_from_dict(plate(where))), tolerance=tolerance)
        assert solution.result["status"] == "converged"
        values.append(torch.as_tensor(solution(x=places.double().numpy(), y=y.double().numpy())["u_y"]))
    assert float((values[0] - values[1]).norm() / values[1].norm()) <= 1e-4


# -- its gradient on cells ----------------------------------------------------------------------------------------


def test_the_matrix_is_symmetric_and_positive_and_both_factorizations_solve_it():
    problem = beam()
    space = Space(hanging_cells(), (3, 2, 3), (2, 2, 2))
    system = make_system(problem, space, {})
    rows = system.rows_of(system.sources, State(None, NOTHING))
    like = system.zero().flatten(1)
    _, diagonal, blocks = normal_blocks(rows, system.pairs, like, lambda: None, False)
    n, whole = system.columns, torch.zeros(like.numel(), like.numel(), dtype=torch.float64)
    for i, block in enumerate(diagonal):
        whole[i * n : (i + 1) * n, i * n : (i + 1) * n] = block
    for (i, j), block in zip(system.pairs, blocks, strict=True):
        whole[i * n : (i + 1) * n, j * n : (j + 1) * n] = block
        whole[j * n : (j + 1) * n, i * n : (i + 1) * n] = block.mT
    assert float((whole - whole.mT).abs().max()) < 1e-12 * float(whole.abs().max())
    assert float(torch.linalg.eigvalsh(whole).min()) > 0.0
    b = torch.randn(like.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.linalg.solve(whole, b.flatten()).reshape(b.shape)
    system.condenses = True
    for factor in (BlockCholesky(BlockMatrix(diagonal, system.pairs, blocks), system.tree), system.factorize(rows)):
        torch.testing.assert_close(factor.solve(b), expected, rtol=1e-7, atol=1e-7 * float(expected.abs().max()))


def test_polynomials_are_solutions_on_any_cells():
    exact = "x**2*y - 2*y*z + z**3 + 1"
    flux = {"x": "2*x*y", "y": "(x**2 - 2*z)", "z": "(3*z**2 - 2*y)"}
    conditions = {
        "held": {"on": ["x = 0", "z = 1"], "equation": f"u = {exact}"},
        "lost": {"on": "x = 1", "equation": f"k*D(u, x) + 2*u = k*{flux['x']} + 2*({exact})"},
        "given": {"on": ["y = 0", "y = 1", "z = 0"], "equation": f"Dn(u) = n_y*{flux['y']} + n_z*{flux['z']}"},
    }
    divergence = " + ".join(f"D(k*{f}, {c})" for c, f in flux.items())
    problem = compiled(
        f"div([k*D(u, x), k*D(u, y), k*D(u, z)]) = (1 + x)*(u - ({exact})) + {divergence}",
        conditions, definitions={"k": "2 + x - y*z"},
    )  # fmt: skip
    assert energies_of(problem) != ()
    space = Space(hanging_cells(), (4, 4, 4), (2, 2, 2))
    start = State(torch.zeros(space.cells.count, 1, space.functions, dtype=torch.float64), NOTHING)
    level = solve_level(problem, space, start, {}, newton(1e-10))
    x = torch.rand(200, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    a, b, c = x.T
    expected = a**2 * b - 2 * b * c + c**3 + 1
    torch.testing.assert_close(space.values(level.c, x, (0, 0, 0))[0], expected, rtol=0, atol=1e-9)


def test_parts_of_one_cell_are_summed_and_others_kept():
    def block(cells, value, tested=True):
        chosen = torch.tensor(cells)
        A = torch.full((len(cells), 2, 2), value, dtype=torch.float64)
        return RowBlock("part", A[..., 0], [(chosen, A)], tested=tested)

    blocks = summed([block([0], 1.0), block([1, 2], 2.0)], 3)
    blocks = summed([*blocks, block([2, 0], 5.0)], 3)
    assert len(blocks) == 1 and blocks[0].sides[0][1][:, 0, 0].tolist() == [6.0, 2.0, 7.0]
    assert blocks[0].r[:, 0].tolist() == [6.0, 2.0, 7.0]
    assert len(summed([*blocks, block([0], 1.0, tested=False)], 3)) == 2


def test_rows_count_the_points_of_every_term():
    problem = beam()
    space = Space(hanging_cells(), (2, 2, 2), (2, 2, 2))
    counts: dict[str, int] = {}
    for source in energy_rows(energies_of(problem), problem, space):
        for name, count in source.point_counts.items():
            counts[name] = counts.get(name, 0) + count
    assert set(counts) == {term.name for term in problem.terms} and min(counts.values()) > 0


# -- levels -------------------------------------------------------------------------------------------------------


def heated_cube(x: torch.Tensor) -> torch.Tensor:
    """The solution of -laplacian(u) = 1 in the unit cube, zero on its faces, by sines."""
    k = torch.arange(1, 80, 2, dtype=torch.float64)
    waves = [torch.sin(math.pi * k * one[:, None]) for one in x.T]
    square = (k**2)[:, None, None] + (k**2)[:, None] + k**2
    c = 64 / (math.pi**5 * k[:, None, None] * k[:, None] * k * square)
    return torch.einsum("na,nb,nc,abc->n", *waves, c)


def test_a_steep_solution_is_met_with_an_error_that_is_told():
    solution = ps.solve(build_problem(spec_from_dict({
        "name": "cube", "coordinates": CUBE, "unknowns": "u", "equations": {"heat": "-laplacian(u) = 1"},
        "conditions": everywhere("u = 0"),
    })), tolerance=1e-4)  # fmt: skip
    x = 0.05 + 0.9 * torch.rand(300, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = heated_cube(x)
    error = float(
        (torch.as_tensor(solution(**dict(zip("xyz", x.T.numpy(), strict=True)))) - expected).norm() / expected.norm()
    )
    assert solution.result["status"] == "converged" and solution.result["method"] == "least energy"
    assert error <= 1e-4
    assert solution.result["estimated_error"]["u"] < 10 * error


def test_cells_of_a_symmetric_problem_stay_symmetric():
    problem = compiled("-laplacian(u) = 1", everywhere("u = 0"))
    space = first_space(problem)
    begin = State(torch.zeros(1, 1, space.functions, dtype=torch.float64), NOTHING)
    levels = []
    for _ in range(3):
        level = corrected(solve_level(problem, space, begin, {}, newton(1e-6)), problem, {})
        level = as_levels_tell(level, levels)
        levels.append(level)
        space = split_by_energy(level, 1e-6)
        begin = State(torch.zeros(space.cells.count, 1, space.functions, dtype=torch.float64), NOTHING)
    sizes = [sorted(space.cells.size[:, axis].tolist()) for axis in range(3)]
    assert sizes[0] == sizes[1] == sizes[2] and space.cells.count > 8
    centres = {tuple(round(v, 9) for v in c) for c in space.cells.centres.tolist()}
    assert {tuple(round(1 - v, 9) for v in c) for c in centres} == centres
    assert bool((energies(levels[-1]) >= 0).all())


def test_two_levels_tell_what_a_correction_leaves_of_the_error():
    """Of a series in which every correction takes half of the error, as much is left as the last one took."""
    problem = compiled("-laplacian(u) = 1", everywhere("u = 0"))
    space = first_space(problem)
    begin = State(torch.zeros(1, 1, space.functions, dtype=torch.float64), NOTHING)
    level = corrected(solve_level(problem, space, begin, {}, newton(1e-6)), problem, {})
    fine, delta = level.correction.space, level.correction.delta
    assert as_levels_tell(level, []) is level and not level.answers_corrected
    one_before = replace(level.correction, delta=2.0 * delta)
    before = replace(level, space=fine, c=level.correction.c - 3.0 * delta, correction=one_before)
    of_other_degrees = as_levels_tell(level, [before])
    assert not of_other_degrees.answers_corrected
    assert torch.allclose(of_other_degrees.error, 2.0 * fine.rms(delta))
    told = as_levels_tell(replace(level, space=fine), [before])
    assert math.isclose(told.correction.seen, 0.5) and told.answers_corrected
    assert torch.allclose(told.error, fine.rms(delta))
    assert torch.allclose(fine.rms(with_error(told) - told.correction.c), told.error)


def edge_energies(cells: Cells) -> torch.Tensor:
    """(C, 3): energy at the edge along z at x = y = 0 alone, as long as it is in the cell, across both axes."""
    at = ((cells.lower[:, :2] <= 1e-12).all(dim=1)).double() * cells.size[:, 2]
    return torch.stack([0.5 * at, 0.5 * at, 0.0 * at], dim=1)


def quarters() -> Cells:
    return uniform_cells(torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64), (2, 2, 1))


def test_energy_at_an_edge_is_handed_on_to_cells_at_the_edge():
    cells = quarters()
    finer = split_for(cells, edge_energies(cells), 0.1, 0.4)
    assert finer.count == 4 + 3 * 3  # one cell halved across the edge alone, three times, since 0.4^3 < 0.1
    assert bool((finer.size[:, 2] == 1.0).all()) and float(finer.size.min()) == 0.5**4
    assert split_for(cells, edge_energies(cells), 0.1, None).count == 7
    assert split_for(cells, edge_energies(cells), 1e-6, 0.4).count == 7  # too far off to be foreseen


def test_what_halving_leaves_is_told_by_two_levels():
    cells = quarters()
    finer = split_for(cells, edge_energies(cells), 0.5, None)
    assert math.isclose(left_by_halving(cells, edge_energies(cells), finer, 0.3 * edge_energies(finer)), 0.3)
    assert left_by_halving(cells, edge_energies(cells), finer, 2.0 * edge_energies(finer)) is None
    assert left_by_halving(cells, edge_energies(cells), cells, edge_energies(cells)) is None
