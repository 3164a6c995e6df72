"""Stores of a given size for the benchmarks of disk and commands."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import say
from benchmarks.setting import SETTING

_PER_COMMIT = 50_000  # engrams made between two commits
_FOREVER = 1e6


def add_build_options(made: argparse.ArgumentParser) -> None:
    """Where and how stores are built."""
    made.add_argument("--directory", type=Path, help="the disk measured (default: temporary files)")
    made.add_argument("--kept", type=Path, help="folder that keeps built stores for other runs")
    made.add_argument(
        "--build-working",
        type=int,
        default=SETTING["working"],
        help="engrams a step while building; 500 builds faster, but its rows are longer than real",
    )


@contextmanager
def built(
    folder: Path, engrams: int, dimension: int, arguments: argparse.Namespace
) -> Iterator[tuple[Path, float | None]]:
    """(a store of living engrams in ``folder``, the seconds it took); it is removed afterwards.

    With ``--kept`` it is a copy of one that stays there, and took None when it was there already.
    """
    working = int(arguments.build_working)
    place, seconds = folder / "store", None
    source = place
    if arguments.kept is not None:
        arguments.kept.mkdir(parents=True, exist_ok=True)
        source = arguments.kept / f"store-{engrams}-{dimension}-{working}"
    if not source.exists():
        unfinished = source.with_name(source.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        started = time.perf_counter()
        _build(unfinished, engrams, dimension, working)
        unfinished.rename(source)
        seconds = time.perf_counter() - started
    if source != place:
        shutil.copytree(source, place)
    try:
        yield place, seconds
    finally:
        shutil.rmtree(place)


def _build(path: Path, engrams: int, dimension: int, working: int) -> None:
    """Random unit vectors and short texts, ``working`` a step, none of them forgotten."""
    from memoria.store import MemoryStore

    say(f"building a store of {engrams:,} engrams x {dimension}, {working} a step")
    random = np.random.default_rng(0)
    with MemoryStore.create(path, config(dimension)) as store:
        made = uncommitted = 0
        while made < engrams:
            count = min(working, engrams - made)
            texts = [f"text number {made + k} of a benchmark" for k in range(count)]
            store.step(unit_rows(random, count, dimension), texts=texts)
            made, uncommitted = made + count, uncommitted + count
            if uncommitted >= _PER_COMMIT:
                store.commit()
                uncommitted = 0


def config(dimension: int) -> Any:
    """The authors' setting, with lifespans that outlast every benchmark."""
    from memoria.config import MemoriaConfig

    return MemoriaConfig(
        hidden_dim=dimension,
        num_reminded_stm=SETTING["reminded_shortterm"],
        stm_capacity=SETTING["shortterm"],
        ltm_search_depth=SETTING["depth"],
        num_final_ltms=SETTING["reminded_longterm"],
        initial_lifespan=_FOREVER,
        wm_length=SETTING["working"],
        rule="uniform:5",
        backbone="hash",
    )


def unit_rows(random: np.random.Generator, count: int, dimension: int) -> Any:
    """Random vectors [count, dimension] of length 1."""
    rows = random.standard_normal((count, dimension), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
