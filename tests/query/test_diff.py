"""Comparisons of memories: kinship, and every list against a plain recount."""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memoria import MemoriaConfig
from memoria.exports import export_memory
from memoria.query.diff import compare, relate
from memoria.query.inspection import Inspection
from memoria.store import MemoryStore
from memoria.store.compacting import compact

CONFIG = MemoriaConfig(
    hidden_dim=4,
    lanes=2,
    num_reminded_stm=2,
    stm_capacity=4,
    num_final_ltms=2,
    initial_lifespan=4,
    backbone="array",
)


def live(store: MemoryStore, steps: int, seed: int) -> None:
    """So many steps, different ones for each seed."""
    vectors, numbers = np.random.default_rng(seed), np.random.default_rng(seed + 1000)
    for _ in range(steps):
        store.add(vectors.random((2, 3, 4), dtype=np.float32))
        reminded = store.remind()
        store.adjust(np.round(numbers.random(reminded.indices.shape) * 4) / 2)


def made(path: Path, *lives: tuple[int, int], config: MemoriaConfig = CONFIG) -> Path:
    """A store that lived ``lives``: (steps, seed) one after the other."""
    with MemoryStore.create(path, config) as store:
        for steps, seed in lives:
            live(store, steps, seed)
    return path


def cofires(view: Inspection) -> dict[tuple[int, int], int]:
    """Co-fire count of every pair, the diagonal too, from the stories of all engrams."""
    fired = {i: {one["step"] for one in view.engram(i)["firings"]} for i in range(view.created)}
    return {
        (i, j): len(fired[i] & fired[j]) for i in fired for j in fired if i <= j and i % 2 == j % 2
    }


def check(a: Inspection, b: Inspection, relation: str, common: int, shared: int) -> None:
    """The whole document against a recount."""
    told = compare(a, b, limit=10**6)
    assert (told["relation"], told["common_step"]) == (relation, common)
    assert told["config"] == {}
    old = {one["id"]: one for one in a.engram_list()}
    new = {one["id"]: one for one in b.engram_list()}

    def ids(name: str) -> list[int]:
        assert told["counts"].get(name, 0) == len(told[name])
        return [one["id"] for one in told[name]]

    assert ids("born") == sorted(i for i in new if i >= shared)
    assert ids("only_in_a") == sorted(i for i in old if i >= shared)
    assert ids("forgotten") == sorted(i for i in old if i < shared and i not in new)
    assert ids("returned") == sorted(i for i in new if i < shared and i not in old)
    both = [i for i in sorted(old) if i < shared and i in new]
    assert told["counts"]["in_both"] == len(both)
    moved = [(i, old[i]["type"], new[i]["type"]) for i in both]
    assert [(one["id"], one["from"], one["to"]) for one in told["moved"]] == [
        one for one in moved if one[1] != one[2]
    ]
    pins = [(i, old[i]["pinned"], new[i]["pinned"]) for i in both]
    assert [(one["id"], one["a"], one["b"]) for one in told["pinned"]] == [
        one for one in pins if one[1] != one[2]
    ]
    changes = {i: new[i]["lifespan"] - old[i]["lifespan"] + b.step - a.step for i in both}
    expected = sorted((i for i in both if changes[i]), key=lambda i: (-abs(changes[i]), i))
    assert ids("lifespan") == expected
    for one in told["lifespan"]:
        i = one["id"]
        assert one["change"] == changes[i]
        assert (one["a"], one["b"]) == (old[i]["lifespan"], new[i]["lifespan"])

    counts = [
        {pair: n for pair, n in cofires(view).items() if view is b or max(pair) < shared}
        for view in (a, b)
    ]
    differ = {
        pair: counts[1][pair] - counts[0].get(pair, 0)
        for pair in combinations(sorted(new), 2)
        if pair in counts[1] and counts[1][pair] != counts[0].get(pair, 0)
    }
    order = sorted(differ, key=lambda pair: (-abs(differ[pair]), pair))
    found = [tuple(sorted((one["source"], one["target"]))) for one in told["connections"]]
    assert found == order
    assert told["counts"]["connections"] == len(order)
    for one in told["connections"]:
        i, j = one["source"], one["target"]
        pair = (min(i, j), max(i, j))
        assert one["lane"] == i % 2
        for side, table in zip("ab", counts, strict=True):
            count = table.get(pair, 0)
            assert one["cofire_count"][side] == count
            assert one["weight"][side] == count / max(1, table.get((i, i), 0))
    few = compare(a, b, limit=3)
    for name in (
        "born",
        "forgotten",
        "returned",
        "only_in_a",
        "moved",
        "pinned",
        "lifespan",
        "connections",
    ):
        assert few[name] == told[name][:3]
    assert few["counts"] == told["counts"]


