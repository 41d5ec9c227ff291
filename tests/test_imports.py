"""The rooms of the code: imports go one way, and the symbolic half loads no array library."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "pinnsolve"

# In the order in which a problem passes through. A room stands for the modules of its folder, and for those whose names
# begin with its own and an underscore, unless they are listed by themselves.
SYMBOLIC = (
    "errors", "version", "wording",
    "syntax", "vocabulary", "mathml", "registry", "constants", "resolution",
    "yaml_loader", "yaml_writer", "data_columns", "geometry.mesh_file", "schema", "spec", "catalog", "starting_file",
    "derivatives", "geometry.regions", "geometry.shape_tree", "geometry.mesh_groups",
    "terms", "printing", "expressions",
    "python_api", "checks", "domain_shape", "problem", "linearization", "materials", "compiler",
    "defaults", "plan", "checking",
)  # fmt: skip
NUMERICAL = (
    "threads", "numeric", "tables", "geometry", "jets", "bases", "assembly", "discretization",
    "least_squares", "solvers", "estimate", "strategies", "grid", "measuring",
    "storage", "panels", "setup", "views", "solve_figures", "figures", "mesh_values", "solution", "evaluation",
    "shape_mesh", "html_parts", "html_problem", "html_history", "html_report", "report", "export",
    "solving", "pipeline",
)  # fmt: skip
ENTRANCE = ("allocator", "progress", "run_folders", "__init__", "cli", "__main__")
ROOMS = (*SYMBOLIC, *NUMERICAL, *ENTRANCE)
ARRAY_LIBRARIES = {"torch", "numpy", "scipy", "matplotlib"}


def module_name(path: Path) -> str:
    """Dotted and below the package: `geometry.regions`, `bases`, `cli`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room(module: str) -> str | None:
    """The room of a module: itself, or the nearest folder or beginning of its name that is listed."""
    while module and module not in ROOMS:
        module = module[: max(module.rfind("."), module.rfind("_"), 0)]
    return module or None


def imports(source: ast.AST) -> set[str]:
    """Full names of everything imported, inside functions too, save for type checkers only."""
    found = set()
    pending: list[ast.AST] = [source]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
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
    assert [m for m in MODULES if room(m) is None] == [], "add it to ROOMS, where it belongs in the flow"


def test_no_module_imports_itself_through_others():
    graph = {m: {own_module(n) for n in imports(tree(m))} - {None, m} for m in MODULES}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    assert backward(module, tree(module)) == []


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in SYMBOLIC])
def test_the_symbolic_half_imports_no_array_library(module):
    names = imports(tree(module))
    assert {name.partition(".")[0] for name in names} & ARRAY_LIBRARIES == set()


def test_a_backward_import_is_noticed():
    source = "def late():\n    from pinnsolve.solvers import drive\n"
    assert backward("terms", ast.parse(source)) == ["solvers"]
    assert backward("pipeline", ast.parse(source)) == []


@pytest.mark.parametrize(
    "modules, absent",
    [
        ([m for m in MODULES if room(m) in SYMBOLIC], ARRAY_LIBRARIES),
        (["cli"], {"torch", "matplotlib", "scipy"}),
    ],
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
