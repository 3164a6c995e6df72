"""`--watch` in a real terminal: what it shows, its keys, its ends; and the scene by itself."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from cli_tools import DIARY, Cli, process
from hypothesis import given
from hypothesis import strategies as st
from terminals import Terminal, shown

from memoria.store import MemoryStore
from memoria.store.replay.walk import StepState, walk
from memoria.timeline.engram_type import EngramType
from memoria_cli.terminal.charts import Page, cell_width
from memoria_cli.terminal.frame_view import BOUNDS, FrameView, draw, engrams_a_cell, levels

LEAVE = "\x1b[?25h\x1b[?1049l"


@pytest.fixture
def notes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Path:
    """A store of 54 steps."""
    cli, place = Cli(capsys), tmp_path / "notes"
    (tmp_path / "diary.txt").write_text(DIARY * 6, encoding="utf-8")
    cli.ok("init", place, "--initial-lifespan", 3, "--stm-capacity", 4, "--wm-length", 1)
    cli.ok("step", place, tmp_path / "diary.txt", "--rule", "uniform:1")
    return place


def test_a_replay_runs_to_its_end(notes: Path) -> None:
    with Terminal("replay", notes, "--watch", "--speed", 500, "--fps", 30) as terminal:
        assert terminal.end() == 0
        assert terminal.modes_now == terminal.modes
        assert "\x1b[?1049h\x1b[?25l" in terminal.raw
        assert LEAVE in terminal.raw
        screen = terminal.screen
        assert screen[0].split() == ["notes", "step", "54", "of", "54"]
        assert any(line.startswith("long-term") for line in screen)
        assert any("engrams" in line and "born 54" in line for line in screen)
        assert any("The dog" in line or "dog ran" in line or "cat" in line for line in screen)
        assert "step 54 of 54" in terminal.left  # the last picture stays
        assert "q quits" not in terminal.left
        assert "steps 1 to 54 shown" in terminal.left


def test_q_quits(notes: Path) -> None:
    with Terminal("replay", notes, "--watch", "--speed", 0.5, "--json") as terminal:
        terminal.until(lambda it: any("step 1 of 54" in line for line in it.screen))
        terminal.type("q")
        assert terminal.end() == 0
        assert terminal.modes_now == terminal.modes
        told = json.loads(terminal.left[terminal.left.index('{"from"') :])
        assert told == {"from": 1, "to": 1, "steps": 1, "frames": 1, "quit": True}


@pytest.mark.parametrize("how", ["\x03", signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_gives_the_terminal_back(notes: Path, how: str | signal.Signals) -> None:
    with Terminal("replay", notes, "--watch", "--speed", 0.5) as terminal:
        terminal.until(lambda it: any("step 1 of 54" in line for line in it.screen))
        assert terminal.modes_now != terminal.modes
        if isinstance(how, str):
            terminal.type(how)
        else:
            terminal.process.send_signal(how)
        assert terminal.end() == 130
        assert terminal.modes_now == terminal.modes
        assert LEAVE in terminal.raw
        assert "interrupted" in terminal.left
        assert "Traceback" not in terminal.raw


def test_it_pauses_and_goes_step_by_step(notes: Path) -> None:
    with Terminal("replay", notes, "--watch", "--speed", 1, "--from", 5, "--to", 9) as terminal:
        terminal.until(lambda it: any("step 5 of 9" in line for line in it.screen))
        terminal.type(" ")
        terminal.until(lambda it: any("paused" in line for line in it.screen))
        at = int(terminal.screen[0].split()[-3])
        terminal.type(".")
        terminal.until(lambda it: it.screen[0].split()[-3] == str(at + 1))
        terminal.type("+")
        terminal.type(" ")
        terminal.until(lambda it: any("2 steps a second" in line for line in it.screen))
        terminal.type("+" * 8)
        assert terminal.end() == 0
        assert "steps 5 to 9 shown" in terminal.left


def test_it_follows_the_size_of_the_terminal(notes: Path) -> None:
    with Terminal("replay", notes, "--watch", "--speed", 0.5, columns=100, lines=30) as terminal:
        terminal.until(lambda it: any("q quits" in line for line in it.screen))
        assert max(map(len, terminal.screen)) > 80
        for columns, lines in ((40, 10), (20, 3), (150, 40)):
            before = len(terminal.raw)
            terminal.resize(columns, lines)
            terminal.until(lambda it, n=before: "\x1b[2J" in it.raw[n:])  # type: ignore[misc]
            terminal.type(" ")
            terminal.until(lambda it, n=before: len(it.raw) > n + 50)  # type: ignore[misc]
            newest = shown(terminal.raw.rpartition("\x1b[2J")[2])
            assert len(newest) <= lines
            assert max(map(len, newest)) <= columns
        terminal.type("q")
        assert terminal.end() == 0


def test_without_colour_and_without_unicode(notes: Path) -> None:
    more = {"NO_COLOR": "1", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    with Terminal("replay", notes, "--watch", "--speed", 500, **more) as terminal:
        assert terminal.end() == 0
        assert terminal.raw.isascii()
        assert "38;2" not in terminal.raw
        assert "38;5" not in terminal.raw
        assert any("@" in line for line in terminal.screen)


def test_stepping_is_watched_and_q_ends_it(notes: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text(DIARY * 400, encoding="utf-8")
    arguments = ("step", notes, tmp_path / "more.txt", "--watch", "--json")
    with Terminal(*arguments) as terminal:
        terminal.until(lambda it: any("of 3,654" in line for line in it.screen))
        terminal.type("q")
        assert terminal.end() == 0
        assert terminal.modes_now == terminal.modes
        assert "ended by q" in terminal.left
        told = json.loads(terminal.left[terminal.left.index('{"path"') :].splitlines()[0])
    with MemoryStore.open(notes) as store:
        assert store.timestep == told["timestep"] == 54 + told["steps"]
        assert store.digest() == told["digest"]
    assert 0 < told["steps"] < 3600


def test_stepping_interrupted_keeps_what_is_finished(notes: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text(DIARY * 400, encoding="utf-8")
    with Terminal("step", notes, tmp_path / "more.txt", "--watch") as terminal:
        terminal.until(lambda it: any("of 3,654" in line for line in it.screen))
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.modes_now == terminal.modes
        assert LEAVE in terminal.raw
    with MemoryStore.open(notes) as store:
        assert store.timestep > 54
        assert f"the store is at step {store.timestep}" in terminal.left


def test_where_no_terminal_is_it_says_so(notes: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text(DIARY, encoding="utf-8")
    for arguments in (("replay", notes), ("step", notes, tmp_path / "more.txt")):
        ran = process(*arguments, "--watch")
        assert (ran.code, ran.out) == (2, "")
        assert "stderr is none" in ran.err
        assert ran.err.count("\n") == 1
        with Terminal(*arguments, "--watch", TERM="dumb") as terminal:
            assert terminal.end() == 2
            assert "\x1b[?1049h" not in terminal.raw
    with MemoryStore.open(notes) as store:
        assert store.timestep == 54


@pytest.mark.parametrize(
    "line",
    [
        "--watch --recompute",
        "--watch --sample 2 -o x.npz",
        "--watch -o x",
        "--speed 5",
        "--fps 5",
        "--watch --speed 0",
        "--watch --speed nan",
        "--watch --fps 1000",
    ],
)
def test_bad_requests(notes: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    ran = Cli(capsys)("replay", notes, *line.split())
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)


def test_steps_that_are_not_there(notes: Path) -> None:
    with Terminal("replay", notes, "--watch", "--from", "90") as terminal:
        assert terminal.end() == 2
        assert "steps 90 to 54" in terminal.raw
        assert "\x1b[?1049h" not in terminal.raw
    with Terminal("replay", notes, "--watch", "--lane", "3") as terminal:
        assert terminal.end() == 2


def frame_of(counts: tuple[int, int, int], seed: int) -> StepState:
    random = np.random.default_rng(seed)
    kinds = (EngramType.LONGTERM, EngramType.SHORTTERM, EngramType.WORKING)
    types = np.repeat(np.array(kinds, np.uint8), counts)
    left = random.exponential(20.0, len(types)) - 2.0
    return StepState(
        step=12,
        ids=np.arange(len(types)) * 3,
        types=types,
        lifespan=left,
        fired=random.random(len(types)) < 0.2,
        forgotten=left <= 0,
        reminded=np.empty(0, np.int64),
        created=5 * len(types),
        gone=4 * len(types) + int((left <= 0).sum()),
    )


@given(
    counts=st.tuples(st.integers(0, 5000), st.integers(0, 500), st.integers(0, 60)),
    columns=st.integers(1, 220),
    lines=st.integers(0, 70),
    unicode=st.booleans(),
    colour=st.booleans(),
    text=st.text(max_size=60),
    seed=st.integers(0, 99),
)
def test_a_scene_keeps_to_its_page(
    counts: tuple[int, int, int],
    columns: int,
    lines: int,
    unicode: bool,
    colour: bool,
    text: str,
    seed: int,
) -> None:
    frame = frame_of(counts, seed)
    listed = [("new", text), ("again", text)] * 30
    scene = FrameView(frame, text, 100, 20.0, text, text, [1, 2, 3], "q quits", listed)
    drawn = draw(scene, Page(columns, unicode), lines, colour)
    assert len(drawn) <= lines
    for line in drawn:
        told = "".join(part for part, _ in line)
        assert cell_width(told) <= columns
        assert unicode or told.isascii()


@given(
    counts=st.tuples(st.integers(0, 3000), st.integers(0, 300), st.integers(0, 60)),
    seed=st.integers(0, 99),
)
def test_every_engram_has_its_part_of_a_cell(counts: tuple[int, int, int], seed: int) -> None:
    frame = frame_of(counts, seed)
    columns, lines = 60, 24
    drawn = draw(FrameView(frame, "t", 100, 20.0), Page(columns), lines)
    names = ["working", "short-term", "long-term"]
    text = ["".join(part for part, _ in line) for line in drawn]
    starts = [next(k for k, line in enumerate(text) if line.startswith(name)) for name in names]
    ends = [*starts[1:], next(k for k, line in enumerate(text) if line.startswith("engrams"))]
    for count, start, end in zip(reversed(counts), starts, ends, strict=True):
        cells = sum(len(line[12:].strip()) for line in text[start:end])
        capacity = (end - start) * (columns - 13)
        each = engrams_a_cell(count, capacity)
        assert cells == -(-count // each)
        assert cells <= capacity
        assert each == 1 or -(-count // engrams_a_cell(count, capacity * 2)) <= capacity * 2
    alive = len(frame.ids) - int(frame.forgotten.sum())
    assert f"engrams {alive:,}  born {frame.created:,}" in "\n".join(text)


def test_cells_hold_round_numbers_of_engrams() -> None:
    found = [engrams_a_cell(n, 100) for n in (0, 1, 100, 101, 200, 201, 501, 1001, 10**6)]
    assert found == [1, 1, 1, 2, 2, 5, 10, 20, 10_000]


def test_levels_follow_the_first_lifespan() -> None:
    bounds = [bound * 20.0 for bound in BOUNDS]
    values = [0.0, *bounds, 1e9]
    assert levels(np.array(values), 20.0).tolist() == [0, 1, 2, 3, 4, 5, 5]


def test_a_tall_or_wide_page_lists_what_fires() -> None:
    frame = frame_of((30, 10, 4), 1)
    listed = [("again", f"text {n}") for n in range(40)]
    scene = FrameView(frame, "t", 100, 20.0, "new one", "old one", [1, 2], "q quits", listed)
    for columns, lines in ((80, 50), (160, 24)):
        drawn = draw(scene, Page(columns), lines)
        text = ["".join(part for part, _ in line) for line in drawn]
        assert sum("again text" in line for line in text) >= 15
        assert len(drawn) == lines
        assert text[-1].startswith("q quits")
    assert not any("again text" in str(line) for line in draw(scene, Page(80), 24))


def test_a_cell_shows_what_its_engrams_do(notes: Path) -> None:
    with walk(notes) as course:
        frame = course.go(30)
    scene = FrameView(frame, "t", 54, 3.0)
    cells = [part for line in draw(scene, Page(80), 24) for part in line]
    assert sum(text.count("◆") for text, _ in cells) == int(frame.fired.sum()) + 1  # the legend's
    dying = frame.forgotten & ~frame.fired
    assert sum(text.count("×") for text, _ in cells) == int(dying.sum()) + 1