def test_a_memory_that_went_on(tmp_path: Path) -> None:
    path = made(tmp_path / "s", (12, 1))
    with Inspection.open(path) as now, Inspection.open(path, at=7) as then:
        check(then, now, "continues", 7, then.created)
        check(now, then, "precedes", 7, then.created)
        check(now, now, "same", 12, now.created)
    with Inspection.open(path) as now, Inspection.open(path, at=0) as empty:
        check(empty, now, "continues", 0, 0)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_memories_that_parted(
    tmp_path_factory: pytest.TempPathFactory, before: int, mine: int, others: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("parted")
    a = made(folder / "a", (before, seed), (mine, seed + 1))
    b = made(folder / "b", (before, seed), (others, seed + 2))
    with Inspection.open(a) as one, Inspection.open(b) as other:
        check(one, other, "diverged", before, 6 * before)


def test_a_step_begun(tmp_path: Path) -> None:
    def begun(name: str, seed: int, remind: bool) -> Path:
        shutil.copytree(tmp_path / "idle", tmp_path / name)
        with MemoryStore.open(tmp_path / name, "r+") as store:
            store.add(np.full((2, 3, 4), seed, np.float32))
            if remind:
                store.remind()
        return tmp_path / name

    idle = made(tmp_path / "idle", (5, 1))
    working, same = begun("one", 1, False), begun("same", 1, False)
    other, reminded = begun("other", 2, False), begun("reminded", 1, True)
    for a, b, kind in (
        (idle, working, "continues"),
        (working, idle, "precedes"),
        (working, same, "same"),
        (working, other, "diverged"),
        (working, reminded, "diverged"),
    ):
        with Inspection.open(a) as one, Inspection.open(b) as two:
            check(one, two, kind, 5, 36 if kind == "same" else 30)


def test_what_was_done_by_hand(tmp_path: Path) -> None:
    def by_hand(source: Path, name: str, *acts: tuple[str, int]) -> Path:
        shutil.copytree(source, tmp_path / name)
        with MemoryStore.open(tmp_path / name, "r+") as store:
            for what, id_ in acts:
                getattr(store, what)([id_])
        return tmp_path / name

    idle = made(tmp_path / "idle", (5, 1))
    with Inspection.open(idle) as view:
        one, two = (told["id"] for told in view.engram_list()[-2:])
    pinned = by_hand(idle, "pinned", ("pin", one))
    gone = by_hand(pinned, "gone", ("forget", two), ("unpin", one))
    other = by_hand(idle, "other", ("pin", two))
    on = by_hand(pinned, "on")
    with MemoryStore.open(on, "r+") as store:
        live(store, 2, 9)
    for a, b, kind in (
        (idle, pinned, "continues"),
        (pinned, gone, "continues"),
        (gone, idle, "precedes"),
        (pinned, on, "continues"),
        (idle, on, "continues"),
        (on, pinned, "precedes"),
        (pinned, other, "diverged"),
        (gone, on, "diverged"),
        (on, other, "diverged"),
    ):
        with Inspection.open(a) as left, Inspection.open(b) as right:
            check(left, right, kind, 5, 30)
    with Inspection.open(idle) as left, Inspection.open(gone) as right:
        assert [told["id"] for told in compare(left, right)["forgotten"]] == [two]
    with Inspection.open(idle) as left, Inspection.open(pinned) as right:
        told = compare(left, right)
        assert [(x["id"], x["a"], x["b"]) for x in told["pinned"]] == [(one, False, True)]


def test_other_settings_and_other_data(tmp_path: Path) -> None:
    a = made(tmp_path / "a", (4, 1))
    changed = CONFIG.model_copy(update={"stm_capacity": 5, "seed": 3})
    other = made(tmp_path / "b", (4, 1), config=changed)
    stranger = made(tmp_path / "c", (4, 2))
    lanes = MemoryStore.create(tmp_path / "d", MemoriaConfig(hidden_dim=4, lanes=1))
    with lanes as store:
        store.step(np.ones((1, 2, 4), np.float32))
    with Inspection.open(a) as one, Inspection.open(other) as two:
        told = compare(one, two)
        assert (told["relation"], told["common_step"]) == ("unrelated", 0)
        assert told["config"] == {"stm_capacity": {"a": 4, "b": 5}, "seed": {"a": 0, "b": 3}}
        # the same vectors, as a replay under other settings has them: the engrams compare
        assert relate(one, two).shared == 24
        assert (told["born"], told["only_in_a"]) == ([], [])
        assert told["connections"] is not None
    for strange in (stranger, tmp_path / "d"):
        with Inspection.open(a) as one, Inspection.open(strange) as two:
            told = compare(one, two)
            assert (told["relation"], told["counts"]["in_both"]) == ("unrelated", 0)
            assert told["connections"] is None
            assert told["counts"]["born"] == told["b"]["engrams"]


def test_only_part_of_the_vectors_is_the_same(tmp_path: Path) -> None:
    a = made(tmp_path / "a", (1, 1), (1, 2))
    b = made(tmp_path / "b", (1, 1), (1, 3), config=CONFIG.model_copy(update={"seed": 1}))
    with Inspection.open(a) as one, Inspection.open(b) as two:
        assert relate(one, two).shared == 6


def test_too_many_pairs_are_not_counted_unasked(tmp_path: Path) -> None:
    path = made(tmp_path / "s", (5, 1))
    heard: list[int] = []
    with Inspection.open(path) as now, Inspection.open(path, at=2) as then:
        few = compare(then, now, most_pairs=3)
        assert (few["connections"], few["counts"]["connections"]) == (None, None)
        assert compare(then, now, progress=lambda engrams, _: heard.append(engrams))["connections"]
        assert heard[-1] == len(now.table())
        assert heard == sorted(heard)


def test_small_batches_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "s", (9, 1))
    with Inspection.open(path) as now, Inspection.open(path, at=2) as then:
        whole = compare(then, now, limit=7)
        monkeypatch.setattr("memoria.query.connection_changes._PAIRS_AT_ONCE", 1)
        assert compare(then, now, limit=7) == whole


