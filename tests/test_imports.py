"""The rooms of the code: imports go one way, and the symbolic half loads no array library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "pinnsolve"

# A room is a folder of the package, or a file beside the folders. A module imports from its own room and from those
# above it, in whatever way: at its head, inside a function, or for type checkers only.
ROOMS = (
    "errors", "version", "defaults", "process", "runtime", "threads", "processes",
    "files",
    "language",
    "extensions",
    "geometry",
    "spec",
    "problem",
    "compiler",
    "least_squares",
    "bases",
    "assembly",
    "solvers",
    "estimate",
    "figures",
    "adapt",
    "results",
    "inverse",
    "eigen",
    "output",
    "method", "ranges", "pipeline", "sweeps", "verification", "commands", "__init__", "cli", "__main__",
)  # fmt: skip
SYMBOLIC = ("errors", "version", "defaults", "files", "language", "extensions", "spec", "problem", "compiler")
# where the symbolic half and its neighbours meet the arrays
NUMERICAL_INSIDE = {
    "language.to_torch",
    "language.intervals",
    "files.tables",
    "files.table_functions",
    "files.array_files",
}
SYMBOLIC_OUTSIDE = {"geometry.regions", "geometry.shapes", "geometry.mesh_groups", "output.check"}
ARRAY_LIBRARIES = {"torch", "numpy", "scipy", "matplotlib"}


def module_name(path: Path) -> str:
    """Dotted and below the package: `geometry.regions`, `bases`, `cli`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
WITHOUT_ARRAYS = [
    m for m in MODULES if (m.partition(".")[0] in SYMBOLIC and m not in NUMERICAL_INSIDE) or m in SYMBOLIC_OUTSIDE
]


def room(module: str) -> str:
    return module.partition(".")[0]


def imports(source: ast.AST, typing: bool = True) -> set[str]:
    """Full names of everything imported; without `typing`, save for type checkers only."""
    found = set()
    pending: list[ast.AST] = [source]
    while pending:
        node = pending.pop()
        if not typing and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        pending += ast.iter_child_nodes(node)
    return found


def own_module(name: str) -> str | None:
    """The module of ours that an imported name lies in, or None: `pinnsolve.bases.Basis` -> `bases`."""
    if name.partition(".")[0] != "pinnsolve":
        return None
    inner = name.removeprefix("pinnsolve").lstrip(".")
    while inner and inner not in MODULES:
        inner = inner.rpartition(".")[0]
    return inner or "__init__"


def tree(module: str) -> ast.AST:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def backward(module: str, source: ast.AST) -> list[str]:
    """What `module` imports from rooms that come after its own."""
    here = ROOMS.index(room(module))
    used = {own_module(name) for name in imports(source)} - {None}
    return sorted(u for u in used if ROOMS.index(room(u)) > here)


def test_every_module_has_a_room():
    assert [m for m in MODULES if room(m) not in ROOMS] == [], "add its folder to ROOMS, where it belongs in the flow"


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    assert backward(module, tree(module)) == []


@pytest.mark.parametrize("module", WITHOUT_ARRAYS)
def test_the_symbolic_half_imports_no_array_library(module):
    names = imports(tree(module), typing=False)
    assert {name.partition(".")[0] for name in names} & ARRAY_LIBRARIES == set()


def test_a_backward_import_is_noticed():
    source = "def late():\n    from pinnsolve.solvers import drive\n"
    assert backward("compiler.terms", ast.parse(source)) == ["solvers"]
    assert backward("pipeline", ast.parse(source)) == []
    typing = "if TYPE_CHECKING:\n    from pinnsolve.results.solution import Solution\n"
    assert backward("figures.figures", ast.parse(typing)) == ["results.solution"]


@pytest.mark.parametrize(
    "modules, absent",
    [(WITHOUT_ARRAYS, ARRAY_LIBRARIES), (["cli"], {"torch", "matplotlib", "scipy"})],
    ids=["symbolic half", "command line"],
)
def test_loaded_libraries(modules, absent):
    """In a fresh interpreter, so that what other tests have loaded does not count."""
    lines = [f"import pinnsolve.{m}" for m in modules]
    lines += ["import sys", f"print(*sorted(set({sorted(absent)!r}) & set(sys.modules)))"]
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_no_module_of_the_symbolic_half_imports_in_a_circle():
    """Imports inside functions and for type checkers count, too."""
    used = {m: {own_module(name) for name in imports(tree(m))} & set(MODULES) - {m} for m in WITHOUT_ARRAYS}
    free: set[str] = set()
    while found := {m for m, needed in used.items() if m not in free and needed & set(used) <= free}:
        free |= found
    assert set(used) - free == set()
