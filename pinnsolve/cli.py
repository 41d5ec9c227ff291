"""The command line: `pinnsolve` and `python -m pinnsolve`.

Input: arguments. Output: tables on standard output, messages on standard error, run folders, and an exit code: 0 done
(for `run`: reached its tolerance), 1 did not reach it, 2 the file or the command is wrong, 130 interrupted. Whatever
takes long to import is imported by the command that needs it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pinnsolve import process
from pinnsolve.commands.load import load, refuse_tables
from pinnsolve.errors import PinnsolveError, ProblemError, SaidElsewhere
from pinnsolve.files.text import printable
from pinnsolve.output.console import say, show

CONVERGED, NOT_CONVERGED, WRONG, INTERRUPTED = 0, 1, 2, 130

MEANT = {  # a word that no command has -> the command that does it
    **dict.fromkeys(("solve", "train", "fit", "start", "execute", "compute", "simulate"), "run"),
    **dict.fromkeys(("validate", "lint", "test"), "check"),
    **dict.fromkeys(("plot", "show", "view", "draw", "animate", "save", "convert"), "export"),
    **dict.fromkeys(("init", "create", "template"), "new"),
    **dict.fromkeys(("predict", "eval", "sample", "values"), "evaluate"),
    **dict.fromkeys(("compare",), "diff"),
    **dict.fromkeys(("examples", "problems", "ls", "gallery"), "list"),
    **dict.fromkeys(("convergence", "study"), "verify"),
}


app = typer.Typer(
    help="Solve differential equations stated in a problem file, with the error stated.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _problems(incomplete: str) -> list[str]:
    """For the completion of a shell: problem files, folders, and the problems that come with pinnsolve."""
    from pinnsolve.spec import catalog

    return catalog.completions(incomplete)


File = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A problem file, or the name of a problem of `list`.", autocompletion=_problems
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the file: `--set solve.tolerance=1e-8`."),
]
Operators = Annotated[
    list[str] | None,
    typer.Option("--operators", metavar="FILE.py", help="Run a Python file that registers operators or bases."),
]
Mode = Annotated[int | None, typer.Option(metavar="K", help="Of eigenvalues, the function of that mode.")]
Derivative = Annotated[
    list[str] | None,
    typer.Option(metavar="EXPR", help='Another column: `--derivative "D(u, x)"`, or any expression.'),
]


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit; without `arguments`, run that of the process and take its settings in hand."""
    if arguments is None:
        process.pause_garbage_collection()
        process.wait_passively()
    try:
        _run_command(arguments)
    except SystemExit as ended:
        if arguments is None and isinstance(ended.code, int):
            process.leave(ended.code)
        raise


def _run_command(arguments: list[str] | None) -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a letter that the terminal cannot show is no reason to stop
    from pinnsolve.processes import launch

    given = sys.argv[1:] if arguments is None else arguments
    if launch.rank() > 0 and given[:1] != ["run"]:
        sys.exit(0)  # only a run is divided; the first process does anything else
    with _mistakes_as_messages():
        if given and given[0].lower() in MEANT:
            command = shlex.join(["pinnsolve", MEANT[given[0].lower()], *given[1:]])
            raise PinnsolveError(f"there is no command `{printable(given[0])}`; write `{printable(command)}`")
        app(arguments, prog_name="pinnsolve")


@contextmanager
def _mistakes_as_messages() -> Iterator[None]:
    """A user's mistake ends in its message and exit code 2, never in a traceback."""
    try:
        yield
    except ProblemError as error:
        for diagnostic in error.diagnostics:
            say(diagnostic)
    except PinnsolveError as error:
        if not isinstance(error, SaidElsewhere):
            say(f"error: {error}")
    except OSError as error:
        say(f"error: {error.filename or 'the system'}: {error.strerror or error}")
    except MemoryError:
        say("error: the machine has too little memory for this")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    else:
        return
    sys.exit(WRONG)


