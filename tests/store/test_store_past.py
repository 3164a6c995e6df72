"""The past of a store: at every step it is what the store was when it stood there."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from past_lives import PastLife, begin, live, portrait

from memoria.errors import InputError, StateError
from memoria.store import MemoryStore
from memoria.store.reading import open_files, split_moment

SEEDS = st.integers(0, 2**32)
PHASES = ("idle", "working", "reminded")
few = settings(max_examples=4, deadline=None)
many = settings(max_examples=80, deadline=None)


def every_step_is_as_it_was(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    life = PastLife(seed, rng.choice(["dense", "sparse"]))
    steps = rng.randint(1, 8)
    shutil.rmtree(folder / "s", ignore_errors=True)
    shutil.rmtree(folder / "then", ignore_errors=True)
    names = live(life, folder / "s", steps, rng)
    begin(life, folder / "s", rng.choice(PHASES))
    MemoryStore.create(folder / "then", life.config).close()
    for step in range(steps + 1):
        if step:
            with MemoryStore.open(folder / "then", "r+") as store:
                life.step(store, step)
        then = portrait(folder / "then")
        assert portrait(folder / "s", step) == then
        if f"s{step}" in names:
            assert portrait(folder / "s", f"s{step}") == then


@few
@given(SEEDS)
def test_every_step_is_as_it_was(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    every_step_is_as_it_was(tmp_path_factory.mktemp("life"), seed)


@pytest.mark.slow
@many
@given(SEEDS)
def test_every_step_of_many_lives(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    every_step_is_as_it_was(tmp_path_factory.mktemp("life"), seed)


def test_the_past_can_only_be_read(tmp_path: Path) -> None:
    path = tmp_path / "s"
    life = PastLife(3)
    with MemoryStore.create(path, life.config) as store:
        life.step(store, 1)
        store.snapshot("one")
        life.step(store, 2)
    for at in (0, 1, 2, "one"):
        with pytest.raises(StateError, match="past can only be read"):
            MemoryStore.open(path, "r+", at=at)
        with MemoryStore.open(path, at=at) as store:
            assert store.mode == "r"
            for change in (store.commit, store.remind, lambda: store.snapshot("two")):
                with pytest.raises(StateError):
                    change()
    for at, said in ((3, "0 to 2"), (-1, "0 to 2"), ("two", "it has: one"), ("", "it has: one")):
        with pytest.raises(InputError, match=said):
            open_files(path, at)


def test_a_view_stays_with_what_it_opened(tmp_path: Path) -> None:
    path = tmp_path / "s"
    life = PastLife(4)
    with MemoryStore.create(path, life.config) as store:
        life.step(store, 1)
    with MemoryStore.open(path, at=1) as view:
        digest = view.digest()
        life.go_on(path, 3)
        assert (view.timestep, view.digest()) == (1, digest)
        with pytest.raises(InputError):
            open_files(path, 5)


def test_moments_in_the_names_of_stores(tmp_path: Path) -> None:
    assert split_moment("a") == ("a", None)
    assert split_moment("a@3") == ("a", 3)
    assert split_moment("a@b@07") == ("a@b", 7)
    assert split_moment("a@name-1.x") == ("a", "name-1.x")
    assert split_moment("a@") == ("a@", None)
    assert split_moment("@a") == ("@a", None)
    assert split_moment("me@host/a") == ("me@host/a", None)
    assert split_moment("a@²") == ("a", "²")
    (tmp_path / "b@3").mkdir()
    assert split_moment(str(tmp_path / "b@3")) == (str(tmp_path / "b@3"), None)
