"""Makes the sample stores of format version 1: ``python stores/samples/make_v1.py NAME OUT``.

OUT becomes the store, and OUT.expected.json says what every later version must find in it. The
stores under v1/ were made by this once and stay as they are; this is how to read what is in them.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from memoria.backbones.hashing import HashBackbone
from memoria.config import MemoriaConfig
from memoria.store import MemoryStore
from memoria.store.life import StepTable, fold
from memoria.store.reading import open_files

Array = np.ndarray[Any, np.dtype[np.float32]]

HARBOUR = (
    "The keeper lights the lamp at dusk. Fog comes over the harbour in the morning. "
    "Three boats wait for the tide. The bell on the buoy rings all night. "
    "An old dog sleeps beside the nets. The tide turns a little after noon. "
    "Gulls follow the boats home. The keeper writes the weather into a book. "
    "Rain falls on the grey water. A letter comes from the other shore. "
    "The smallest boat is painted blue. Its sail was mended twice in spring. "
    "Nobody fishes on the day of the fair. The lamp needs oil before the winter. "
    "A storm breaks the wooden pier. The men carry new planks down the hill. "
    "By evening the pier stands again. The bell on the buoy is silent at last. "
    "Snow lies on the nets. The keeper reads the book by the lamp. "
)
GARDEN = (
    "Beans grow along the south wall. The gate squeaks when the wind blows. "
    "A cat watches the birds from the roof. Bees come to the lavender in June. "
    "The well is deep and its water is cold. Apples fall into the long grass. "
    "My aunt keeps the seeds in paper bags. The pear tree is older than the house. "
    "Frost took the early beans. We ate soup at the long table. "
    "A neighbour brought bread — still warm. The café across the road closes at four. "
    "Ants found the jar of honey. The cat had five kittens in the shed. "
    "Somebody left the gate open. The goats ate all of the lavender. "
    "We planted it anew in autumn. The well never froze that winter. "
    "Snow hides the paths of the garden. The pear tree waits for spring. "
)


def tutorial_two_lanes(path: Path) -> None:
    """The tutorial: two finished steps of random data, seed 42, and a third one begun."""
    generator = torch.Generator().manual_seed(42)
    data = [torch.rand(2, 8, 64, generator=generator) for _ in range(3)]
    store = MemoryStore.create(path, MemoriaConfig.preset("tutorial"), version=1)
    store.add(data[0])
    store.remind()
    store.adjust(0.0)
    store.commit()
    store.step(data[1], "uniform:5")
    store.add(data[2])
    store.commit()
    store.close()


def texts_with_sources(path: Path) -> None:
    """Forty sentences of two sources in 30 steps; a first and a last step have no text."""
    backbone = HashBackbone(32)
    config = MemoriaConfig(
        hidden_dim=32,
        num_reminded_stm=4,
        stm_capacity=12,
        ltm_search_depth=4,
        initial_lifespan=12.0,
        num_final_ltms=4,
        seed=7,
        wm_length=1,
        rule="uniform:1.5",
    )
    one = np.full((1, 32), 0.125, np.float32)
    with MemoryStore.create(path, config, version=1) as store:
        store.step(one)
        for number, (texts, places) in enumerate(_readings()):
            store.step(backbone.encode(texts), texts=texts, places=places)
            if number % 5 == 4:
                store.commit()
        store.step(-one)


def long_term_and_forgotten(path: Path) -> None:
    """64 steps of three lanes, gains in eighths: the state of step 60, and four steps after it."""
    config = MemoriaConfig(
        hidden_dim=8,
        lanes=3,
        num_reminded_stm=2,
        stm_capacity=6,
        ltm_search_depth=3,
        initial_lifespan=6.5,
        num_final_ltms=3,
        seed=2**40 + 1,
        wm_length=2,
        rule="uniform:2.25",
        backbone="array",
    )
    numbers = random.Random(64)
    with MemoryStore.create(path, config, version=1) as store:
        for number in range(60):
            step_in_eighths(store, numbers)
            if number % 7 == 0:
                store.commit()
    store = MemoryStore.open(path, "r+")
    for _ in range(4):
        step_in_eighths(store, numbers)
    store.commit()
    store.close()


MAKERS: dict[str, Callable[[Path], None]] = {
    "tutorial-two-lanes": tutorial_two_lanes,
    "texts-with-sources": texts_with_sources,
    "long-term-and-forgotten": long_term_and_forgotten,
}


def expectation(path: Path) -> dict[str, Any]:
    """What a reader must find in the store at ``path``, and how it must go on."""
    files = open_files(path)
    config = files.config
    life = fold(files, config, StepTable.read(files))
    lanes = [
        {
            "working": int((life.types[life.of_lane(lane)] == 1).sum()),
            "shortterm": int((life.types[life.of_lane(lane)] == 2).sum()),
            "longterm": int((life.types[life.of_lane(lane)] == 3).sum()),
            "forgotten": life.next_id - int(life.of_lane(lane).sum()),
        }
        for lane in range(config.lanes)
    ]
    some = np.linspace(0, len(life.ids) - 1, 8).astype(int)
    lifespans = {
        str(life.ids[at]): lifespan
        for at, lifespan in zip(some, life.lifespan()[some], strict=True)
    }
    files.close()
    cue = eighths(random.Random(5), config.lanes, 2, config.hidden_dim)
    with MemoryStore.open(path) as store:
        peeked = store.peek(cue)
        expected = {
            "step": store.timestep,
            "phase": store.phase,
            "digest": store.digest(),
            "lanes": lanes,
            "lifespans": lifespans,
            "cue": cue.tolist(),
            "reminded": [[i for i in row if i >= 0] for row in peeked.ids.tolist()],
            "texts": [list(row) for row in peeked.texts],
        }
    expected["continued"] = _continuation(path)
    return expected


def eighths(numbers: random.Random, lanes: int, width: int, dimension: int) -> Array:
    """[B, W, D] multiples of 1/8 between -1 and 1: sums of their squares are exact."""
    flat = [int(numbers.random() * 17) / 8 - 1 for _ in range(lanes * width * dimension)]
    return np.array(flat, np.float32).reshape(lanes, width, dimension)


def _continuation(path: Path) -> dict[str, Any]:
    """One more step, of numbers that are exact on every machine; on a copy."""
    with tempfile.TemporaryDirectory() as aside:
        copy = Path(aside) / "store"
        shutil.copytree(path, copy)
        with MemoryStore.open(copy, "r+") as store:
            data = eighths(random.Random(6), store.config.lanes, 2, store.config.hidden_dim)
            if store.phase == "idle":
                store.add(data)
            reminded = store.remind().ids.tolist()
            store.adjust("uniform:2.5")
            return {"data": data.tolist(), "reminded": reminded, "digest": store.digest()}


def step_in_eighths(store: MemoryStore, numbers: random.Random) -> None:
    """One step of such numbers, with gains in eighths."""
    config = store.config
    store.add(eighths(numbers, config.lanes, config.wm_length, config.hidden_dim))
    width = store.remind().ids.shape[1]
    gains = [[int(numbers.random() * 41) / 8 for _ in range(width)] for _ in range(config.lanes)]
    store.adjust(np.array(gains).reshape(config.lanes, width))


def _readings() -> list[tuple[list[str], list[tuple[str, int]]]]:
    """Steps of one or two sentences, with where each begins; the sources take turns by tens."""
    units = []
    for first in (0, 10):
        for source, text in (("harbour.txt", HARBOUR), ("garden.txt", GARDEN)):
            sentences = [part + "." for part in text.strip()[:-1].split(". ")]
            for sentence in sentences[first : first + 10]:
                units.append((sentence, (source, text.index(sentence))))
    steps: list[tuple[list[str], list[tuple[str, int]]]] = []
    at = 0
    while at < len(units):
        some = units[at : at + (2 if len(steps) % 3 == 2 else 1)]
        steps.append(([sentence for sentence, _ in some], [place for _, place in some]))
        at += len(some)
    return steps


def main(arguments: list[str], makers: dict[str, Callable[[Path], None]], script: str) -> int:
    """Make the sample that the arguments name."""
    if len(arguments) != 2 or arguments[0] not in makers:
        sys.stderr.write(f"usage: {script} {{{','.join(makers)}}} OUT\n")
        return 2
    path = Path(arguments[1])
    makers[arguments[0]](path)
    for name in (".lock", ".lease"):  # of running processes, no part of what is remembered
        (path / name).unlink(missing_ok=True)
    text = json.dumps(expectation(path), indent=1, ensure_ascii=False)
    path.with_name(path.name + ".expected.json").write_text(text + "\n", encoding="utf-8")
    for name in (".lock", ".lease"):
        (path / name).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], MAKERS, "make_v1.py"))
