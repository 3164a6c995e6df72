"""Make the sample stores: ``python stores/samples/make.py NAME OUT``, or ``--all`` in place.

Sound samples: OUT becomes the store, and OUT.expected.json says what every reader must find in it.
Broken samples: a sound one with one fault. Under broken/ lie only the files in which they differ,
and NAME.json: the sound sample, what to remove or to make a link, and what `memoria verify` must
find.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from forging import add_to, forge, forge_root, put

from memoria.backbones.hashing import HashBackbone
from memoria.chunkstore.root import read_root
from memoria.chunkstore.sources.local import LocalSource
from memoria.chunkstore.spec import ArraySpec
from memoria.config import MemoriaConfig
from memoria.errors import OtherFormatError
from memoria.io.text_unit import hash_unit
from memoria.store import MemoryStore
from memoria.store.compacting import compact
from memoria.store.life import StepTable, fold
from memoria.store.reading import open_files
from memoria.store.sources import Unit
from memoria.store.verify import verify

Array = np.ndarray[Any, np.dtype[np.float32]]
Fault = Callable[[Path], None]

SAMPLES = Path(__file__).parent
SOUND, BROKEN = SAMPLES / "sound", SAMPLES / "broken"
LOG, TEXTS, NAMED = "long-term-and-forgotten", "texts-with-sources", "named-states"
EDITED = "edited"

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
    store = MemoryStore.create(path, MemoriaConfig.preset("tutorial"))
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
    with MemoryStore.create(path, config) as store:
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
    with MemoryStore.create(path, config) as store:
        for number in range(60):
            step_in_eighths(store, numbers)
            if number % 7 == 0:
                store.commit()
    store = MemoryStore.open(path, "r+")
    for _ in range(4):
        step_in_eighths(store, numbers)
    store.commit()
    store.close()


def named_states(path: Path) -> None:
    """Thirty steps of two lanes in eighths, three of them named; a step begun."""
    config = MemoriaConfig(
        hidden_dim=8,
        lanes=2,
        num_reminded_stm=2,
        stm_capacity=4,
        ltm_search_depth=3,
        initial_lifespan=5.0,
        num_final_ltms=3,
        seed=30,
        wm_length=2,
        rule="uniform:2",
        backbone="array",
    )
    numbers = random.Random(30)
    with MemoryStore.create(path, config) as store:
        for number in range(1, 31):
            step_in_eighths(store, numbers)
            if number % 10 == 0:
                store.snapshot(f"after-{number}", f"step {number}")
                store.commit()
        store.add(eighths(numbers, 2, 2, 8))


def compacted(path: Path) -> None:
    """Two lanes over 24 steps with texts, pinned and forgotten ones among them; compacted twice.

    The first compaction is after 16 steps, with snapshots of 4 and 9; the second, after 20, has
    one of 18 too. Four steps follow, and a step begun.
    """
    config = MemoriaConfig(
        hidden_dim=4,
        lanes=2,
        num_reminded_stm=2,
        stm_capacity=4,
        ltm_search_depth=2,
        initial_lifespan=3.0,
        num_final_ltms=3,
        seed=24,
        wm_length=2,
        rule="uniform:2",
        backbone="array",
    )
    numbers = random.Random(24)
    MemoryStore.create(path, config).close()
    for last in (16, 20, 24):
        with MemoryStore.open(path, "r+") as store:
            while store.timestep < last:
                step = store.timestep + 1
                texts = [[f"step {step}, lane {lane}", None] for lane in range(2)]
                places = [[("notes.txt", 10 * step), None]] * 2
                store.add(eighths(numbers, 2, 2, 4), texts, places)
                width = store.remind().ids.shape[1]
                store.adjust([[int(numbers.random() * 25) / 8] * width for _ in range(2)])
                if step in (3, 14):
                    store.pin([4 * step - 4, 4 * step - 1])
                if step in (7, 15):
                    store.forget([4 * step - 2])
                if step in (4, 9, 18):
                    store.snapshot(f"after-{step}")
        if last < 24:
            compact(path)
    with MemoryStore.open(path, "r+") as store:
        store.add(eighths(numbers, 2, 2, 4))


def edited(path: Path) -> None:
    """Ten steps of one lane in int8 with texts, times, meta, readings and commands.

    Between them engrams are pinned, recalled, edited (text, vector and meta), forgotten, and
    confirmed as the answer to a cue.
    """
    config = MemoriaConfig(
        hidden_dim=8,
        num_reminded_stm=2,
        stm_capacity=4,
        ltm_search_depth=2,
        initial_lifespan=30.0,
        num_final_ltms=2,
        wm_length=2,
        rule="uniform:1",
        backbone="array",
        vector_dtype="int8",
    )
    numbers = random.Random(10)
    sentences = [part + "." for part in GARDEN.strip()[:-1].split(". ")][:20]
    with MemoryStore.create(path, config) as store:
        store.begin_command("step garden.txt")
        store.name_source("garden.txt", "/home/garden.txt")
        store.change_settings({"notes": "a garden", "ask": {"top": 5}})
        units = []
        for step in range(10):
            texts = sentences[2 * step : 2 * step + 2]
            offsets = [GARDEN.index(text) for text in texts]
            times = [10**12 + 1000 * step, None]
            meta = [{"speaker": "aunt", "line": step}, None] if step % 2 else None
            places = [("garden.txt", offset) for offset in offsets]
            store.step(eighths(numbers, 1, 2, 8), None, texts, places, times, meta)
            for at, (offset, text) in enumerate(zip(offsets, texts, strict=True)):
                units.append(Unit(2 * step + at, offset, hash_unit(text)))
            if step == 4:
                store.pin([1])
                store.recall([1, 2], 2.5)
                store.edit(3, "The gate no longer squeaks.", meta={"by": "hand"})
                store.edit(4, vector=eighths(numbers, 1, 1, 8)[0, 0])
                store.snapshot("corrected")
        store.record_reading("garden.txt", hashlib.sha256(GARDEN.encode()).digest(), units)
    with MemoryStore.open(path, "r+") as store:
        store.begin_command("used")
        store.confirm("what took the beans?", eighths(numbers, 1, 1, 8)[0, 0], [8, 9], 50.0)
        store.edit(9, meta={"again": True})
        store.forget([10])


SOUND_SAMPLES: dict[str, Callable[[Path], None]] = {
    "tutorial-two-lanes": tutorial_two_lanes,
    "texts-with-sources": texts_with_sources,
    "long-term-and-forgotten": long_term_and_forgotten,
    "named-states": named_states,
    "compacted": compacted,
    "edited": edited,
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


def flip(name: str, at: int) -> Fault:
    """One bit of one byte."""

    def fault(path: Path) -> None:
        content = bytearray((path / name).read_bytes())
        content[at] ^= 1
        (path / name).write_bytes(content)

    return fault


def cut(name: str, size: int) -> Fault:
    return lambda path: (path / name).write_bytes((path / name).read_bytes()[:size]) and None


def forged(name: str, change: Any) -> Fault:
    return lambda path: forge(path, name, change)


def forged_root(change: Callable[[dict[str, Any]], None]) -> Fault:
    return lambda path: forge_root(path, change)


def replaced(name: str, old: str, new: str) -> Fault:
    """A piece of the text of a file."""

    def fault(path: Path) -> None:
        text = (path / name).read_text()
        if text.count(old) != 1:
            raise ValueError(f"{name}: {old} is there {text.count(old)} times")
        (path / name).write_text(text.replace(old, new))

    return fault


def other_checksum(path: Path) -> None:
    text = (path / "zarr.json").read_text()
    at = text.index("crc32c:") + len("crc32c:")
    other = "b" if text[at] == "a" else "a"
    (path / "zarr.json").write_text(text[:at] + other + text[at + 1 :])


def linked(name: str) -> Fault:
    """The file moved away, and a link to it in its place."""

    def fault(path: Path) -> None:
        (path / name).rename(path.parent / "elsewhere")
        (path / name).symlink_to(path.parent / "elsewhere")

    return fault


def unknown_array(path: Path) -> None:
    """An array that is none of the format's, sound in itself."""
    root = read_root(LocalSource(path))
    spec = ArraySpec("log/notes", "i8", (), 16, None, -1, ("note",))
    (path / "log/notes").mkdir()
    (path / "log/notes/zarr.json").write_text(json.dumps(spec.metadata(0)))
    arrays = {**root.arrays, "log/notes": (spec, 0)}
    (path / "zarr.json").write_bytes(replace(root, arrays=arrays).encode())


