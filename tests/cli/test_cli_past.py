"""`STORE@NAME` and `STORE@STEP`: verbs that read show the past, verbs that write refuse it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli, fingerprint, rows

from memoria.config import MemoriaConfig
from memoria.store import MemoryStore

D, LANES, WIDTH, STEPS = 8, 2, 3, 9


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``then/S``: the store as it stood after S steps; ``now``: after all, with a step begun."""
    folder = tmp_path_factory.mktemp("lived")
    config = MemoriaConfig(
        hidden_dim=D,
        lanes=LANES,
        wm_length=WIDTH,
        backbone="array",
        num_reminded_stm=2,
        stm_capacity=6,
        initial_lifespan=4.0,
    )
    (folder / "then").mkdir()
    with MemoryStore.create(folder / "now", config) as store:
        for step in range(STEPS + 1):
            if step:
                texts = [[f"{lane} {step} {n}" for n in range(WIDTH)] for lane in range(LANES)]
                store.step(rows(LANES, WIDTH, D, seed=step), "uniform:2", texts)
            if step in (4, 7):
                store.snapshot("four" if step == 4 else "v7.th", "as it was")
            store.commit()
            shutil.copytree(folder / "now", folder / "then" / str(step))
        store.add(rows(LANES, WIDTH, D, seed=99))
    np.save(folder / "cue.npy", rows(LANES, WIDTH, D, seed=50))
    return folder


@pytest.fixture
def place(lived: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The stores as the current directory, compared byte for byte afterwards."""
    monkeypatch.chdir(lived)
    before = fingerprint(lived)
    yield lived
    assert fingerprint(lived) == before


VIEWS = (("--engrams", "--edges", "--history", "--forgotten"), ("5",), ("--lane", "1", "--edges"))


@pytest.mark.parametrize("step", range(STEPS + 1))
def test_inspect_shows_a_step_as_it_was(place: Path, cli: Cli, step: int) -> None:
    for view in VIEWS:
        if step == 0 and view == ("5",):
            continue
        past = cli.ok("inspect", f"now@{step}", *view, "--json").json
        then = cli.ok("inspect", f"then/{step}", *view, "--json").json
        if view != ("5",):
            assert past.pop("path") == os.path.abspath("now")
            assert (past.pop("at"), then.pop("at")) == (step, None)
            assert past["digest"] == then["digest"]
            size, before = past.pop("bytes"), then.pop("bytes")
            assert (size > 0) == (step > 0)
            assert size < before  # that counts metadata and a state too
            then.pop("path")
        assert past == then


def test_inspect_shows_a_snapshot(place: Path, cli: Cli) -> None:
    for name, step in (("four", 4), ("v7.th", 7)):
        past = cli.ok("inspect", f"now@{name}", "--history", "--json").json
        by_number = cli.ok("inspect", f"now@{step}", "--history", "--json").json
        assert past.pop("at") == name
        assert past == {key: value for key, value in by_number.items() if key != "at"}
        told = cli.ok("inspect", f"now@{name}").out
        assert told.startswith(f"{os.path.abspath('now')}@{name}\n")
        assert "under way" not in told


def test_the_bytes_of_the_past_never_decrease(place: Path, cli: Cli) -> None:
    sizes = [cli.ok("inspect", f"now@{step}", "--json").json["bytes"] for step in range(STEPS + 1)]
    assert sizes == sorted(sizes)
    assert sizes[-1] <= cli.ok("inspect", "now", "--json").json["bytes"]


@pytest.mark.parametrize("moment", ["4", "four"])
def test_remind_asks_the_past(place: Path, cli: Cli, moment: str) -> None:
    past = cli.ok("remind", f"now@{moment}", "--peek", "--cue", "cue.npy", "--json").json
    then = cli.ok("remind", "then/4", "--peek", "--cue", "cue.npy", "--json").json
    assert past == then
    assert past["step"] == 4
    assert any(lane["reminded"] for lane in past["lanes"])
    ran = cli("remind", f"now@{moment}", "--peek")  # the step begun belongs to the present
    assert (ran.code, ran.out) == (2, "")
    assert "no working memory" in ran.err


@pytest.mark.parametrize(
    "verb",
    [
        ("add", "now@4", "cue.npy"),
        ("remind", "now@four"),
        ("adjust", "now@4"),
        ("step", "now@v7.th", "cue.npy"),
        ("init", "now@4", "--hidden-dim", "8", "--backbone", "array"),
        ("add", "now@none", "cue.npy"),
    ],
    ids=" ".join,
)
def test_what_writes_refuses_the_past(place: Path, cli: Cli, verb: tuple[str, ...]) -> None:
    ran = cli(*verb)
    assert (ran.code, ran.out) == (2, "")
    assert "the past can only be read" in ran.err
    assert ran.err.count("\n") == 1


def test_moments_that_are_not_there(place: Path, cli: Cli) -> None:
    for verb in ("inspect", "remind --peek --cue cue.npy"):
        name, *more = verb.split()
        for moment, said in (("10", "the steps"), ("five", "it has: four, v7.th"), ("-1", "none")):
            ran = cli(name, f"now@{moment}", *more)
            assert (ran.code, ran.out) == (2, "")
            assert said in ran.err
            assert ran.err.count("\n") == 1
        ran = cli(name, "nowhere@4", *more)
        assert (ran.code, ran.out) == (10, "")


def test_a_store_may_have_the_sign_in_its_name(
    lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(lived / "then" / "7", tmp_path / "mine@4")
    assert cli.ok("inspect", "mine@4", "--json").json["step"] == 7
    assert cli.ok("inspect", "mine@4@four", "--json").json["step"] == 4
    cli.ok("step", "mine@4", lived / "cue.npy")
    assert cli.ok("inspect", "mine@4", "--json").json["step"] == 8