def _version(asked: bool) -> None:
    if asked:
        from pinnsolve.version import version

        typer.echo(f"pinnsolve {version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


# -- commands -------------------------------------------------------------------------------------------------


@app.command()
def run(
    file: File,
    overrides: Set = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run folder; `runs/NAME` without it, numbered if taken.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the solution in the run folder.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print result.json and nothing else.")] = False,
    operators: Operators = None,
    no_figures: Annotated[
        bool, typer.Option("--no-figures", help="Draw nothing; the page is written without.")
    ] = False,
) -> None:
    """Solve a problem and write its run folder. Exits with 0 if it reached its tolerance, else with 1.

    Several processes of `torchrun` solve it together, where its rows are dense.
    """
    from pinnsolve.commands.run import Run

    solution, folder = Run(file, overrides, operators, out, resume, quiet=json, draws=not no_figures).done()
    if json:
        from pinnsolve.results.storage import to_json

        typer.echo(to_json(solution.result, indent=2))
    else:
        from pinnsolve.output.terminal import report

        show(report(solution.result, folder))
    raise typer.Exit(CONVERGED if solution.result.get("status") == "converged" else NOT_CONVERGED)


@app.command()
def check(
    file: File,
    overrides: Set = None,
    operators: Operators = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw domain, conditions, normals, points and the values asked for."),
    ] = None,
) -> None:
    """Validate a problem file and print the compiled problem, without solving it."""
    from pinnsolve.output import check

    try:
        problem = load(file, overrides, operators)
        if problem.spec.data or problem.reference is not None:
            refuse_tables(problem)
    except ProblemError as error:
        if json:
            typer.echo(check.found_as_json(error.diagnostics))
        raise
    shaped = problem.shape is not None
    if shaped:
        from pinnsolve.geometry.summary import shape_values, shape_words
    if json:
        typer.echo(check.found_as_json(problem.warnings, problem, shape_values(problem.shape) if shaped else None))
    else:
        show(check.summary(problem, shape_words(problem.shape) if shaped else None))
    if plot is not None:
        from pinnsolve.figures.setup import plot_setup

        path = plot_setup(problem, plot)
        if not json:
            typer.echo(f"drew {printable(path)}")


@app.command()
def explain(
    file: File,
    overrides: Set = None,
    operators: Operators = None,
    html: Annotated[
        Path | None, typer.Option(metavar="PAGE.html", help="Write it with formulas, as a page, instead.")
    ] = None,
) -> None:
    """Print the compiled loss as a table of mathematics, and where each of its numbers comes from."""
    from pinnsolve.output.explanation import explained

    explanation = explained(load(file, overrides, operators))
    if html is None:
        from pinnsolve.output.explain import shown

        show(shown(explanation))
        return
    from pinnsolve.output.html.explanation import explanation_page

    html.write_text(explanation_page(explanation), encoding="utf-8")
    typer.echo(f"wrote {printable(html)}")


@app.command("list")
def list_problems() -> None:
    """The problems that come with pinnsolve."""
    from rich.table import Table
    from rich.text import Text

    from pinnsolve.spec import catalog

    table = Table.grid(padding=(0, 2))
    for name, title in catalog.titles().items():
        table.add_row(Text(printable(name), style="bold"), Text(printable(title)))
    show(table)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the problem; the file is NAME.yaml.")],
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Ask what the problem is, one question after the other.")
    ] = False,
) -> None:
    """Write a commented problem file to start from."""
    from pinnsolve.spec.template import starting_file, write_starting_file

    text_of = starting_file
    if interactive:
        from pinnsolve.output.questions import interviewed as text_of
    path = write_starting_file(name, text_of)
    typer.echo(f"wrote {printable(path)}; `pinnsolve run {printable(path)}` solves it as it stands")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    at: Annotated[
        Path, typer.Option(metavar="POINTS.csv", help="Points: a CSV file with a column per coordinate, and `mode`.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="VALUES.csv", help="Where to write; standard output without it.")
    ] = None,
    derivative: Derivative = None,
    mode: Mode = None,
    operators: Operators = None,
) -> None:
    """Evaluate a solution at the points of a CSV file."""
    from pinnsolve.spec.operator_files import run_operators

    run_operators(operators or ())
    from pinnsolve.results.evaluation import evaluate_csv
    from pinnsolve.results.solution import load_solution
    from pinnsolve.results.storage import replace_file

    process.resume_garbage_collection()
    solution = load_solution(run).mode(mode) if mode is not None else load_solution(run)
    text = evaluate_csv(solution, at, derivative or ())
    if out is None:
        typer.echo(text, nl=False)
    else:
        replace_file(out, lambda stream: stream.write(text.encode()))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    to: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to write: .csv, .npz, .vtu, .pvd, .xdmf, .gif, .mp4 or .png.")
    ],
    points: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=2, help="Points per space axis; those of the file's `output`, else 100, or 40 in space."
        ),
    ] = None,
    times: Annotated[
        str | None,
        typer.Option(metavar="0,0.5,1", help="The times; those of the file's `output`, else 51 at equal distances."),
    ] = None,
    derivative: Derivative = None,
    mode: Mode = None,
    operators: Operators = None,
) -> None:
    """Write a solution on a regular grid, for other programs; the ending of FILE says the format."""
    from pinnsolve.spec.operator_files import run_operators

    run_operators(operators or ())
    from pinnsolve.output.export import export, read_times
    from pinnsolve.results.solution import load_solution

    process.resume_garbage_collection()
    solution = load_solution(run).mode(mode) if mode is not None else load_solution(run)
    chosen = None if times is None else read_times(times)
    typer.echo(printable(export(solution, to, points, chosen, derivative or ())))


