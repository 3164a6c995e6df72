"""Copies of a memory go on exactly as the original does."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from past_lives import Gone, PastLife, begin, live, portrait, state_of

from memoria.chunkstore.staged import LazyRows
from memoria.config import MemoriaConfig
from memoria.store import MemoryStore
from memoria.store.copying import copy_memory, living_ids
from memoria.store.reading import open_files, past_view

SEEDS = st.integers(0, 2**32)
PHASES = ("idle", "working", "reminded")
few = settings(max_examples=4, deadline=None)
many = settings(max_examples=80, deadline=None)
MORE = 4


def copy(source: Path, target: Path, at: int | str | None = None, compacted: bool = False) -> None:
    files = open_files(source, at)
    try:
        needed = None
        if compacted:
            views = [files, *(past_view(files, name) for name in files.attributes.snapshots)]
            needed = np.unique(np.concatenate([living_ids(view) for view in views]))
        copy_memory(files, target, needed)
    finally:
        files.close()


def goes_on(life: PastLife, path: Path, expected: Gone) -> None:
    assert life.go_on(path, len(expected), commit_each=True) == expected


def copies_go_on(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    life = PastLife(seed, rng.choice(["dense", "sparse"]))
    steps = rng.randint(0, 8)
    source = folder / "s"
    live(life, source, steps, rng)
    begin(life, source, rng.choice(PHASES))
    shutil.copytree(source, folder / "control")
    expected = life.go_on(folder / "control", MORE)
    now = portrait(source)

    copy(source, folder / "full")
    assert portrait(folder / "full") == now
    some = rng.randint(0, steps)
    assert portrait(folder / "full", some) == portrait(source, some)
    goes_on(life, folder / "full", expected)

    copy(source, folder / "past", some)
    assert portrait(folder / "past") == portrait(source, some)
    with MemoryStore.open(folder / "past", "r+") as store:
        again = [life.step(store, step) for step in range(some + 1, steps + 1)]
    assert len(again) == steps - some
    with MemoryStore.open(source) as store:
        begun = store.phase
    begin(life, folder / "past", begun)
    assert state_of(folder / "past") == state_of(source)
    goes_on(life, folder / "past", expected)

    copy(source, folder / "compacted", compacted=True)
    assert state_of(folder / "compacted") == state_of(source)
    copy(folder / "compacted", folder / "again")
    assert portrait(folder / "again") == portrait(folder / "compacted")
    copy(folder / "compacted", folder / "twice", compacted=True)
    assert state_of(folder / "twice") == state_of(source)
    for name in ("compacted", "again", "twice"):
        goes_on(life, folder / name, expected)
    later = rng.randint(steps + 1, steps + MORE)
    copy(folder / "compacted", folder / "of its past", later)
    copy(folder / "control", folder / "of the control", later)
    assert state_of(folder / "of its past") == state_of(folder / "of the control")
    goes_on(life, folder / "of its past", expected[later - steps :])
    names = rng.sample(sorted(open_names(folder / "compacted")), k=1) if named(folder) else []
    for name in names:
        copy(folder / "compacted", folder / "named", name)
        assert state_of(folder / "named") == state_of(source, name)


def open_names(path: Path) -> set[str]:
    files = open_files(path)
    try:
        return set(files.attributes.snapshots)
    finally:
        files.close()


def named(folder: Path) -> bool:
    return bool(open_names(folder / "compacted"))


@few
@given(SEEDS)
def test_copies_go_on(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    copies_go_on(tmp_path_factory.mktemp("life"), seed)


@pytest.mark.slow
@many
@given(SEEDS)
def test_copies_of_many_lives(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    copies_go_on(tmp_path_factory.mktemp("life"), seed)


@pytest.mark.parametrize("compacted", [False, True])
def test_vectors_are_copied_part_by_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compacted: bool
) -> None:
    """A copy never holds more of them than one file does."""
    config = MemoriaConfig(hidden_dim=2, backbone="array", initial_lifespan=3.0)
    with MemoryStore.create(tmp_path / "s", config) as store:
        for step in range(5):
            rows = np.random.default_rng(step).random((600, 2), dtype=np.float32)
            store.step(rows, 0.0)
    parts: list[int] = []

    class Counted(LazyRows):
        def __getitem__(self, part: slice) -> Any:
            rows = super().__getitem__(part)
            if rows.ndim == 2 and rows.shape[1] == config.hidden_dim:
                parts.append(len(rows))
            return rows

    monkeypatch.setattr("memoria.store.copying.LazyRows", Counted)
    copy(tmp_path / "s", tmp_path / "t", compacted=compacted)
    assert sum(parts) >= 1200
    assert max(parts) <= 512
    assert state_of(tmp_path / "t") == state_of(tmp_path / "s")
