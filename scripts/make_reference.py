"""Writes docs/problem-file.md, the reference of problem files, from the JSON Schema that `pinnsolve schema` publishes.

Input: the schema, whose descriptions are those of the pydantic models, and the functions that the grammar knows.
Output: the page; with `--check` nothing is written, and the exit code is 1 where the page is not up to date.

    python scripts/make_reference.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pinnsolve.language.vocabulary import CALLABLE, COMPLEX_FUNCTIONS, CONSTANTS, MAX_ORDER
from pinnsolve.spec.schema.json_schema import AS_TRUE
from pinnsolve.spec.spec import json_schema

PAGE = Path(__file__).resolve().parents[1] / "docs" / "problem-file.md"

HEAD = """\
# The problem file

A problem file is YAML, read by the core rules of YAML 1.2: `on`, `off`, `y`, `n` are words, `1e-6` is a number, a key
given twice is an error. The text in it is parsed by a grammar of its own and never executed. Everything wrong with a
file is said at once, each with its line, its key, the text with a caret under the spot, and what would be right.

This page is made from the schema by `scripts/make_reference.py`. For completion and checks while typing, save the
schema (`pinnsolve schema > problem.schema.json`) and begin a file with
`# yaml-language-server: $schema=problem.schema.json`. Editors that read YAML 1.1, where the key `on` is a truth value,
find it in the schema, too; `"yaml.yamlVersion": "1.2"` in the settings of VS Code reads it as it is meant.

Words of other tools (`bc:`, `ic:`, `pde:`, `domain: [0, 1]`, `epochs:`, ...) and other notations (`du/dt`, `∂²u/∂x²`,
`u(x, 0) = sin(pi x)`, `^`) are answered with the line to write, filled in from the file: write whatever you know, run
`pinnsolve check FILE`, and read on.

```yaml
name: burgers
coordinates: {t: [0, 1], x: [-1, 1]}
unknowns: u
parameters: {nu: 0.01/pi}
equations:
  momentum: D(u, t) + u*D(u, x) = nu*D(u, x, x)
conditions:
  start: {on: "t = 0", equation: "u = -sin(pi*x)"}
  walls: {on: ["x = -1", "x = 1"], equation: "u = 0"}
solve: {tolerance: 1e-3}
```

**Many coordinates.** `coordinates: {x: {count: 10, interval: [-1, 1]}}` makes x1 to x10. In expressions they are
`x[3]`, or `x[k + 1]` in a sum or a product, `sum(k, x[k]**2)`, `product(k, x[k])`, which goes over all k from 1 on for
which every component in it exists: `sum(k, x[k]*x[k + 1])` ends one earlier; where there is none at all, it is an
error. Sums stand inside one another, and `where` narrows them: `sum(i, sum(j, where(i < j, x[i]*x[j], 0)))` goes over
pairs. `D(u, x[2])`, `laplacian(u)` and `grad_dot(u, u)` are as ever. With `domain: {ball: {center: 0, radius: 1}}` the
coordinates have no intervals: `coordinates: {x: {count: 10}}`.

**Vectors.** `unknowns: {v: vector, p: real}` makes the unknowns v_x, v_y (and v_z), after the coordinates of space.
In expressions `v` is the vector, `[1, 0]` one by its components, `n` on a boundary the normal. An equation between
vectors is one for each component: `momentum: D(v, t) + advect(v, v) + grad(p) = laplacian(v)/Re` has the terms
`momentum_x` and `momentum_y`. Conditions are `v = 0`, `v = [1, 0]`, `dot(v, n) = 0`, and what `exact` or `guess` say
of a vector is a list: `exact: {v: ["sin(y)", 0], p: 0}`. Errors of components are relative to the size of the vector,
over the root of how many there are.

**Polar, cylindrical, spherical coordinates.** `coordinates: {r: [0, 1], theta: [0, 2*pi], system: polar}`;
`cylindrical` has r, theta, z, or r, z, or r; `spherical` has r, theta (from the axis), phi, or r, theta, or r. Names
are free, their order is not; time may stand anywhere. `laplacian`, `grad`, `div`, `curl`, `advect`, `grad_dot`,
`dot`, `Dn` and normals are those of the system, components of vectors along its unit vectors, and `integral` has the
size of a piece of space, with the angles that are left out: 2 pi around an axis. `D(u, r)` is the derivative by r
alone. Where an angle is a coordinate the domain is a box; a shape in r and z is a `domain` with `coordinates:
{system: cylindrical}`, where a box in it names r and z, or with `{r: , z: , system: cylindrical}`. At r = 0 nothing
needs to be said: equations there are multiplied by the power of r that leaves them finite, and ask for a smooth
solution by themselves. Errors are relative to the mean square over the coordinates, not over space.

