"""The functions that a problem takes from tables: read, and held to the domain.

Input: a `Spec`. Output: by name, sympy functions that hold their tables; what is wrong with them goes to a reporter.
Arrays are imported only where there are tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from pinnsolve.errors import ExpressionError, ProblemError
from pinnsolve.language.constants import Value
from pinnsolve.language.parsed_texts import ParsedTexts
from pinnsolve.language.tabulated import Tabulated, tabulated
from pinnsolve.language.vocabulary import NamedFunction
from pinnsolve.problem.stated import StatedTerm
from pinnsolve.spec.located_errors import KeyPath
from pinnsolve.spec.parts import FunctionSpec
from pinnsolve.spec.spec import Spec


def read_functions(spec: Spec, report: Callable[..., None]) -> dict[str, NamedFunction]:
    """The functions of a spec by name; `report(path, message, hint)` is told what is wrong with their tables."""
    found = {}
    for name, item in spec.functions.items():
        table = None
        try:
            table = _table(item, spec, name)
        except ProblemError as error:
            for d in error.diagnostics:
                report(("functions", name, "file"), d.message, d.hint, text=item.file)
        except ExpressionError as error:
            report(("functions", name), error.message, error.hint, text=item.file)
        found[name] = NamedFunction(item.of, tabulated(name, len(item.of), table))
    for name, sought in spec.state_functions.items():
        found[name] = NamedFunction(sought.of, tabulated(name, len(sought.of), None))
    return found


def _table(item: FunctionSpec, spec: Spec, name: str) -> Callable:
    from pinnsolve.files.table_functions import table_function
    from pinnsolve.files.tables import read_columns

    columns = read_columns(spec.folder / item.file, f"functions.{name}.file")
    outside = item.outside if item.outside in ("error", "hold") else _number(item.outside, spec.parsed.values)
    return table_function(columns, item.of, item.column, item.interpolation, outside)


def _number(text: str | int | float, values: Mapping[str, Value]) -> float:
    return float(ParsedTexts().value(text, values))


def domain_beyond(
    statements: Sequence[StatedTerm], spec: Spec, intervals: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[KeyPath, str, str]]:
    """The functions whose tables end inside of the domain, though nothing is said of what lies beyond."""
    used = {a for s in statements for r in s.residuals for a in r.atoms(Tabulated)}
    told = set()
    for atom in sorted(used, key=str):
        name, table = atom.table_name, atom.table
        if table is None or spec.functions[name].outside != "error" or name in told:
            continue
        for argument, low, high in zip(atom.args, table.lower, table.upper, strict=True):
            a, b = intervals.get(str(argument), (low, high))
            near = 1e-9 * (high - low)
            if a < low - near or b > high + near:
                told.add(name)
                message = (
                    f"the table ends at {argument} = {low:g} and {high:g}, and the domain reaches from {a:g} to {b:g}"
                )
                hint = "give rows for all of it, or `outside: hold`, or the number that it is there"
                yield ("functions", name, "outside"), message, hint
                break
