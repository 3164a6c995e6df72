"""The examples run as a user would run them, and leave what they promise."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from memoria.store import MemoryStore
from memoria.store.replay.recompute import recompute
from memoria.store.verify import verify

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def run(name: str, folder: Path) -> str:
    """What the example prints; it must end well, and write nothing outside of its folder."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    work = folder / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), str(folder / "made")],
        capture_output=True,
        text=True,
        cwd=work,
        env=variables,
    )
    assert done.returncode == 0, done.stderr
    assert list(work.iterdir()) == []
    return done.stdout


def test_the_tour(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    printed = run("tour.py", tmp_path)
    made = tmp_path / "made"
    assert "60 steps again, identical: True" in printed
    assert "the same digest, True" in printed
    assert "the copy is at step 61, the store still at 60" in printed
    for store in ("memory", "elsewhere", "went-on"):
        assert verify(made / store).findings == ()
    assert recompute(made / "elsewhere").identical
    survival = pandas.read_parquet(made / "survival.parquet")
    with MemoryStore.open(made / "memory") as store:
        assert (store.timestep, store.phase) == (60, "idle")
    assert survival["created"].sum() == 60 * 8
    for name in ("survival.svg", "sizes.svg"):
        assert "<svg" in (made / name).read_text(encoding="utf-8")
    for name in ("survival.html", "report.html"):
        assert "<html" in (made / name).read_text(encoding="utf-8").lower()
    assert "<graphml" in (made / "memory.graphml").read_text(encoding="utf-8")


def test_the_next_half_hour_is_foretold() -> None:
    errors = runpy.run_path(str(EXAMPLES / "taxi.py"))["errors"](4)
    assert errors["what comes next"] < 0.8 * errors["the last"]
    assert errors["what comes next"] <= errors["a week before"]


def test_a_network_and_its_memory(tmp_path: Path) -> None:
    printed = run("model_memory.py", tmp_path)
    assert "the same from the store: True" in printed
    assert float(printed.split("right: ")[1].split(",")[0]) > 0.8
    place = tmp_path / "made" / "memory"
    assert verify(place).findings == ()
    inspect = [sys.executable, "-m", "memoria_cli", "inspect", str(place), "--engrams", "--json"]
    shown = subprocess.run(inspect, capture_output=True, text=True, check=True, cwd=ROOT)
    told = json.loads(shown.stdout)
    assert told["step"] == 3
    assert any(one["text"] for one in told["engram_list"])


@pytest.mark.slow
def test_a_memory_of_a_book(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    assert "of 640 engrams in report.html" in run("book.py", tmp_path)
    assert verify(tmp_path / "made" / "memory").findings == ()


@pytest.mark.slow
def test_free_recall(tmp_path: Path) -> None:
    pytest.importorskip("psifr")
    printed = run("free_recall.py", tmp_path)
    assert "126 people, 3,528 lists of 16 words" in printed
    apart = [float(line.split(": ")[1]) for line in printed.splitlines()[-2:]]
    assert apart[0] < apart[1], "connections bring a memory nearer to people"


def test_notebooks_are_those_of_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    import make_notebooks

    assert make_notebooks.stale() == []
    for name in make_notebooks.NAMES:
        notebook = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
        cells = [one for one in notebook["cells"] if one["cell_type"] == "code"]
        assert [one["execution_count"] for one in cells] == [*range(1, len(cells) + 1)]
        shown = json.dumps([one["outputs"] for one in cells])
        assert "/tmp" not in shown
        assert "Traceback" not in shown


def test_a_cell_shows_what_it_prints_and_its_last_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    import make_notebooks

    script = '"""A title.\n\nMore."""\n\n# %% One\nx = 2\nprint(x)\n\n# %% Two\nx + 1\n'
    made = make_notebooks.notebook_of(script, make_notebooks.run(script, EXAMPLES))
    texts = ["".join(one["source"]) for one in made["cells"]]
    assert texts == ["# A title.\n\nMore.", "## One", "x = 2\nprint(x)", "## Two", "x + 1"]
    printed, last = (one["outputs"] for one in made["cells"] if one["cell_type"] == "code")
    assert [one["text"] for one in printed] == [["2\n"]]
    assert last[0]["data"] == {"text/plain": ["3"]}


def test_every_example_is_listed_and_in_cells() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES.iterdir():
        if path.name.startswith((".", "__")) or path.name == "README.md":
            continue
        assert f"({path.name}" in listed, path.name
        if path.suffix == ".py" and path.name != "make_notebooks.py":
            cells = path.read_text(encoding="utf-8").split("\n# %% ")
            assert len(cells) > 3
            for number, cell in enumerate(cells[1:]):
                title, _, code = cell.partition("\n")
                assert title.strip(), number
                compile(code, f"{path.name} {title}", "exec")
