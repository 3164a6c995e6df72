"""The store against the bare disk: commits, bulk loads, opening, rows at random.

Everything of one size happens in one folder of one file system, with the raw operation beside
each measured one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.building import add_build_options, built, config, unit_rows
from benchmarks.options import fill, numbers, parser
from benchmarks.processes import scratch
from benchmarks.results import TableOf, finish, ratio, say, start, timing
from benchmarks.setting import SETTING

NAME = "store"
_FSYNC_BYTES = 65_536
_BLOCK = 2**22  # bytes of one raw write
_ROWS = 500
_FIRST_STEPS = 25
_WARM_STEPS = 50
_SPARE = 3.0  # free disk over what a store takes
_BULK_STEP = 20_000  # rows given to the store at a time


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--sizes", type=numbers, help="engrams (default 1e5,1e6)")
    made.add_argument("--dimension", type=int, help="default 768, fewer where the disk is small")
    add_build_options(made)
    made.add_argument("--warm-steps", type=int, help="before a warm step is timed (default 150)")
    made.add_argument("--commits", type=int, help="steps committed one by one (default 40)")
    made.add_argument("--repeats", type=int, help="of opening, gathering and loads (default 7)")
    made.add_argument("--small-steps", type=int, help="of the small text memory (default 400)")
    made.add_argument("--bulk-rows", type=int, help="vectors of a bulk load (default 100,000)")
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    arguments = options().parse_args(words)
    fill(
        arguments,
        {
            "sizes": ([5000], [100_000, 1_000_000]),
            "commits": (5, 40),
            "warm_steps": (10, 150),
            "repeats": (3, 7),
            "bulk_rows": (5000, 100_000),
            "small_steps": (60, 400),
        },
    )
    document = start(arguments)
    with scratch(arguments.directory) as folder:
        dimension = arguments.dimension or _fitting(folder, max(arguments.sizes))
        document["dimension"] = dimension
        document["bulk_load"] = _bulk_load(folder, arguments, dimension)
        document["small_text"] = _small_text(folder, arguments)
        rows = []
        for size in sorted(arguments.sizes):
            with built(folder, size, dimension, arguments) as (place, seconds):
                say(f"measuring {size:,} engrams")
                rows.append({"build_seconds": seconds, **_measured(place, folder, size, arguments)})
        document["sizes"] = rows
    finish(NAME, arguments, document, _tables(document))
    return document


def _fitting(folder: Path, engrams: int) -> int:
    """768, or the half of it and so on that the disk has room for."""
    dimension = 768
    free = shutil.disk_usage(folder).free
    while dimension > 48 and engrams * dimension * 4 * _SPARE > free:
        dimension //= 2
    return dimension


def _measured(
    place: Path, folder: Path, engrams: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    opening, loading = _opening(place, arguments.repeats)
    first, commits, steps, syncs = _commits(place, folder, arguments.commits, texts=False)
    commit, sync = timing(commits), timing(syncs)
    _, text_commits, _, text_syncs = _commits(place, folder, arguments.commits, texts=True)
    text_commit, text_sync = timing(text_commits), timing(text_syncs)
    return {
        "engrams": engrams,
        "bytes": sum(file.stat().st_size for file in place.rglob("*") if file.is_file()),
        "open_for_writing": timing(opening),
        "open_and_first_peek": timing(loading),
        "commit": commit,
        "fsync": sync,
        "commit_over_fsync": ratio(commit["median_seconds"], sync["median_seconds"]),
        "text_commit": text_commit,
        "text_fsync": text_sync,
        "text_commit_over_fsync": ratio(text_commit["median_seconds"], text_sync["median_seconds"]),
        "first_steps": timing(first),
        "step": timing(steps),
        "warm_step": timing(_warm_steps(place, arguments.warm_steps)),
        "step_in_memory": timing(_steps_in_memory(place, arguments.warm_steps // 3)),
        "gather_500": timing(_gathers(place, arguments.repeats)),
    }


def _opening(place: Path, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds to open for writing, and to have the answer to a first question after that."""
    from memoria.store import MemoryStore

    opening, answering = [], []
    for _ in range(repeats):
        started = time.perf_counter()
        store = MemoryStore.open(place, "r+")
        opening.append(time.perf_counter() - started)
        cue = unit_rows(np.random.default_rng(1), SETTING["working"], store.config.hidden_dim)
        store.peek(cue)
        answering.append(time.perf_counter() - started)
        store.close()
    return opening, answering


