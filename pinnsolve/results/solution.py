"""The result of a solve: a function that can be called, differentiated, plotted, saved and loaded.

Input: a basis with its coefficients and what the solve reported. Output: values at points, and the run folder
(`result.json`, `solution.npz`, `problem.yaml`, `history.jsonl`), which holds no pickle and restores bit for bit.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pinnsolve import extensions
from pinnsolve.errors import PinnsolveError, SolutionError
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.regions import Subdomain
from pinnsolve.geometry.serialization import from_plain, mesh_files, to_plain
from pinnsolve.geometry.shapes import ShapeTree
from pinnsolve.geometry.subdomains import PartOfDomain, plain_places, restored_places
from pinnsolve.language.components import component_names
from pinnsolve.language.symbols import MAX_ORDER, MultiIndex
from pinnsolve.language.vocabulary import close_match
from pinnsolve.results.found_functions import FoundFunction, functions_of
from pinnsolve.results.storage import SERIES_FILE, SOLUTION_FILE, flatten, nest, read_run, write_run, write_table
from pinnsolve.spec.output import Output

if TYPE_CHECKING:
    import meshio

    from pinnsolve.bases import Basis

BOX_TOLERANCE = 1e-9  # relative to the interval: points this little outside the box are moved onto it
SHAPE_TOLERANCE = 1e-6  # relative to the size of a shape: nodes of a mesh in single precision are on its boundary
BLOCK_BYTES = 100e6  # of basis values at a time


Series = tuple[Sequence[str], np.ndarray]  # the names of columns, and rows


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """The approximation sum_i c_i Phi_i of each unknown on a box, or the shape in it, with how it came about.

    `coefficients` has shape (unknowns, W). `result` is what `result.json` holds (docs/tutorial.md, A first problem);
    `history` the records of the solve; `diagnostics` nested dicts of arrays for figures, e.g.
    `{"points": {term: (N, d)}, "residuals": {term: (N,)}}`. Calling it outside the box raises `SolutionError`:
    a basis says nothing there. `deviations` (K, unknowns, W) are coefficients of functions whose squares add up to the
    variance that noise of data leaves. Points within `BOX_TOLERANCE` of the box count as on it. Where the domain is a
    `shape`, values at points of the box outside it are NaN, and those of unknowns outside of their `homes`. `series`:
    header and rows of the quantities in time.
    `ranges`: the last of the coordinates, which are parameters with a range.
    `modes`: (K, unknowns, W) complex coefficients of the functions of eigenvalues, of which the first is the solution.
    `unknowns` are real; for each of the `complex_unknowns` there are two, as `psi_re` and `psi_im` for `psi`. Values of
    `psi` itself, `solution.psi(x=0.5)`, are complex.
    `vectors`: by name the unknowns that are the components of a vector, by direction of space.
    `output`: the times and the grid that the problem file asks for.
    `others`: what further guesses led to, saved in folders of their own inside that of this one.
    """

    name: str
    coordinates: tuple[str, ...]
    intervals: tuple[tuple[float, float], ...]
    time: str | None
    unknowns: tuple[str, ...]
    basis: Basis
    coefficients: Tensor
    parameters: dict[str, dict] = field(default_factory=dict)
    result: dict = field(default_factory=dict)
    history: tuple[dict, ...] = ()
    problem_text: str = ""
    diagnostics: dict = field(default_factory=dict)
    shape: ShapeTree | None = None
    deviations: Tensor | None = None
    modes: Tensor | None = None
    series: Series | None = None
    complex_unknowns: tuple[str, ...] = ()
    homes: Mapping[str, Subdomain] = field(default_factory=dict)
    others: tuple[Solution, ...] = ()
    ranges: tuple[str, ...] = ()
    output: Output = field(default_factory=Output)
    vectors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        signature = f"({', '.join(self.coordinates)})"
        functions = ", ".join(unknown + signature for unknown in self.names)
        return f"<Solution of {self.name!r}: {functions}; {self.result.get('status', 'no status')}>"

    # -- values ----------------------------------------------------------------------------------------

    def __call__(self, mode: int | None = None, **coordinates: Any) -> np.ndarray | dict[str, np.ndarray]:
        """The unknown at the coordinates, e.g. `solution(t=0.5, x=[0.1, 0.2])`, shaped by numpy's broadcasting.

        With several unknowns, a dict of arrays by name. Of eigenvalues, the function of that `mode`, the first being 1.
        Raises `SolutionError` for a coordinate that is missing, unknown, not a number or outside the box.
        """
        if mode is not None:
            return self.mode(mode)(**coordinates)
        points, shape = self._stack(coordinates)
        arrays = {name: values.reshape(shape) for name, values in self.columns(points, self.names).items()}
        return arrays if len(arrays) > 1 else arrays[self.names[0]]

    def __getattr__(self, name: str) -> Callable[..., np.ndarray]:
        """An unknown as a function of the coordinates: `solution.u(t=0.5, x=0.1)`."""
        known = vars(self)
        if name.startswith("__") or "complex_unknowns" not in known or name not in (*self.names, *self.unknowns):
            raise AttributeError(f"a solution has no attribute {name!r}")
        return self._function(name, self._zero)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The unknowns as the problem names them, complex ones included."""
        whole = {c: name for name in self.complex_unknowns for c in component_names(name)}
        return tuple(dict.fromkeys(whole.get(unknown, unknown) for unknown in self.unknowns))

    def mode(self, number: int) -> Solution:
        """The solution that belongs to an eigenvalue, the first being 1; of a complex one, its real part.

        Raises `SolutionError` where there is no such mode.
        """
        count = 0 if self.modes is None else len(self.modes)
        if not 1 <= number <= count:
            known = f"there are the modes 1 to {count}" if count else "this is no solution of an eigenvalue problem"
            raise SolutionError(f"there is no mode {number}; {known}")
        return replace(self, coefficients=self.modes[number - 1].real.contiguous())

    def derivative(self, unknown: str, *by: str | int) -> Callable[..., np.ndarray]:
        """A function of the coordinates: `derivative("u", "x", "x")` or `derivative("u", "x", 2)` is u_xx.

        Of eigenvalues, it takes the `mode` as a call of the solution does, the first being 1.
        Raises `SolutionError` for unknown names and for orders the basis does not have.
        """
        return self._function(unknown, self.multi_index(by))

    def _function(self, unknown: str, alpha: MultiIndex) -> Callable[..., np.ndarray]:
        self._rows(unknown)
        self._check_order(alpha)

        def evaluate(mode: int | None = None, **coordinates: Any) -> np.ndarray:
            if mode is not None:
                return self.mode(mode)._function(unknown, alpha)(**coordinates)
            points, shape = self._stack(coordinates)
            return self.values(points, unknown, alpha).reshape(shape)

        return evaluate

    def standard_deviation(self, unknown: str) -> Callable[..., np.ndarray]:
        """A function of the coordinates: the standard deviation of the unknown there, due to noise of the data.

        Raises `SolutionError` where the solution does not rest on measurements.
        """
        rows = self._rows(unknown)
        if self.deviations is None:
            raise SolutionError("this solution has no standard deviation: it does not rest on measured data")

        def evaluate(**coordinates: Any) -> np.ndarray:
            points, shape = self._stack(coordinates)
            x = torch.as_tensor(points).to(self.coefficients)
            with torch.no_grad():
                both = [self.basis.combined(x, [self._zero], self.deviations[:, i])[self._zero] for i in rows]
            return torch.cat(both).square().sum(dim=0).sqrt().cpu().numpy().reshape(shape)

        return evaluate

    def values(self, points: np.ndarray, unknown: str, alpha: MultiIndex | None = None) -> np.ndarray:
        """The derivative `alpha` (none: the value) of one unknown at points (N, d), shape (N,).

        Complex of a complex one. Computed in blocks of points, so that memory stays near `BLOCK_BYTES`.
        """
        alpha = self._zero if alpha is None else tuple(alpha)
        self._check_order(alpha)
        return _whole(self._evaluate(self._inside(points), alpha, self._rows(unknown)))

    def columns(
        self, points: np.ndarray, names: Iterable[str] | None = None, inside: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """The unknowns at points (N, d), or those of these `names`: (N,) by name, complex of a complex one.

        The functions of the basis are evaluated once for all of them, which `values` does for each. `inside` (N,) marks
        the points that are in the domain, where that is known already: it is the same at all times.
        """
        wanted = {name: self._rows(name) for name in (self.unknowns if names is None else names)}
        rows = list(dict.fromkeys(row for some in wanted.values() for row in some))
        found = self._evaluate(self._inside(points), self._zero, rows, inside)
        place = {name: [rows.index(row) for row in some] for name, some in wanted.items()}
        return {name: _whole(found[:, columns]) for name, columns in place.items()}

    def outside(self, points: np.ndarray) -> np.ndarray:
        """Mark the coordinates of points (N, d) that are not finite or leave the box: booleans (N, d)."""
        lower, upper = np.array(self.intervals, dtype=float).T
        slack = BOX_TOLERANCE * (upper - lower)
        return ~((points >= lower - slack) & (points <= upper + slack))  # NaN compares false, so it is outside

    def in_domain(self, points: np.ndarray) -> np.ndarray:
        """Mark the points (N, d) of the box that are in the domain, up to rounding: booleans (N,)."""
        if self.shape is None:
            return np.ones(len(points), dtype=bool)
        shape = make_shape(self.shape)
        space = [i for i, c in enumerate(self.coordinates) if c not in (self.time, *self.ranges)]
        x = torch.as_tensor(np.asarray(points, dtype=float)[:, space])
        found = shape.inside(x)
        for axis in range(len(space)):
            for step in (-SHAPE_TOLERANCE * shape.size, SHAPE_TOLERANCE * shape.size):
                doubtful = (~found).nonzero()[:, 0]
                moved = x[doubtful].clone()
                moved[:, axis] += step
                found[doubtful] = shape.inside(moved)
        return found.numpy()

    def multi_index(self, by: Sequence[str | int]) -> MultiIndex:
        """The multi-index of `("x", "x")` or `("x", 2)`."""
        alpha = [0] * len(self.coordinates)
        axis = None
        for item in by:
            if isinstance(item, str):
                axis = self._axis(item)
                alpha[axis] += 1
            elif isinstance(item, int) and not isinstance(item, bool) and item >= 1 and axis is not None:
                alpha[axis] += item - 1
                axis = None
            else:
                form = 'Give derivatives as coordinate names, each optionally followed by an order: ("x", 2)'
                raise SolutionError(f"{form}; got {item!r}.")
        return tuple(alpha)

    @property
    def _zero(self) -> MultiIndex:
        return (0,) * len(self.coordinates)

    def _rows(self, unknown: str) -> list[int]:
        """Where the coefficients of an unknown are; of a complex one, those of both parts."""
        if unknown in self.complex_unknowns:
            return [self.unknowns.index(component) for component in component_names(unknown)]
        if unknown not in self.unknowns:
            raise SolutionError(f"there is no unknown {unknown!r}{_did_you_mean(unknown, self.names)}")
        return [self.unknowns.index(unknown)]

    def _axis(self, coordinate: str) -> int:
        if coordinate not in self.coordinates:
            raise SolutionError(f"there is no coordinate {coordinate!r}{_did_you_mean(coordinate, self.coordinates)}")
        return self.coordinates.index(coordinate)

    def _check_order(self, alpha: MultiIndex) -> None:
        order = sum(alpha)
        if len(alpha) != len(self.coordinates) or min(alpha) < 0:
            raise SolutionError(f"{alpha} is not a multi-index over {', '.join(self.coordinates)}")
        if order > MAX_ORDER:
            raise SolutionError(f"derivatives are known up to order {MAX_ORDER}, not {order}")
        if order > self.basis.smoothness:
            raise SolutionError(
                f"this basis ({self.basis.describe()}) has derivatives up to order {self.basis.smoothness}, not {order}"
            )

    def _stack(self, given: Mapping[str, Any]) -> tuple[np.ndarray, tuple[int, ...]]:
        for name in given:
            self._axis(name)
        missing = [name for name in self.coordinates if name not in given]
        if missing:
            raise SolutionError(f"missing {', '.join(missing)}: the coordinates are {', '.join(self.coordinates)}")
        arrays = [_numbers(name, given[name]) for name in self.coordinates]
        try:
            arrays = np.broadcast_arrays(*arrays)
        except ValueError:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(self.coordinates, arrays, strict=True))
            raise SolutionError(f"the shapes of the coordinates do not fit together: {shapes}") from None
        return self._inside(np.stack([a.ravel() for a in arrays], axis=1)), arrays[0].shape

    def _inside(self, points: np.ndarray) -> np.ndarray:
        points = np.asarray(points, dtype=float)
        if points.ndim != 2 or points.shape[1] != len(self.coordinates):
            raise SolutionError(f"points have shape (N, {len(self.coordinates)}), not {points.shape}")
        bad = np.argwhere(self.outside(points))
        if len(bad):
            row, axis = bad[0]
            raise SolutionError(self.describe_outside(int(axis), float(points[row, axis])))
        lower, upper = np.array(self.intervals, dtype=float).T
        return np.clip(points, lower, upper)

    def describe_outside(self, axis: int, value: float) -> str:
        """Say why the solution cannot be evaluated at a coordinate's value."""
        low, high = self.intervals[axis]
        if not math.isfinite(value):
            return f"{self.coordinates[axis]} = {value} is not a finite number"
        return f"{self.coordinates[axis]} = {value!r} lies outside [{low:g}, {high:g}]"

    def _evaluate(
        self, points: np.ndarray, alpha: MultiIndex, rows: Iterable[int], inside: np.ndarray | None = None
    ) -> np.ndarray:
        """sum_i c_i D^alpha Phi_i at points (N, d), for the unknowns in `rows`: (N, rows); NaN where none lives."""
        rows = list(rows)
        at_home = [i for i in rows if self.unknowns[i] in self.homes]
        result = np.full((len(points), len(rows)), np.nan)
        if inside is None:
            inside = slice(None) if self.shape is None else self.in_domain(points)
        result[inside] = self._combined(points[inside], alpha, rows)
        for i in at_home:
            place = PartOfDomain(self.homes[self.unknowns[i]], self.coordinates, self.intervals, self.time, self.shape)
            moved, lives = (t.numpy() for t in place.moved(torch.as_tensor(points)))
            column = rows.index(i)
            result[~lives, column] = np.nan
            elsewhere = lives & (moved != points).any(axis=1)
            result[elsewhere, column] = self._combined(moved[elsewhere], alpha, [i])[:, 0]
        return result

    def _combined(self, points: np.ndarray, alpha: MultiIndex, rows: Iterable[int]) -> np.ndarray:
        # a jet of order alpha holds prod(alpha + 1) arrays of the size of the block, and works with copies
        jets = math.prod(a + 1 for a in alpha)
        coefficients = self.coefficients[list(rows)]  # (rows, W)
        block = max(16, int(BLOCK_BYTES / (4 * jets * self.basis.held * coefficients.element_size())))
        result = np.empty((len(points), coefficients.shape[0]))
        with torch.no_grad():
            for start in range(0, len(points), block):
                part = torch.as_tensor(points[start : start + block]).to(coefficients)
                values = self.basis.combined(part, [alpha], coefficients)[alpha]  # (rows, block)
                result[start : start + block] = values.T.cpu().numpy()
        return result

    # -- files and figures -----------------------------------------------------------------------------

    def plot(self, path: str | os.PathLike | None = None, truth: Callable | None = None):
        """A matplotlib Figure of the solution, also written to `path` if given; `truth` as in `figures.samples`."""
        from pinnsolve.figures import figures, samples, style  # matplotlib is only needed here

        figure = figures.solution_figure(samples.sample(self, truth))
        if path is not None:
            style.write(figure, Path(path))
        return figure

    def plot_volume(
        self, path: str | os.PathLike, unknown: str | None = None, kind: str = "surfaces", time: float | None = None
    ) -> Path:
        """Write a view of an unknown in space, the first by default, and return its path.

        `kind`: `"surfaces"` of equal value or three `"planes"`; at a `time`, the last by default. Raises
        `SolutionError` where pyvista is not installed and without three coordinates of space.
        """
        from pinnsolve.results.frames import plot_volume  # which imports pyvista

        return plot_volume(self, Path(path), self.names[0] if unknown is None else unknown, kind, time)

    def animate(self, path: str | os.PathLike, times: Sequence[float] | None = None) -> Path:
        """Write a film of the solution, `film.gif` or (where ffmpeg is) `film.mp4`, and return its path.

        Its frames are at `times`, at those that the file asks for, or at equal distances. Raises `SolutionError` where
        nothing depends on time.
        """
        from pinnsolve.figures import animation, film, samples  # matplotlib is only needed here

        found = film.film_of(self, samples.values_at, times)
        if found is None:
            raise SolutionError("a film shows a solution in time and space, at two times at least")
        return animation.write_film(found, Path(path))

    def _repr_html_(self) -> str:
        """What a notebook shows: status, errors and the figure."""
        from pinnsolve.results.notebook import as_html

        return as_html(self)

    def to_xarray(
        self, points: int | None = None, times: Sequence[float] | None = None, expressions: Sequence[str] = ()
    ) -> Any:
        """An `xarray.Dataset` of the unknowns on a regular grid, with the errors as attributes; NaN outside a shape.

        `points` per axis of space and `times` are chosen as `pinnsolve export` does; `expressions` such as `D(u, x)`
        are further variables. Raises `SolutionError` where xarray is not installed.
        """
        from pinnsolve.results.frames import to_xarray  # which imports xarray

        return to_xarray(self, points, times, expressions)

    def to_dataframe(
        self, points: int | None = None, times: Sequence[float] | None = None, expressions: Sequence[str] = ()
    ) -> Any:
        """A `pandas.DataFrame` with a row per point of a regular grid that is in the domain; see `to_xarray`.

        Raises `SolutionError` where pandas is not installed.
        """
        from pinnsolve.results.frames import to_dataframe  # which imports pandas

        return to_dataframe(self, points, times, expressions)

    def on(self, mesh: meshio.Mesh | str | os.PathLike, **time: float) -> meshio.Mesh:
        """The mesh with the unknowns at its nodes as point data, e.g. `solution.on("part.msh").write("part.vtu")`.

        `mesh` is one of meshio or a file that it reads; what depends on time is asked for at one: `on(mesh, t=0.5)`.
        Nodes outside of the domain get NaN. Raises `SolutionError` for a mesh that does not fit.
        """
        from pinnsolve.results.mesh_values import on_mesh

        return on_mesh(self, mesh, **time)

    @property
    def functions(self) -> dict[str, FoundFunction]:
        """The functions of the state that were found, by name."""
        return functions_of(self.result)

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the run folder's files (without figures) and return its path; each file is replaced at once."""
        folder = Path(folder)
        diagnostics = list(flatten(self.diagnostics))
        arrays = {
            "coefficients": _array(self.coefficients),
            "lower": _array(self.basis.lower),
            "upper": _array(self.basis.upper),
            **{f"hidden/{name}": _array(value) for name, value in self.basis.hidden.items()},
            **({} if self.deviations is None else {"deviations": _array(self.deviations)}),
            **({} if self.modes is None else {"modes": _array(torch.view_as_real(self.modes.resolve_conj()))}),
            **{f"diagnostics/{i}": array for i, (_, array) in enumerate(diagnostics)},
        }
        metadata = {
            "name": self.name,
            "coordinates": self.coordinates,
            "intervals": self.intervals,
            "time": self.time,
            "unknowns": self.unknowns,
            "complex_unknowns": self.complex_unknowns,
            "parameters": self.parameters,
            "basis": {"kind": self.basis.kind, "settings": self.basis.settings()},
            "diagnostics": [keys for keys, _ in diagnostics],
            "shape": None if self.shape is None else to_plain(self.shape),
            "homes": plain_places(self.homes, self.coordinates),
            "ranges": self.ranges,
            "output": self.output.as_plain(),
            "vectors": self.vectors,
        }
        texts = {"result": self.result, "history": self.history, "problem_text": self.problem_text}
        write_run(folder, arrays, metadata, texts)
        for number, other in enumerate(self.others, start=2):
            other.save(folder / f"solution-{number}")
        for name, found in self.functions.items():
            write_table(folder / f"{name}.csv", *found.table())
        if self.series is not None:
            write_table(folder / SERIES_FILE, *self.series)
        for path in () if self.shape is None else mesh_files(self.shape):
            if path.resolve() != (folder / path.name).resolve():
                shutil.copyfile(path, folder / path.name)
        return folder


