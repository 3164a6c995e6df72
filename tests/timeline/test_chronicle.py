"""`Chronicle` against what `Inspection`, views of the past and `HistoryManager` tell."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from past_lives import PastLife, begin, live

from memoria import HistoryManager, Memoria
from memoria.analysis import Chronicle, open_chronicle
from memoria.errors import InputError
from memoria.query.inspection import Inspection
from memoria.store import MemoryStore
from memoria.store.compacting import compact
from memoria.store.life import StepTable, fold
from memoria.store.reading import open_files
from memoria.timeline.engram_type import EngramType


@contextmanager
def both(path: Path, at: int | str | None = None) -> Iterator[tuple[Chronicle, Inspection]]:
    with open_chronicle(path, at) as chronicle, Inspection.open(path, at) as view:
        yield chronicle, view


def check_engrams(chronicle: Chronicle, view: Inspection) -> None:
    """Every engram's story, as far as it was finished."""
    for place, engram in enumerate(chronicle.ids.tolist()):
        story = view.engram(engram)
        assert chronicle.lane[place] == story["lane"]
        assert chronicle.born[place] == story["created"]["step"]
        gone = story["forgotten"]
        assert chronicle.gone[place] == (gone["step"] if gone else 0)
        by_hand = any(one["what"] == "forgotten" for one in story["events"])
        longterm = story["longterm"] or 0
        if by_hand and longterm == chronicle.gone[place]:
            longterm = 0
        assert chronicle.longterm[place] == longterm
        mine = chronicle.fired_ids == engram
        told = [one for one in story["firings"] if one["step"] <= chronicle.steps]
        assert chronicle.fired_steps[mine].tolist() == [one["step"] for one in told]
        assert chronicle.gains[mine].tolist() == [one["gain"] for one in told]
        left = chronicle.fired_expiry[mine] - chronicle.fired_steps[mine]
        assert left.tolist() == [one["lifespan"] for one in told]
        assert chronicle.fires[place] == len(told)
        assert chronicle.text(engram) == story["text"]


def check_steps(path: Path, chronicle: Chronicle, steps: range) -> None:
    """Who is alive, in which memory and for how long, as the store says of every step."""
    for step in steps:
        files = open_files(path, step)
        try:
            life = fold(files, files.config, StepTable.read(files))
            # The view of a step is before anything by hand, the chronicle after it.
            by_hand = step_events(path, step)
        finally:
            files.close()
        alive = chronicle.living(step)
        known = np.isin(life.ids, by_hand, invert=True)
        mine = np.isin(chronicle.ids[alive], by_hand, invert=True)
        assert chronicle.ids[alive][mine].tolist() == life.ids[known].tolist()
        kinds = chronicle.types_after(alive, step)
        assert kinds[mine].tolist() == life.types[known].tolist()
        assert chronicle.lifespan(alive, step)[mine].tolist() == life.lifespan()[known].tolist()
        unborn = np.flatnonzero(chronicle.born > step)
        assert not chronicle.types_after(unborn, step).any()
        assert np.isnan(chronicle.lifespan(unborn, step)).all()


def step_events(path: Path, step: int) -> list[int]:
    """To whom something was done after ``step`` and before the next."""
    with Inspection.open(path) as view:
        return [engram for at, _, engram in view.events().tolist() if at == step]


@pytest.mark.parametrize("phase", ["idle", "working", "reminded"])
@pytest.mark.parametrize("seed", [1, 2, 4, 5, 7])
def test_a_life_is_told_as_the_store_tells_it(quick_folder: Path, seed: int, phase: str) -> None:
    path = quick_folder / "store"
    live(PastLife(seed), path, 25, random.Random(seed))
    begin(PastLife(seed), path, phase)
    with both(path) as (chronicle, view):
        assert (chronicle.steps, chronicle.first_step) == (view.step, 1)
        assert chronicle.lanes == view.config.lanes
        assert len(chronicle) == chronicle.added.sum()
        told = view.history()
        assert chronicle.added.tolist() == [one["added"] for one in told]
        assert np.diff(chronicle.ends).tolist() == [one["fired"] for one in told]
        if phase == "idle":
            check_engrams(chronicle, view)
        check_steps(path, chronicle, range(1, chronicle.steps + 1))
    with both(path, 12) as (chronicle, view):
        assert chronicle.steps == 12
        check_engrams(chronicle, view)


