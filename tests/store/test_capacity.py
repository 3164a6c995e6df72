"""A capacity displaces what tells least: recorded, read back, replayed and undone."""

from __future__ import annotations

import math
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spec_reader import SpecReader

from memoria.config import MemoriaConfig
from memoria.errors import StateError
from memoria.store import MemoryStore
from memoria.store.compacting import compact
from memoria.store.information import WordCounts
from memoria.store.life import StepTable, fold
from memoria.store.reading import open_files
from memoria.store.replay.recompute import recompute
from memoria.store.replay.rerun import rerun
from memoria.store.verify import verify
from memoria.timeline import rules
from memoria.timeline.log import EventKind

DIMENSION, ENDLESS = 8, 2.0**40
WORDS = (
    "lamp fog harbour tide bell dog nets keeper storm pier plank snow book oil sail gull".split()
)


def config(**more: Any) -> MemoriaConfig:
    values: dict[str, Any] = {
        "hidden_dim": DIMENSION,
        "backbone": "array",
        "stm_capacity": 4,
        "num_reminded_stm": 2,
        "num_final_ltms": 2,
        "rule": "uniform:0",
    }
    return MemoriaConfig(**values | more)


def live(store: MemoryStore, steps: int, seed: int = 1) -> None:
    numbers, draws = random.Random(seed), np.random.default_rng(seed)
    lanes = store.config.lanes
    for _ in range(steps):
        data = draws.normal(size=(lanes, 3, DIMENSION)).astype(np.float32)
        texts = [
            [" ".join(numbers.choices(WORDS, k=numbers.randint(1, 6))), "the lamp", None]
            for _ in range(lanes)
        ]
        store.step(data, texts=texts)


def living(path: Path, at: Any = None) -> list[int]:
    files = open_files(path, at)
    ids: list[int] = fold(files, files.config, StepTable.read(files)).ids.tolist()
    files.close()
    return ids


def test_information_orders_lifespans_at_birth(tmp_path: Path) -> None:
    texts = ["the lamp and the fog", "fog fog", "a storm", "and the", None]
    with MemoryStore.create(tmp_path / "s", config(lifespan_by="information")) as store:
        for text in texts:
            store.step(np.ones((1, DIMENSION), np.float32), texts=[text])
    state = SpecReader(tmp_path / "s").state()
    two = math.log(2) + math.log(2), math.log(3 / 2), math.log(4), 0.0
    ratios = [two[n] / (sum(two[: n + 1]) / (n + 1)) for n in range(4)] + [1.0]
    for engram, ratio in enumerate(ratios):
        assert state.engrams[engram].expiry == engram + (ENDLESS + 50 * ratio)
    assert verify(tmp_path / "s").findings == ()


def test_a_capacity_implies_information_unless_another_is_chosen() -> None:
    assert config(capacity=5).lifespan_by == "information"
    assert config(capacity=5, lifespan_by="constant").lifespan_by == "constant"
    assert config().lifespan_by == "constant"


@pytest.mark.parametrize("lanes", [1, 2])
def test_no_more_live_than_the_capacity(tmp_path: Path, lanes: int) -> None:
    path = tmp_path / "s"
    with MemoryStore.create(path, config(capacity=10, lanes=lanes)) as store:
        live(store, 3)
        store.pin([0])
        live(store, 9, 2)
        digest = store.digest()
    ids = living(path)
    assert 0 in ids
    assert [sum(i % lanes == lane for i in ids) for lane in range(lanes)] == [10] * lanes
    reader = SpecReader(path)
    assert sorted(reader.state().engrams) == ids
    assert reader.digest() == digest
    assert verify(path).findings == ()
    for step in (4, 7, 12):
        assert len(living(path, step)) == 10 * lanes
        assert sorted(reader.state(step).engrams) == living(path, step)
    found = recompute(path)
    assert found.identical, found.differences
    assert recompute(path, first=5, last=8).identical
    again = rerun(path, tmp_path / "t", {})
    assert (again.digest, again.skipped_events) == (digest, 0)
    rerun(path, tmp_path / "u", {"capacity": 6})
    assert len(living(tmp_path / "u")) == 6 * lanes


def test_what_is_kept_is_what_tells_most(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "s", config(capacity=6)) as store:
        for number in range(20):
            common = f"the lamp is lit {'again' if number else ''}"
            rare = f"storm{number} broke pier{number}"
            store.step(np.eye(2, DIMENSION, dtype=np.float32), texts=[common, rare])
    assert living(tmp_path / "s") == [29, 31, 33, 35, 37, 39]


def test_a_displacement_that_the_rule_does_not_make_is_found_by_replay(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "s", config(capacity=10)) as store:
        live(store, 6)
        gone = store.files.event_rows()[:, 2].tolist()
        store._memory.change_by_hand(EventKind.DISPLACE, [max(gone) + 1])
        live(store, 1, 3)
    found = recompute(tmp_path / "s")
    assert [one.kind for one in found.differences][:1] == ["displaced"]