def _commits(
    place: Path, folder: Path, count: int, texts: bool
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Seconds of the first steps, then of commits, of the step before each, and of raw fsyncs.

    With ``texts`` each engram has a text, a place, a time and meta. The first steps after opening
    load the memory and build its index; one commit takes them all.
    """
    from memoria.store import MemoryStore

    random = np.random.default_rng(2)
    commits, steps, syncs = [], [], []
    with MemoryStore.open(place, "r+") as store:
        for number in range(_FIRST_STEPS + count):
            data = unit_rows(random, SETTING["working"], store.config.hidden_dim)
            started = time.perf_counter()
            store.step(data, **(_beside(number, len(data)) if texts else {}))
            stepped = time.perf_counter()
            steps.append(stepped - started)
            if number < _FIRST_STEPS - 1:
                continue
            store.commit()
            commits.append(time.perf_counter() - stepped)
            syncs += fsync_seconds(folder, 1)
    return steps[:_FIRST_STEPS], commits[1:], steps[_FIRST_STEPS:], syncs


def _warm_steps(place: Path, warm_up: int) -> list[float]:
    """Seconds of steps in the store after ``warm_up`` others; none of them is kept."""
    from memoria.store import MemoryStore

    random, seconds = np.random.default_rng(5), []
    with MemoryStore.open(place, "r+") as store:
        for _ in range(warm_up + _WARM_STEPS):
            data = unit_rows(random, SETTING["working"], store.config.hidden_dim)
            started = time.perf_counter()
            store.step(data)
            seconds.append(time.perf_counter() - started)
        store.rollback()
    return seconds[warm_up:]


def _steps_in_memory(place: Path, warm_up: int) -> list[float]:
    """Seconds of steps of the same memory in tensors, after ``warm_up`` others."""
    import torch

    from memoria.store import load_memory

    random, seconds = np.random.default_rng(5), []
    memory = load_memory(place)
    for _ in range(warm_up + _WARM_STEPS):
        data = unit_rows(random, SETTING["working"], memory.config.hidden_dim)
        started = time.perf_counter()
        memory.add_working_memory(torch.from_numpy(data)[None])
        _, indices = memory.remind()
        gains = torch.full(indices.shape, 5.0)
        memory.adjust_lifespan_and_memories(indices, gains)
        seconds.append(time.perf_counter() - started)
    return seconds[warm_up:]


def fsync_seconds(folder: Path, count: int = 30) -> list[float]:
    """Seconds of one fsync after 64 KiB were written to a new file in ``folder``."""
    place, payload, taken = folder / "fsync", bytes(_FSYNC_BYTES), []
    for _ in range(count):
        with open(place, "wb", buffering=0) as file:
            file.write(payload)
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
        place.unlink()
    return taken


def _beside(step: int, count: int) -> dict[str, Any]:
    return {
        "texts": [
            f"Sentence {number} of step {step}, of a usual length." for number in range(count)
        ],
        "places": [(f"file{step // 10}.txt", 100 * number) for number in range(count)],
        "times": [1_700_000_000_000 + step] * count,
        "meta": [{"speaker": "Ann", "turn": number} for number in range(count)],
    }


def _gathers(place: Path, repeats: int) -> list[float]:
    """Seconds for rows at random, other ones each time, all of them read from disk before."""
    from memoria.store.reading import open_files

    random = np.random.default_rng(3)
    taken = []
    files = open_files(place)
    try:
        total = files.rows("vectors")
        for start_ in range(0, total, _BULK_STEP):
            files.read("vectors", start_, min(start_ + _BULK_STEP, total))
        for _ in range(repeats):
            rows = random.integers(0, total, _ROWS)
            started = time.perf_counter()
            files.gather("vectors", rows)
            taken.append(time.perf_counter() - started)
    finally:
        files.close()
    return taken


def _bulk_load(folder: Path, arguments: argparse.Namespace, dimension: int) -> dict[str, Any]:
    """Vectors into the store's array and made durable, and as many bytes into a plain file."""
    from memoria.chunkstore.files import StoreFiles
    from memoria.store.schema import array_specs

    say("bulk load")
    rows = unit_rows(np.random.default_rng(4), arguments.bulk_rows, dimension)
    raw, loads = [], []
    for _ in range(arguments.repeats):
        raw.append(_raw_write(folder / "raw", rows))
        files = StoreFiles.create(folder / "bulk", array_specs(config(dimension)), {})
        started = time.perf_counter()
        for first in range(0, len(rows), _BULK_STEP):
            files.append("vectors", rows[first : first + _BULK_STEP])
        files.commit()
        loads.append(time.perf_counter() - started)
        files.close()
        shutil.rmtree(folder / "bulk")
    load, bare = timing(loads), timing(raw)
    return {
        "rows": len(rows),
        "bytes": rows.nbytes,
        "load": load,
        "raw": bare,
        "bytes_per_second": rows.nbytes / load["median_seconds"],
        "raw_bytes_per_second": rows.nbytes / bare["median_seconds"],
        "share_of_raw_bandwidth": ratio(bare["median_seconds"], load["median_seconds"]),
    }


def _small_text(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """A text memory of some hundred engrams: its steps alone, and all of `memoria step`."""
    from memoria.config import MemoriaConfig
    from memoria.query.inspection import Inspection
    from memoria.store import MemoryStore
    from memoria.store.reading import open_files

    settings = {"hidden_dim": 384, "wm_length": 8, "initial_lifespan": 24.0}
    rule, random, seconds = "correlation:8", np.random.default_rng(3), []
    topics = unit_rows(random, 300, 384)
    made = MemoriaConfig(**settings, rule=rule, backbone="array")
    with MemoryStore.create(folder / "small", made) as store:
        for _ in range(arguments.small_steps):
            near = topics[random.integers(0, len(topics), 8)] + unit_rows(random, 8, 384)
            data = near / np.linalg.norm(near, axis=1, keepdims=True)
            started = time.perf_counter()
            store.step(data.astype(np.float32))
            seconds.append(time.perf_counter() - started)
    with Inspection(open_files(folder / "small")) as view:
        living = len(view.table().ids)
    sentences = 8 * arguments.small_steps
    diary = folder / "diary.txt"
    lines = (f"On day {day} we saw {day % 7} hares and {day % 5} owls." for day in range(sentences))
    diary.write_text(" ".join(lines), encoding="utf-8")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    words = [sys.executable, "-m", "memoria_cli"]
    path = str(folder / "notes")
    init = [*words, "init", path, "--backbone", "hash", "--rule", rule, *options]
    subprocess.run(init, check=True, capture_output=True)
    started = time.perf_counter()
    subprocess.run([*words, "step", path, str(diary)], check=True, capture_output=True)
    whole = time.perf_counter() - started
    return {
        "living": living,
        "step": timing(seconds[len(seconds) // 2 :]),
        "sentences": sentences,
        "command_seconds": whole,
        "sentences_per_second": sentences / whole,
    }


def _raw_write(place: Path, rows: Any) -> float:
    view = memoryview(rows).cast("B")
    started = time.perf_counter()
    with open(place, "wb", buffering=0) as file:
        for first in range(0, len(view), _BLOCK):
            file.write(view[first : first + _BLOCK])
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    place.unlink()
    return seconds


def _tables(document: dict[str, Any]) -> list[TableOf]:
    names = {
        "open_for_writing": "open for writing",
        "open_and_first_peek": "open and first peek",
        "first_steps": f"the first {_FIRST_STEPS} steps after opening",
        "step": "later step of 50 engrams, not yet durable",
        "warm_step": "warm step of 50 engrams",
        "step_in_memory": "the same in memory",
        "commit": "commit of that step",
        "fsync": "one raw fsync (64 KiB)",
        "text_commit": "commit of a step with texts and meta",
        "text_fsync": "one raw fsync between those",
        "gather_500": "500 rows at random",
    }
    tables: list[TableOf] = []
    for row in document["sizes"]:
        cells: list[list[object]] = [
            [title, *(1e3 * row[key][one] for one in ("median_seconds", "p99_seconds"))]
            for key, title in names.items()
        ]
        cells.append(["commit / fsync", row["commit_over_fsync"]])
        cells.append(["commit / fsync, texts and meta", row["text_commit_over_fsync"]])
        title = f"{row['engrams']:,} engrams x {document['dimension']}, {row['bytes'] / 1e9:.2f} GB"
        tables.append((title, ("", "median ms", "p99 ms"), cells))
    load = document["bulk_load"]
    load_cells = [
        ["bulk load", load["bytes_per_second"] / 1e6],
        ["raw write and fsync", load["raw_bytes_per_second"] / 1e6],
        ["share", load["share_of_raw_bandwidth"]],
    ]
    tables.append((f"bulk load of {load['rows']:,} vectors", ("", "MB/s"), load_cells))
    small = document["small_text"]
    small_cells: list[list[object]] = [
        ["step alone, ms", 1e3 * small["step"]["median_seconds"]],
        ["sentences a second, all of `memoria step`", small["sentences_per_second"]],
    ]
    title = f"text, W=8, D=384, {small['living']} engrams live"
    tables.append((title, ("", "value"), small_cells))
    return tables