def load_solution(folder: str | os.PathLike) -> Solution:
    """The solution saved in a run folder, equal in every bit, on the CPU.

    Raises `SolutionError` when the folder holds none, a file is damaged or from another format, or its kind of
    basis is not registered.
    """
    folder = Path(folder)
    arrays, metadata, texts = read_run(folder)
    try:
        return _restore(arrays, metadata, texts, folder)
    except SolutionError:
        raise
    except (PinnsolveError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        raise SolutionError(f"{folder / SOLUTION_FILE} is damaged ({type(error).__name__}: {error})") from None


def _restore(arrays: Mapping[str, np.ndarray], metadata: Mapping, texts: Mapping[str, Any], folder: Path) -> Solution:
    basis = _restore_basis(arrays, metadata["basis"])
    coefficients, unknowns = torch.from_numpy(arrays["coefficients"]), tuple(metadata["unknowns"])
    if coefficients.shape != (len(unknowns), basis.width):
        raise ValueError(f"coefficients of shape {tuple(coefficients.shape)} for a basis of width {basis.width}")
    leaves = ((keys, arrays[f"diagnostics/{i}"]) for i, keys in enumerate(metadata["diagnostics"]))
    return Solution(
        name=metadata["name"],
        coordinates=tuple(metadata["coordinates"]),
        intervals=tuple((float(low), float(high)) for low, high in metadata["intervals"]),
        time=metadata["time"],
        unknowns=unknowns,
        complex_unknowns=tuple(metadata.get("complex_unknowns", ())),
        basis=basis,
        coefficients=coefficients,
        parameters=metadata["parameters"],
        diagnostics=nest(leaves),
        shape=from_plain(metadata["shape"], folder) if metadata.get("shape") else None,
        deviations=torch.from_numpy(arrays["deviations"]) if "deviations" in arrays else None,
        ranges=tuple(metadata.get("ranges", ())),
        output=Output.from_plain(metadata.get("output")),
        vectors={name: tuple(components) for name, components in (metadata.get("vectors") or {}).items()},
        modes=torch.view_as_complex(torch.from_numpy(arrays["modes"])) if "modes" in arrays else None,
        homes=restored_places(metadata.get("homes") or {}, metadata["coordinates"]),
        **texts,
    )


def _restore_basis(arrays: Mapping[str, np.ndarray], about: Mapping) -> Basis:
    try:
        basis_class = extensions.basis_class(about["kind"])
    except PinnsolveError:
        raise SolutionError(
            f"the solution stands on a basis of kind {about['kind']!r}, which is not registered here; "
            "import the module that registers it first"
        ) from None
    hidden = {
        key.removeprefix("hidden/"): torch.from_numpy(array)
        for key, array in arrays.items()
        if key.startswith("hidden/")
    }
    lower, upper = (torch.from_numpy(arrays[key]) for key in ("lower", "upper"))
    return basis_class.restore(about["settings"], hidden, lower, upper)


def _whole(parts: np.ndarray) -> np.ndarray:
    """(N,) values of an unknown from those of its parts (N, 1), or (N, 2) of a complex one."""
    return parts[:, 0] if parts.shape[1] == 1 else parts[:, 0] + 1j * parts[:, 1]


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    near = close_match(name, known)
    return f"; did you mean {near!r}?" if near else f"; there are {', '.join(known)}"


def _numbers(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise SolutionError(f"the coordinate {name} needs numbers, not {value!r}") from None


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