@pytest.mark.parametrize("seed", [2, 4, 8])
def test_after_a_compaction_it_tells_what_is_left(quick_folder: Path, seed: int) -> None:
    path, life = quick_folder / "store", PastLife(seed)
    live(life, path, 20, random.Random(seed), snapshots=0.1)
    compact(path)
    life.go_on(path, 6)
    with both(path) as (chronicle, view):
        assert chronicle.first_step == 21
        assert len(chronicle) < chronicle.added.sum()
        check_engrams(chronicle, view)
        check_steps(path, chronicle, range(20, 27))
        removed = min(set(range(int(chronicle.added.sum()))) - set(chronicle.ids.tolist()))
        with pytest.raises(InputError, match="compaction has removed it"):
            chronicle.positions([removed])
        with pytest.raises(InputError, match="there is none"):
            chronicle.positions([10**9])


def test_an_empty_store_and_one_that_has_only_begun(tmp_path: Path) -> None:
    path = tmp_path / "store"
    MemoryStore.create(path, PastLife(1).config).close()
    with open_chronicle(path) as chronicle:
        assert (len(chronicle), chronicle.steps, chronicle.first_step) == (0, 0, 1)
        assert chronicle.ends.tolist() == [0]
        assert len(chronicle.fires) == 0
    begin(PastLife(1), path, "reminded")
    with open_chronicle(path) as chronicle:
        assert (len(chronicle), chronicle.steps) == (0, 0)


def a_history(seed: int) -> tuple[Memoria, list[HistoryManager]]:
    """Two lanes, with pins and forgetting by hand, reminding twice or not at all."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    memoria = Memoria(2, 6, 3, 4, 3, keep_history=True, seed=seed)
    for _ in range(30):
        memoria.add_working_memory(torch.randn(2, rng.randint(1, 3), 4, generator=generator))
        indices = torch.zeros(2, 0, dtype=torch.int64)
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            indices = memoria.remind()[1]
        gains = torch.randint(-8, 24, indices.shape, generator=generator) / 8
        memoria.adjust_lifespan_and_memories(indices, gains)
        act = rng.choice((memoria.pin, memoria.unpin, memoria.forget, None, None))
        if act is not None and memoria.engrams.data.shape[1]:
            act(torch.zeros(2, 1, dtype=torch.int64))
    assert memoria.history is not None
    return memoria, memoria.history


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_history_is_told_as_it_tells_itself(seed: int) -> None:
    _, histories = a_history(seed)
    for lane, history in enumerate(histories):
        alone, together = Chronicle.of_history(history), Chronicle.of_history(histories)
        for chronicle, ids in (
            (alone, np.arange(len(alone))),
            (together, np.arange(len(alone)) * 2 + lane),
        ):
            born, gone = chronicle.born[ids], chronicle.gone[ids]
            lived = np.flatnonzero((gone == 0) | (gone > born)).tolist()
            assert lived == history.engram_ids
            births, deaths = history.engram_creation_times, history.engram_deletion_times
            assert [int(born[i]) - 1 for i in lived] == list(births.values())
            assert {i: int(gone[i]) - 1 for i in lived if gone[i]} == deaths
            for time, (summary, fired) in enumerate(
                zip(history, history.firings_per_time, strict=True)
            ):
                step = time + 1
                now = {
                    i: one for i, one in enumerate(ids.tolist()) if one in living(chronicle, step)
                }
                assert list(now) == sorted(summary.engrams)
                places = np.array(list(now.values()), np.int64)
                infos = [summary.engrams[i] for i in now]
                assert chronicle.lifespan(places, step).tolist() == [i.lifespan for i in infos]
                kinds = chronicle.types_after(places, step).tolist()
                assert kinds == [EngramType[info.type] for info in infos]
                mine = (chronicle.fired_steps == step) & (
                    chronicle.lane[chronicle.fired_positions] == chronicle.lane[ids[0]]
                )
                old = mine & (chronicle.born[chronicle.fired_positions] < step)
                told = {
                    int(i) // chronicle.lanes: gain
                    for i, gain in zip(
                        chronicle.fired_ids[old].tolist(),
                        chronicle.gains[old].tolist(),
                        strict=True,
                    )
                }
                expected = {f.engram_id: f.lifespan_gain for f in fired}
                assert {i: told[i] for i in expected} == expected


def living(chronicle: Chronicle, step: int) -> set[int]:
    return set(chronicle.living(step).tolist())


def test_lanes_of_different_lives_make_no_chronicle() -> None:
    _, histories = a_history(1)
    with pytest.raises(InputError, match="histories of 30, 0 steps"):
        Chronicle.of_history([histories[0], HistoryManager()])
    with pytest.raises(InputError, match="none"):
        Chronicle.of_history([])
    assert Chronicle.of_history(HistoryManager()).steps == 0


def test_no_torch_is_loaded() -> None:
    code = "import sys, memoria.analysis; print('torch' in sys.modules, 'zarr' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False False\n", done.stderr