Numbers may be expressions of constants wherever a number belongs: `2*pi`, `nu/4`. Every equation, condition and data
term has a name of its own, by which reports, figures, weights and messages call it.
"""

# where each model of the schema is described: title, and what comes after its table
SECTIONS: dict[str, tuple[str, str]] = {
    "": ("Keys of the file", ""),
    "ComparisonInput": (
        "`regions`",
        "A region is a shape, with the keys of `domain`, or a map with this key. Regions may touch; what they are "
        "parts of is the domain. Of two that overlap and divide unknowns, the one named later has what they share. "
        "`on: fluid` says that an equation, a condition or a quantity is about one. `unknowns: {p: {in: fluid}, u: "
        "{in: solid, values: complex}}` says where unknowns live: equations and conditions with them hold there, "
        "and elsewhere they have no values (NaN). Instead of `in`, `where` may compare coordinates, and with a "
        "mesh its groups of cells are regions by their names. Where two regions meet, conditions `on: fluid/solid` "
        "hold: an unknown that lives in one of them stands for its value on that side, and the normal points out "
        "of the region named first. Give as many as both sides need together: for two equations of second order "
        "two, say `p = u` and `k*Dn(p) = Dn(u)`. An unknown that lives in both goes on across, with its flux.",
    ),
    "EquationInput": (
        "`equations`",
        "Each is a text such as `D(u, t) = D(u, x, x)`, or a map with these keys. An equation has exactly one `=`.",
    ),
    "ConditionInput": (
        "`conditions`",
        "Each has one kind of place (`on`, `at` or `periodic`), and an equation unless it is periodic. A condition on "
        "the whole `domain` is one too.",
    ),
    "DataInput": (
        "`data`",
        "Columns are found by name: the header line of a CSV, the arrays of an NPZ. Those that are no coordinates can "
        "be used in the equation. Files lie in the folder of the problem file or below it.",
    ),
    "RangeInput": (
        "`parameters`, a range",
        "The unknowns are functions of the parameter, too, to the same tolerance at each of its values: a coordinate "
        "more in `evaluate` and in Python, `solution(t=0.5, x=0.1, nu=0.3)`. Members, the problem at single values, "
        "are solved side by side at nested points of the range (of several ranges, a sparse set) until the estimate of "
        "members and interpolation together meets the tolerance; others are solved to check it. `result.json` lists "
        "the `members`, with their quantities, of which `quantities.csv` is a table by the parameters. The domain is "
        "the same for all values, and other parameters may depend on it: `{Re: {range: [1, 100]}, nu: 1/Re}`.",
    ),
    "FunctionInput": (
        "`functions`",
        "A function `k: {file: conductivity.csv, of: [x, y]}` stands in expressions as `k(x, y)`, or as `k` where the "
        "names of its arguments mean something: a coordinate or an unknown. Its arguments may be any expressions, as "
        "in `rho(u)`, and it may be differentiated, as in `D(rho(u), x)`. Where an unknown leaves the range of a table "
        "whose `outside` is `error`, the solve goes on with the slope at the end of the table.",
    ),
    "QuantityInput": (
        "`quantities`",
        "Each has one of `integral`, `mean`, `maximum`, `minimum` and `value`, and stands in the report and in "
        '`result.json` with an estimated error: `drag: {on: cylinder, integral: "nu*Dn(u) - p*n_x"}`. Where time is '
        "free it is a series: `quantities.csv` has all of it, the report the value at the end and the largest error.",
    ),
    "RegularizationInput": (
        "`regularization`",
        "A weight alone stands for a map with one. Where one unknown is regularized, or equations are fewer "
        "than unknowns, "
        "the others are as well, with weights of their own.",
    ),
    "EigenvaluesInput": (
        "`eigenvalues`",
        "The equations and conditions hold the name, up to its fourth power, and are linear in the unknowns, without "
        "sources. `result.json` has the eigenvalues, each with an estimated error, a complex one by its parts `re` and "
        "`im`. The functions have mean square one, and their largest value is positive; a column `mode` (1, 2, ...) in "
        "the points of `evaluate`, or `solution(mode=2, x=...)` in Python, says which is meant. With complex unknowns, "
        "or `near` a complex number, all unknowns are complex, and equations are linear over complex numbers.",
    ),
    "UnknownParameterInput": ("`unknown_parameters`", "They are found together with the unknowns."),
    "ReferenceInput": ("`reference`", ""),
    "OutputInput": (
        "`output`",
        "It changes nothing of the solve. The run folder has a table of values at these times and grid points, "
        "`values.csv`; figures show these times (a few of them where there are many), and `quantities.csv` has them; "
        "`pinnsolve export` and `solution.to_xarray()` have times and grid unless they are told otherwise.",
    ),
    "ShapeInput": (
        "`domain`",
        "Coordinates of space are those of `coordinates: [x, y]`, else those that a box names, else x, y (and z); with "
        "time, `time: {t: [0, 3]}` gives its interval. `on` then takes names of parts, `boundary`, or a face such as "
        '`"x = 0"`, which is the boundary that lies in that plane. Mesh files lie in the folder of the problem file or '
        "below it; `on` of an equation or condition may name a group of cells, in which alone it then holds.",
    ),
    "DiskInput": ("`disk`", ""),
    "BallInput": ("`ball`", ""),
    "EllipseInput": ("`ellipse`", ""),
    "CylinderInput": ("`cylinder`", ""),
    "HalfPlaneInput": ("`half_plane`", ""),
    "SolveSettings": ("`solve`", ""),
    "BasisSpec": ("`solve.basis`", "A basis registered through Python takes its own keys as well."),
    "CollocationSpec": ("`solve.collocation`", ""),
    "OptimizerSpec": ("`solve.optimizer`", ""),
    "FirstPhaseSpec": (
        "`solve.optimizer.first_phase`",
        "With `method: lsgd` this is two-phase LSGD (Lee, Trask, Patel, Gulian & Cyr, arXiv:2101.11256). The history "
        "of a solve names the phase of each record and, in the first, its lambda.",
    ),
    "LimitsSpec": ("`solve.limits`", ""),
}

FUNCTIONS = {
    ("sin", "cos", "tan", "asin", "acos", "atan"): "trigonometric functions and their inverses, of radians",
    ("atan2",): "`atan2(y, x)`, the angle of the point (x, y)",
    ("sinh", "cosh", "tanh"): "hyperbolic functions",
    ("exp", "log", "sqrt"): "exponential, natural logarithm, square root",
    ("abs", "sign", "floor"): "absolute value, of complex numbers too; -1, 0 or 1; the next whole number below",
    ("re", "im", "conj"): "real part, imaginary part and conjugate; of files with complex unknowns, as is `i`",
    ("max", "min"): "the largest, the smallest of any number of arguments",
    ("erf",): "the error function",
    ("bessel_j",): "`bessel_j(n, x)`, the Bessel function of the first kind of order n = 0, 1, 2, ...",
    ("heaviside",): "0, 1/2 or 1: for negative, zero, positive arguments",
    ("where",): "`where(condition, a, b)`: a where the condition holds, b elsewhere",
    ("D",): "`D(a, x)`, `D(a, x, y)`, `D(a, x, 2)`: derivatives of an unknown or of a "
    "whole expression, by the chain rule; `u_x`, `u_xx` say the same where no name of the file is so written",
    ("laplacian",): "`laplacian(a)`: the sum of second derivatives over space, not time; of a vector, too",
    ("grad",): "`grad(a)`: the vector of the derivatives of a number over space",
    ("grad_dot",): "`grad_dot(a, b)`: the product of two gradients, over space",
    ("div",): "`div([a, b])`, `div(v)`: the divergence of a vector with a component for each coordinate of space",
    ("curl",): "`curl(v)`: of a vector, in space a vector and in the plane a number; of a number in the plane a vector",
    ("dot", "cross"): "`dot(a, b)`, `cross(a, b)`: products of vectors; `dot(a, grad(v))` is `advect(a, v)`",
    ("advect",): "`advect([u, v], w)`: u*D(w, x) + v*D(w, y), of a number or a vector w",
    (
        "integral",
        "mean",
    ): "`integral(u)`, `mean(u**2)`: over space, at the same time; `integral(u, outlet)`: over the part "
    "of the boundary of that name, or over `boundary`, all of it",
    ("Dn",): "`Dn(a)`: the derivative along the outward normal, on a boundary",
}

TAIL = """\
## Expressions