def other_digest(attributes: dict[str, Any]) -> None:
    attributes["snapshots"]["after-20"]["digest"] = attributes["snapshots"]["after-10"]["digest"]


FAULTS: dict[str, tuple[str, Fault]] = {
    "flipped-vector-byte": (LOG, flip("vectors/c.0.0", 3000)),
    "missing-chunk": (LOG, lambda path: (path / "log/expiry/c.0").unlink()),
    "truncated-log": (LOG, cut("log/ids/c.0", 1000)),
    "wrong-digest": (LOG, forged("log/steps", add_to((29, 4), 1))),
    "engram-that-never-was": (LOG, forged("log/ids", put(700, 99999))),
    "type-out-of-order": (LOG, forged("state/1/types", put(3, 2))),
    "state-disagrees-with-log": (LOG, forged("state/1/expiry", add_to(10, 0.5))),
    "edge-count-wrong": (LOG, forged("state/1/edges/count", add_to(40, 1))),
    "text-offsets-descending": (TEXTS, forged("texts/index", put((20, 0), 3))),
    "root-checksum-wrong": (LOG, other_checksum),
    "older-format": (LOG, replaced("zarr.json", '"format":1,', '"format_version":2,')),
    "newer-format": (LOG, replaced("zarr.json", '"format":1,', '"format":1000,')),
    "symbolic-link": (LOG, linked("log/steps/c.0.0")),
    "unknown-array": (LOG, unknown_array),
    "leading-child-metadata": (LOG, replaced("log/ids/zarr.json", "1301", "1302")),
    "snapshot-of-another-step": (NAMED, forged_root(other_digest)),
    "reading-of-no-source": (EDITED, forged("sources/readings", put((0, 0), 7))),
    "unit-of-no-engram": (EDITED, forged("sources/units", put((3, 0), 99))),
    "command-out-of-order": (EDITED, forged("commands/index", put((0, 0), 11))),
    "edit-that-is-no-json": (EDITED, forged("events/bytes", put(0, 0))),
    "cue-without-an-end": (EDITED, forged("events/index", put((5, 4), 9999))),
}