@pytest.mark.parametrize("lane", [None, 0, 1])
def test_what_compaction_took_is_not_made_up(tmp_path: Path, lane: int | None) -> None:
    whole = made(tmp_path / "whole", (8, 1))
    shutil.copytree(whole, tmp_path / "small")
    assert compact(tmp_path / "small").engrams_dropped > 0
    for path in (whole, tmp_path / "small"):
        with MemoryStore.open(path, "r+") as store:
            live(store, 4, 2)
    with Inspection.open(whole) as one, Inspection.open(tmp_path / "small") as other:
        assert relate(one, other).kind == "same"
        counts = compare(one, other)["counts"]
        assert {name for name, count in counts.items() if count} == {"in_both"}
        for a, b in zip(one.history(lane=lane), other.history(lane=lane), strict=True):
            told = {name: value for name, value in b.items() if value is not None}
            unknown = {"fired", "reminded", "forgotten"} if a["step"] <= 8 else set()
            assert a.keys() - told.keys() == unknown | ({"living"} if a["step"] < 8 else set())
            told.pop("time")
            assert told.items() <= a.items()
        export_memory(other, tmp_path / "tables", "parquet", forgotten=True, vectors=True)
        steps = pq.read_table(tmp_path / "tables" / "steps.parquet").to_pylist()
        assert [row["forgotten"] for row in steps] == [row["forgotten"] for row in other.history()]