`+ - * /`, `**` for powers, parentheses; numbers such as `2`, `0.5`, `1e-3`, which are exact; `pi` and `e`; the names
that the file gives; and the functions below. Comparisons (`< <= > >= == !=`) and `and`, `or`, `not` stand in
`where(...)` and under the key `where`. Definitions are put in where they are used, so a derivative inside one sees its
arguments; they may use each other in any order, but not themselves. Derivatives go up to order {order}, those inside
one another added up. Derivatives of `abs`, `sign`, `max`, `min`, `floor`, `heaviside` and `where` hold almost
everywhere: not at the kinks.

| function | meaning |
| --- | --- |
{functions}

On a boundary `n_x`, `n_y`, ... are the components of the outward unit normal, one for each coordinate of space. `W`,
the width of the basis, stands only in `term_weights`. Operators registered through Python are called by their name,
with an unknown as argument.

A larger example: a system, a definition with arguments, a condition at a point.

```yaml
name: lid-driven-cavity
coordinates: {{x: [0, 1], y: [0, 1]}}
unknowns: [u, v, p]
parameters: {{Re: 100}}
definitions:
  bump(s): 4*s*(1 - s)
equations:
  momentum_x: advect([u, v], u) + D(p, x) = laplacian(u)/Re
  momentum_y: advect([u, v], v) + D(p, y) = laplacian(v)/Re
  mass:       D(u, x) + D(v, y) = 0
conditions:
  lid:      {{on: "y = 1", equations: ["u = bump(x)", "v = 0"]}}
  no_slip:  {{on: ["x = 0", "x = 1", "y = 0"], equations: ["u = 0", "v = 0"]}}
  pressure: {{at: {{x: 0, y: 0}}, equation: "p = 0"}}
solve:
  tolerance: 1e-3
  term_weights: {{lid: 10, no_slip: W**(1/2)}}
```
"""


def form(schema: dict[str, Any]) -> str:
    """The forms a value takes, in a few words."""
    if "$ref" in schema:
        title = SECTIONS[schema["$ref"].rpartition("/")[2]][0]
        return f"map, see {title}"
    if "anyOf" in schema:
        forms = list(dict.fromkeys(form(inner) for inner in schema["anyOf"]))
        return ("; or " if any(" or " in one for one in forms) else " or ").join(forms)
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("description") == "a list of numbers":
        return schema["description"]
    if schema.get("type") == "array":
        return "interval `[low, high]`" if schema.get("maxItems") == 2 else f"list of {form(schema['items'])}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"map from names to {form(inner)}" if isinstance(inner, dict) else "map"
    if schema.get("description") == "a constant expression":
        return "expression"
    return {"string": "text", "integer": "whole number"}.get(schema.get("type", ""), schema.get("type", ""))


def default(name: str, field: dict[str, Any], required: list[str]) -> str:
    if name in required:
        return "needed"
    value = field.get("default")
    return "" if value is None or isinstance(value, dict) else f"`{value}`"


def meaning(field: dict[str, Any], models: dict[str, Any]) -> str:
    """The description of a field, or that of the map it holds."""
    return field.get("description") or models[field["$ref"].rpartition("/")[2]]["description"]


def table(model: dict[str, Any], models: dict[str, Any]) -> list[str]:
    lines = ["| key | form | default | meaning |", "| --- | --- | --- | --- |"]
    required = model.get("required", [])
    for name, field in model["properties"].items():
        if name == AS_TRUE:
            continue
        cells = (f"`{name}`", form(field), default(name, field, required), meaning(field, models))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def page() -> str:
    """The text of the page."""
    schema = json_schema()
    models = {"": schema, **schema["$defs"]}
    missing = set(models) ^ set(SECTIONS) | {*CALLABLE, *COMPLEX_FUNCTIONS} ^ {
        name for names in FUNCTIONS for name in names
    }
    if missing:
        raise SystemExit(
            f"describe these in scripts/make_reference.py, or remove them there: {', '.join(sorted(missing))}"
        )
    lines = [HEAD]
    for name, (title, words) in SECTIONS.items():
        first = models[name]["description"]
        lines += [f"## {title}", "", f"{first} {words}".strip(), "", *table(models[name], models), ""]
    functions = "\n".join(f"| {', '.join(f'`{n}`' for n in names)} | {text} |" for names, text in FUNCTIONS.items())
    lines.append(TAIL.format(order=MAX_ORDER, functions=functions))
    assert all(f"`{constant}`" in TAIL for constant in CONSTANTS)
    return "\n".join(lines)


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        if current != text:
            print(f"{PAGE.name} is not up to date: run python scripts/make_reference.py")
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