def assemble(name: str, out: Path) -> dict[str, Any]:
    """Put the broken sample ``name`` together at ``out``; what NAME.json says."""
    told: dict[str, Any] = json.loads((BROKEN / f"{name}.json").read_text(encoding="utf-8"))
    shutil.copytree(SOUND / told["base"], out)
    if (BROKEN / name).is_dir():
        shutil.copytree(BROKEN / name, out, dirs_exist_ok=True)
    for one in told["remove"]:
        (out / one).unlink()
    for one in told["link"]:  # version control keeps links badly: they are made here
        (out / one).unlink()
        (out / one).symlink_to(SOUND / told["base"] / one)
    return told


def make_broken(name: str) -> None:
    """Write NAME.json and the files in which the broken sample differs from the sound one."""
    base, fault = FAULTS[name]
    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside) / "store"
        shutil.copytree(SOUND / base, path)
        fault(path)
        before, after = _files(SOUND / base), _files(path)
        shutil.rmtree(BROKEN / name, ignore_errors=True)
        for changed in sorted(after):
            if after[changed] is not None and before.get(changed) != after[changed]:
                place = BROKEN / name / changed
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(after[changed] or b"")
        told: dict[str, Any] = {
            "base": base,
            "remove": sorted(before.keys() - after.keys()),
            "link": sorted(one for one in after if after[one] is None),
        }
        try:
            report = verify(path)
        except OtherFormatError as error:
            told |= {"exit_code": error.exit_code, "finding": None, "sound_step": None}
        else:
            finding = asdict(report.findings[0])
            told |= {"exit_code": 3, "finding": finding, "sound_step": report.sound_step}
    text = json.dumps(told, indent=1) + "\n"
    (BROKEN / f"{name}.json").write_text(text, encoding="utf-8")


def _files(path: Path) -> dict[str, bytes | None]:
    """The content of every file, None for a link."""
    return {
        str(file.relative_to(path)): None if file.is_symlink() else file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_symlink() or file.is_file()
    }


def make_sound(name: str, path: Path) -> None:
    """Make the sound sample ``name`` at ``path``, and beside it what must be found in it."""
    SOUND_SAMPLES[name](path)
    text = json.dumps(expectation(path), indent=1, ensure_ascii=False)
    path.with_name(path.name + ".expected.json").write_text(text + "\n", encoding="utf-8")
    for lock in (".lock", ".lease"):  # of running processes, no part of what is remembered
        (path / lock).unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """Make the sample that the arguments name, or all of them in place."""
    if arguments == ["--all"]:
        for name in SOUND_SAMPLES:
            shutil.rmtree(SOUND / name, ignore_errors=True)
            make_sound(name, SOUND / name)
        for name in FAULTS:
            make_broken(name)
        return 0
    if len(arguments) == 2 and arguments[0] in SOUND_SAMPLES:
        make_sound(arguments[0], Path(arguments[1]))
        return 0
    if len(arguments) == 2 and arguments[0] in FAULTS:
        assemble(arguments[0], Path(arguments[1]))
        return 0
    sys.stderr.write(f"usage: make.py --all | {{{','.join((*SOUND_SAMPLES, *FAULTS))}}} OUT\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