@app.command()
def diff(
    one: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    other: Annotated[Path, typer.Argument(metavar="RUN", help="Another one.")],
    json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
    operators: Operators = None,
) -> None:
    """Compare two runs: problem files, reports, solutions. Exits with 1 if these differ by more than their errors."""
    from pinnsolve.spec.operator_files import run_operators

    run_operators(operators or ())
    from pinnsolve.output.difference import difference
    from pinnsolve.results.solution import load_solution

    process.resume_garbage_collection()
    found = difference(load_solution(one), load_solution(other))
    if json:
        from pinnsolve.results.storage import to_json

        typer.echo(to_json(found.as_plain(), indent=2))
    else:
        from pinnsolve.output.diff import shown

        show(shown(found, (str(one), str(other))))
    raise typer.Exit(CONVERGED if found.agrees else NOT_CONVERGED)


@app.command()
def sweep(
    file: File,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the sweep; the same again goes on with it.")],
    over: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUES", help="A parameter and its values: `nu=0.01:1:20log`, `k=0:1:5`, `k=1,2`."),
    ] = None,
    samples: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Draws: a column per parameter, a row per member.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes; without it, one for each processor.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler, instead of processes of this machine.")
    ] = None,
    at: Annotated[
        Path | None, typer.Option(metavar="POINTS.csv", help="Points where all solutions go into one array.")
    ] = None,
    grid: Annotated[str | None, typer.Option(metavar="64x64", help="The same on a regular grid.")] = None,
    overrides: Set = None,
    operators: Operators = None,
) -> None:
    """Solve a problem for many values of its parameters. Exits with 0 if every member reached its tolerance."""
    from pinnsolve.sweeps.command import sweep as run

    problem = load(file, overrides, operators)
    process.resume_garbage_collection()
    swept = run(
        file, problem, out, over=over or (), samples=samples, workers=workers, cluster=cluster, at=at, grid=grid,
        settings=overrides or (), operators=operators or (),
    )  # fmt: skip
    show(swept.summary())
    raise typer.Exit(CONVERGED if swept.all_converged else NOT_CONVERGED)


@app.command()
def verify(
    file: File,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the table and the figure go; `runs/NAME-verified` without."),
    ] = None,
    manufactured: Annotated[
        list[str] | None,
        typer.Option(metavar="U=EXPR", help='A solution to manufacture, by unknown: `--manufactured "u=sin(x)*y"`.'),
    ] = None,
    degrees: Annotated[str, typer.Option(metavar="3,5", help="Degrees of the polynomials on equal cells.")] = "3,5",
    tolerances: Annotated[
        str, typer.Option(metavar="1e-2,1e-6", help="Tolerances to solve to, as `run` does.")
    ] = "1e-2,1e-4,1e-6,1e-8",
    overrides: Set = None,
    json: Annotated[bool, typer.Option("--json", help="Print verify.json and nothing else.")] = False,
) -> None:
    """Measure the order of convergence. Exits with 0 if errors fall as they should, else with 1.

    The truth is the file's `exact`, or a manufactured solution: a function put into the equations, whose sources then
    make it the solution.
    """
    from pinnsolve.verification import command, report

    problem = load(file, overrides, None)
    process.resume_garbage_collection()
    chosen = command.read_manufactured(manufactured or (), problem)
    found = command.verify(
        problem, chosen, command.numbers(degrees, int), command.numbers(tolerances, float),
        told=lambda row: None if json else say(report.line(row)),
    )  # fmt: skip
    folder = out or Path("runs") / f"{problem.name}-verified"
    report.write(found, folder)
    if json:
        typer.echo((folder / report.TABLE).read_text(encoding="utf-8"))
    else:
        show(report.summary(found, folder))
    raise typer.Exit(NOT_CONVERGED if found.failures else CONVERGED)


@app.command()
def schema() -> None:
    """Print the JSON Schema of problem files, for editors."""
    import json

    from pinnsolve.spec.spec import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
