"""Stores from strangers: every way to read one ends well, or in one line."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import guarded
from fuzzing.judge import Findings, Judge
from fuzzing.sealed import Sealed
from fuzzing.store_cases import case, originals

from memoria.config import MemoriaConfig
from memoria.core.connections.dense import DenseConnections
from memoria.core.connections.sparse import SparseConnections
from memoria.errors import DamageError
from memoria.query.inspection import Inspection
from memoria.query.summary_statistics import survival
from memoria.store import MemoryStore, loading
from memoria.store.verify import verify


@pytest.fixture
def small() -> Sealed:
    """A store of two lanes between two steps, to be tampered with."""
    return dict(originals())["small-idle"].copy()


def refused(store: Sealed, folder: Path, match: str) -> None:
    """Nobody may read or step the store, and everyone says so in one line."""
    place = store.write(folder / "store")
    with pytest.raises(DamageError, match=match):
        Inspection.open(place)

    def step() -> None:
        with MemoryStore.open(place, "r+") as opened:
            opened.step(np.ones((2, 1, 8), np.float32))

    with pytest.raises(DamageError, match=match):
        step()


def test_what_is_taken_apart_and_closed_again_is_as_it_was(tmp_path: Path) -> None:
    """The forger knows the format: else none of its stores would get past the first check."""
    for name, store in originals():
        for array in store.arrays():
            store.put(array, store.read(array))
        place = store.write(tmp_path / name.replace("/", "-"))
        with Inspection.open(place) as view:
            assert view.summary()["step"] == store.attributes["step"]
            view.engram_list()
        with MemoryStore.open(place) as opened:
            assert opened.digest() == store.attributes["digest"]


def test_cases_repeat(tmp_path: Path) -> None:
    told = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        judge = Judge(Findings())
        case(judge, random.Random(5), tmp_path / name)
        told.append((judge.case, judge.findings.outcomes))
    assert told[0] == told[1]


def test_some_changed_stores() -> None:
    guarded.check("stores", seed=20260101, cases=40, seconds=60)


@pytest.mark.slow
def test_many_changed_stores() -> None:
    """A new seed each time: `MEMORIA_FUZZ_SEED` repeats one, `MEMORIA_FUZZ_SECONDS` bounds it."""
    seconds = float(os.environ.get("MEMORIA_FUZZ_SECONDS", "240"))
    seed = int(os.environ.get("MEMORIA_FUZZ_SEED", str(random.SystemRandom().randrange(10**9))))
    guarded.check("stores", seed=seed, cases=10**6, seconds=seconds)


LENGTHS: dict[str, Any] = {
    "log/expiry": slice(0, -1),
    "log/ids": slice(0, -1),
    "state/1/ids": slice(0, -1),
    "state/1/expiry": slice(0, 0),
    "state/1/fires": slice(0, -2),
    "log/steps": slice(0, -1),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_arrays_of_different_lengths(small: Sealed, tmp_path: Path, name: str) -> None:
    small.put(name, small.read(name)[LENGTHS[name]])
    refused(small, tmp_path, "one length|living engrams|disagrees|not a table")


def test_more_places_of_texts_than_engrams(small: Sealed, tmp_path: Path) -> None:
    index = small.read("texts/index")
    small.put("texts/index", np.concatenate((index, index)))
    refused(small, tmp_path, "one length")


def test_state_arrays_of_different_lengths_are_a_finding(small: Sealed, tmp_path: Path) -> None:
    for number, (name, size) in enumerate(
        (("edges/target", -1), ("edges/source", 0), ("types", 9))
    ):
        store = small.copy()
        store.put(f"state/1/{name}", store.read(f"state/1/{name}")[:size])
        report = verify(store.write(tmp_path / str(number)))
        assert not report.sound
        assert any(finding.array == f"state/1/{name}" for finding in report.findings)


CLIMB = np.array([2**63 - 1, -(2**63), -1])  # every difference is positive, if it overflows


def test_ids_that_ascend_by_overflow(small: Sealed, tmp_path: Path) -> None:
    ids = small.read("state/1/ids")
    ids[2:5] = CLIMB
    small.put("state/1/ids", ids)
    refused(small, tmp_path, "not ascending")


def test_ends_of_names_that_ascend_by_overflow(small: Sealed, tmp_path: Path) -> None:
    last = small.read("sources/index")[-1, 1]
    small.put("sources/index", np.array([[0, CLIMB[0]], [*CLIMB[1:]], [last, last]]))
    place = small.write(tmp_path / "store")
    with MemoryStore.open(place) as store, pytest.raises(DamageError, match="sources/index"):
        store.last_offset("file0.txt")


def test_engrams_that_are_forgotten_before_they_are_made(small: Sealed, tmp_path: Path) -> None:
    with Inspection.open(small.write(tmp_path / "store")) as view:
        assert survival(view)["engrams"]
        view.endings.gone[-1] = view.steps.born(view.endings.ids[-1:])[0] - 1
        with pytest.raises(DamageError, match="forgotten before it was made"):
            survival(view)


@pytest.mark.parametrize("fires", [0, -1, 2**60])
def test_fire_counts_that_cannot_be(small: Sealed, tmp_path: Path, fires: int) -> None:
    counts = small.read("state/1/fires")
    counts[0] = fires
    small.put("state/1/fires", counts)
    refused(small, tmp_path, "fires")


def test_a_text_before_the_first(small: Sealed, tmp_path: Path) -> None:
    index = small.read("texts/index")
    index[0, 0] = -5
    small.put("texts/index", index)
    place = small.write(tmp_path / "store")
    with Inspection.open(place) as view, pytest.raises(DamageError, match="texts/index"):
        view.texts([0, 1])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_no_numbers(small: Sealed, tmp_path: Path, value: float) -> None:
    vectors = small.read("vectors")
    vectors[:-1] = value
    small.put("vectors", vectors)
    place = small.write(tmp_path / "store")
    with MemoryStore.open(place) as store, pytest.raises(DamageError, match="NaN or Inf"):
        store.peek(np.ones((2, 1, 8), np.float32))


def test_as_many_random_entries_as_can_be_asked_for(small: Sealed, tmp_path: Path) -> None:
    """They are drawn in parts, and no longer than it takes to find everyone."""
    cue = np.ones((2, 1, 8), np.float32)
    small.attributes["config"]["random_entries"] = 2**31 - 1
    small.attributes["config"]["ltm_search_depth"] = 2**31 - 1
    with MemoryStore.open(small.write(tmp_path / "all")) as store:
        found = store.peek(cue)
    small.attributes["config"]["random_entries"] = 1000  # enough to find all of the few there are
    with MemoryStore.open(small.write(tmp_path / "some")) as store:
        assert store.peek(cue).ids.tolist() == found.ids.tolist()


def test_a_lifespan_that_rounds_away(tmp_path: Path) -> None:
    """The step begun is alive until it ends, even if its lifespan is less than time resolves."""
    store = dict(originals())["small-working"].copy()
    store.attributes["config"]["initial_lifespan"] = 5e-324
    place = store.write(tmp_path / "store")
    with MemoryStore.open(place, "r+") as opened:
        assert opened.remind().ids.shape[0] == 2
        opened.adjust("uniform:2")
    with Inspection.open(place) as view:
        assert view.summary()["phase"] == "idle"


def test_sources_without_engrams(small: Sealed, tmp_path: Path) -> None:
    small.put("texts/index", small.read("texts/index")[:0])
    with MemoryStore.open(small.write(tmp_path / "store")) as store:
        assert store.last_offset("file0.txt") is None


def test_matrices_that_a_stranger_asks_for(
    small: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above a bound `dense` is the log, with the same results."""
    small.attributes["config"]["layout"] = "dense"
    digests = []
    for most, kind in ((loading.MOST_CELLS, DenseConnections), (1, SparseConnections)):
        monkeypatch.setattr(loading, "MOST_CELLS", most)
        with MemoryStore.open(small.write(tmp_path / str(most)), "r+") as store:
            core = loading.load_core(store.files, store.config)
            assert isinstance(core.connections, kind)
            asked = store.peek(np.ones((2, 1, 8), np.float32)).ids.tolist()
            for number in range(3):
                store.step(np.full((2, 1, 8), 1.0 + number, np.float32), "uniform:1")
            digests.append((asked, store.digest(), core.connections.counts().tolist()))
    assert digests[0] == digests[1]
    wide = MemoriaConfig(hidden_dim=1, layout="dense", backbone="array")
    with MemoryStore.create(tmp_path / "wide", wide) as store:
        store.add(np.ones((1, 8200, 1), np.float32))
    with MemoryStore.open(tmp_path / "wide") as store:
        core = loading.load_core(store.files, store.config)
        assert isinstance(core.connections, SparseConnections)