def test_a_store_goes_on_alike_whether_it_was_closed_or_not(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "s", config(capacity=10)) as store:
        live(store, 4)
        live(store, 4, 2)
        store.add(np.ones((1, DIMENSION), np.float32), texts=["the bell"])
        store.add(np.ones((1, DIMENSION), np.float32), texts=["a bell rings"])
    with MemoryStore.create(tmp_path / "t", config(capacity=10)) as store:
        live(store, 4)
    with MemoryStore.open(tmp_path / "t", "r+") as store:
        live(store, 4, 2)
        store.add(np.ones((1, DIMENSION), np.float32), texts=["the bell"])
    with MemoryStore.open(tmp_path / "t", "r+") as store:
        store.add(np.ones((1, DIMENSION), np.float32), texts=["a bell rings"])
    digests = []
    for name in ("s", "t"):
        with MemoryStore.open(tmp_path / name, "r+") as store:
            assert store.digest() == SpecReader(tmp_path / name).digest()
            store.remind()
            store.commit()
            assert verify(tmp_path / name).findings == ()
            store.adjust()
            digests.append(store.digest())
        assert verify(tmp_path / name).findings == ()
    assert digests[0] == digests[1]
    compact(tmp_path / "s")
    assert verify(tmp_path / "s").findings == ()
    with MemoryStore.open(tmp_path / "s", "r+") as store:
        live(store, 3, 5)
    assert len(living(tmp_path / "s")) == 10
    assert verify(tmp_path / "s").findings == ()


def test_a_compaction_leaves_new_texts_their_place(tmp_path: Path) -> None:
    ratios = []
    for name in ("s", "t"):
        with MemoryStore.create(tmp_path / name, config(capacity=12)) as store:
            live(store, 40)
        if name == "t":
            compact(tmp_path / name)
        with MemoryStore.open(tmp_path / name, "r+") as store:
            store.add(np.ones((1, DIMENSION), np.float32), texts=["the storm broke the pier"])
            store.commit()
        reader = SpecReader(tmp_path / name)
        ratios.append((reader.pending["expiry"][0] - 40 - ENDLESS) / 50)
        assert verify(tmp_path / name).findings == ()
    assert ratios[1] == pytest.approx(ratios[0], rel=0.25)


def test_an_unknown_order_of_going_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="lifespan_by = 'mood'"):
        MemoryStore.create(tmp_path / "s", config(lifespan_by="mood"))


def test_the_rule_of_displacement() -> None:
    expiry = np.array([5.0, 3.0, 3.0, 9.0, 3.0])
    free = np.zeros(5, np.bool_)
    assert rules.displaced(expiry, free, 5).tolist() == []
    assert rules.displaced(expiry, free, 3).tolist() == [1, 2]
    assert rules.displaced(expiry, free, 1).tolist() == [0, 1, 2, 4]
    pinned = np.array([False, True, False, False, False])
    assert rules.displaced(expiry, pinned, 3).tolist() == [2, 4]
    assert rules.displaced(expiry, ~free, 1).tolist() == []


def test_counts_of_words_are_kept_beside_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, beside = tmp_path / "s", tmp_path / "s" / "index" / "words.json"
    with MemoryStore.create(path, config(lifespan_by="information", lanes=2)) as store:
        live(store, 90)
    assert beside.is_file()
    others = ["", "{", beside.read_text().replace('"step":90', '"step":89'), None]
    others.append(beside.read_text().replace('"texts":180', '"texts":0'))
    for other in others:
        twin = shutil.copytree(path, tmp_path / f"twin{len(list(tmp_path.iterdir()))}")
        (twin / "index" / "words.json").unlink()
        if other is not None:
            (twin / "index" / "words.json").write_text(other)
        with MemoryStore.open(twin, "r+") as store:
            live(store, 2, seed=7)
    read: list[str | None] = []
    whole = WordCounts.read

    def counted(counts: WordCounts, text: str | None) -> float:
        read.append(text)
        return whole(counts, text)

    with monkeypatch.context() as patch, MemoryStore.open(path, "r+") as store:
        patch.setattr(WordCounts, "read", counted)
        live(store, 2, seed=7)
    assert len(read) == 12
    expiries = [
        [one.expiry for one in SpecReader(store).state().engrams.values()]
        for store in (path, *tmp_path.glob("twin*"))
    ]
    assert all(one == expiries[0] for one in expiries)
    assert verify(path).findings == ()
    compact(path)
    with MemoryStore.open(path, "r+") as store:
        live(store, 1)


def test_a_step_begun_is_not_counted_beside_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with MemoryStore.create(path, config(lifespan_by="information")) as store:
        live(store, 180)
        store.add(np.ones((1, DIMENSION), np.float32), texts=["fog"])
    assert not (path / "index" / "words.json").exists()
