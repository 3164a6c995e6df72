"""Random lives of a store that can be lived again, and all that a store tells, as values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from memoria.config import MemoriaConfig
from memoria.errors import InputError, StateError
from memoria.query.inspection import Inspection
from memoria.query.listing import EngramFilter
from memoria.store import MemoryStore
from memoria.store.life import StepTable, fold
from memoria.store.reading import open_files

torch.set_num_threads(1)

Portrait = dict[str, Any]
Gone = list[tuple[list[list[int]], str]]
SOURCES = ("harbour.txt", "gärten.txt", "s")


@dataclass(frozen=True)
class PastLife:
    """A life that depends on ``seed`` alone: settings, and what happens in each step.

    However it is committed and loaded meanwhile, and whatever copy it goes on in, step number t
    does the same.
    """

    seed: int
    layout: str = "auto"

    @property
    def config(self) -> MemoriaConfig:
        rng = random.Random(self.seed)
        return MemoriaConfig(
            hidden_dim=rng.randint(1, 4),
            lanes=rng.randint(1, 3),
            num_reminded_stm=rng.randint(0, 4),
            stm_capacity=rng.randint(0, 8),
            ltm_search_depth=rng.randint(0, 3),
            initial_lifespan=rng.choice([1.0, 2.5, 3.0, 5.0]),
            num_final_ltms=rng.randint(0, 4),
            random_entries=rng.choice(["unreminded", 0, 2]),
            tie_break=rng.choice(["hash", "oldest"]),
            seed=self.seed,
            backbone="array",
            layout=self.layout,  # type: ignore[arg-type]
        )

    def by_hand(self, store: MemoryStore, step: int) -> None:
        """What is forgotten, pinned and unpinned before step number ``step``."""
        rng = random.Random(f"{self.seed} {step} by hand")
        if self.seed % 3:
            for _ in range(rng.choice((0, 0, 1, 3))):
                act = rng.choice((store.forget, store.pin, store.pin, store.unpin))
                with suppress(InputError, StateError):  # of one that is not alive
                    act([rng.randrange(1 + 3 * store.config.lanes * step)])

    def add(self, store: MemoryStore, step: int, by_hand: bool = True) -> None:
        """The beginning of step number ``step``, with texts and places here and there.

        ``by_hand`` says whether what happens before it has still to happen.
        """
        rng = random.Random(f"{self.seed} {step}")
        if by_hand:
            self.by_hand(store, step)
        lanes, dim = store.config.lanes, store.config.hidden_dim
        for _ in range(rng.choice((1, 1, 1, 2))):
            width = rng.randint(1, 3)
            data = [rng.randint(-8, 8) / 8 for _ in range(lanes * width * dim)]
            texts: Any = None
            places: Any = None
            if rng.random() < 0.6:
                texts = [
                    [rng.choice((None, "", f"é{step} {lane} {n}")) for n in range(width)]
                    for lane in range(lanes)
                ]
            if rng.random() < 0.5:
                places = [
                    [rng.choice((None, (rng.choice(SOURCES), rng.randint(0, 99))))] * width
                    for _ in range(lanes)
                ]
            store.add(np.array(data, np.float32).reshape(lanes, width, dim), texts, places)

    def end(self, store: MemoryStore, step: int) -> list[list[int]]:
        """The rest of step number ``step``; the ids that were reminded."""
        rng = random.Random(f"{self.seed} {step} gains")
        ids = store.remind().ids
        gains = [[rng.randint(-12, 30) / 8 for _ in row] for row in ids]
        store.adjust(np.array(gains).reshape(ids.shape))
        reminded: list[list[int]] = ids.tolist()
        return reminded

    def step(self, store: MemoryStore, step: int, by_hand: bool = True) -> list[list[int]]:
        """Step number ``step``; the ids that were reminded."""
        with clock(step):
            self.add(store, step, by_hand)
            return self.end(store, step)

    def go_on(
        self, path: Path, count: int, commit_each: bool = False, by_hand: bool = True
    ) -> Gone:
        """``count`` more steps of the store: what each reminded, and the digest after it.

        A step that has been begun is ended first.
        """
        out: Gone = []
        with MemoryStore.open(path, "r+") as store:
            begun_at = store.timestep
            for step in range(begun_at + 1, begun_at + count + 1):
                if store.phase == "idle":
                    reminded = self.step(store, step, by_hand or step > begun_at + 1)
                else:
                    with clock(step):
                        reminded = self.end(store, step)
                out.append((reminded, store.digest()))
                if commit_each:
                    store.commit()
        return out


@contextmanager
def clock(step: int) -> Iterator[None]:
    """Whatever happens meanwhile happens at a time that the number of the step tells."""
    with mock.patch("time.time_ns", return_value=1_700_000_000_000_000_000 + step * 10**9):
        yield


def live(
    life: PastLife,
    path: Path,
    steps: int,
    rng: random.Random,
    snapshots: float = 0.3,
) -> list[str]:
    """Live ``steps`` steps at ``path``, committed and loaded anew at random; snapshots taken."""
    store = MemoryStore.create(path, life.config)
    names = []
    for step in range(steps + 1):
        if step:
            with clock(step):
                life.by_hand(store, step)
            if rng.random() < snapshots / 2:
                names.append(f"e{step - 1}")
                store.snapshot(names[-1], f"after what was done by hand after {step - 1}")
            life.step(store, step, by_hand=False)
        if rng.random() < snapshots:
            names.append(f"s{step}")
            store.snapshot(names[-1], f"after {step}")
        if rng.random() < 0.4:
            store.commit()
        if rng.random() < 0.3:
            with store:  # commits, and writes the state out
                pass
            store = MemoryStore.open(path, "r+")
    store.commit()
    store.close()
    return names


def begin(life: PastLife, path: Path, phase: str) -> None:
    """Begin the next step of the store, as far as ``phase``."""
    if phase != "idle":
        with MemoryStore.open(path, "r+") as store:
            life.add(store, store.timestep + 1)
            if phase == "reminded":
                store.remind()


def portrait(path: Path, at: int | str | None = None) -> Portrait:
    """Everything that can be told of the memory, now or in the past."""
    return {**state_of(path, at), **documents(path, at)}


def state_of(path: Path, at: int | str | None = None) -> Portrait:
    """What lives, its texts and places, what peeking brings back, and the digest."""
    files = open_files(path, at)
    try:
        life = fold(files, files.config, StepTable.read(files))
    finally:
        files.close()
    columns = {
        name: getattr(life, name).tolist()
        for name in ("ids", "types", "expiry", "born", "fires", "pinned", "first_short")
    }
    rng = random.Random(len(columns["ids"]))
    with MemoryStore.open(path, at=at) as store:
        shape = (store.config.lanes, 2, store.config.hidden_dim)
        cue = np.array([rng.randint(-8, 8) / 8 for _ in range(int(np.prod(shape)))], np.float32)
        peeked = store.peek(cue.reshape(shape))
        answers = {
            name: getattr(peeked, name).tolist()
            for name in ("ids", "indices", "memories", "correlation", "types", "lifespans")
        }
        answers["ids of all"] = columns["ids"]
        told = {
            "timestep": store.timestep,
            "phase": store.phase,
            "digest": store.digest(),
            "peeked texts": [list(row) for row in peeked.texts],
            "last places": [store.last_offset(source) for source in SOURCES],
        }
    return {**columns, "peeked": answers, **told}


def documents(path: Path, at: int | str | None = None) -> Portrait:
    """Every document of `Inspection`, the lives of some engrams among them."""
    with Inspection.open(path, at) as view:
        summary = view.summary()
        for name in ("path", "at", "bytes", "format"):
            del summary[name]
        some = range(0, view.created, max(1, view.created // 8))
        return {
            "summary": summary,
            "histograms": view.histograms(),
            "engrams": view.engram_list(),
            "edges": view.edges(),
            "of a lane": [view.edges(3, 0), view.history(2, 0), view.engram_list(2, 0)],
            "history": view.history(),
            "forgotten": view.forgotten_list(),
            "texts": view.texts(list(range(min(view.created, 4096)))),
            "stories": [_story(view, engram) for engram in some],
            "listed": list(view.listing(EngramFilter("all")).documents()),
        }


def _story(view: Inspection, engram: int) -> Any:
    try:
        return view.engram(engram)
    except InputError as error:  # of a compacted store
        return str(error)
