"""The experiments of docs/experiments.md run, quickly, and what they show holds in small already."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "scripts" / "experiments"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "common")
PAGE = ROOT / "docs" / "experiments.md"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in (*NAMES, "common"):
        sys.modules.pop(name, None)


def run(name: str, folder: Path) -> list[dict]:
    return importlib.import_module(name).compute(True, folder)


def by(rows: list[dict], **chosen) -> dict:
    (row,) = (row for row in rows if all(row[key] == value for key, value in chosen.items()))
    return row


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_writes_its_table_and_figures(name, tmp_path):
    rows = run(name, tmp_path)
    assert rows
    tables, figures = list(tmp_path.glob("*.csv")), list(tmp_path.glob("*.png"))
    assert len(tables) == 1
    assert figures
    with tables[0].open(encoding="utf-8") as file:
        assert list(csv.DictReader(file))
    assert all(path.stat().st_size < 150_000 for path in figures)
    CHECKS.get(name, lambda rows: None)(rows)


def check_waves(rows):
    """Placed partitions beat the residual network by far."""
    assert all(row["ratio"] > 100 for row in rows)


def check_cross(rows):
    """The error falls with the degree, and adapting the partition helps."""
    for way in ("start", "varpro"):
        errors = [by(rows, partitions=4, degree=m, way=way)["error_between"] for m in (0, 2, 4)]
        assert errors[0] > errors[1] > errors[2]
    start, found = (by(rows, partitions=4, degree=4, way=way)["error_between"] for way in ("start", "varpro"))
    assert found < 0.1 * start


def check_pou_pde(rows):
    assert by(rows, case="layer", method="varpro")["gained"] > 1000


def check_lsgd(rows):
    gd, lsgd = (by(rows, method=name)["log10_loss_mean"] for name in ("GD", "LSGD"))
    assert lsgd < gd - 1


def check_box(rows):
    """Box keeps a basis of full rank where He and Glorot collapse."""
    assert by(rows, start="box")["rank_at_start"] == 32
    assert by(rows, start="he")["rank_at_start"] < 8


def check_advection(rows):
    gd, lsgd = (by(rows, speed="1", method=name)["loss"] for name in ("GD", "LSGD"))
    assert lsgd < 0.5 * gd  # with a tenth of the steps


def check_bound(rows):
    """At least the order of the bound."""
    assert all(row["order"] > row["expected"] - 0.3 for row in rows)


CHECKS = {name.removeprefix("check_"): value for name, value in list(globals().items()) if name.startswith("check_")}


def test_the_page_has_every_experiment_and_every_figure():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"scripts/experiments/{name}.py" in text for name in NAMES)
    figures = {path.name for path in (ROOT / "docs" / "figures").glob("*.png")}
    assert figures
    pages = text + (PAGE.parent / "benchmarks.md").read_text(encoding="utf-8")
    assert [name for name in sorted(figures) if f"figures/{name}" not in pages] == []
