"""Small memories of texts: eight sentences a step, about 500 engrams alive, backbone `hash`.

A step in memory (`Memoria`, beside memoria-pytorch), a step in a store before anything is made
durable, and the whole command `memoria step`, from the shell to the disk.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import add_upstream_options, fill, numbers, parser
from benchmarks.processes import HarnessError, Upstream, command, harness, scratch
from benchmarks.results import TableOf, finish, milliseconds, ratio, say, start, timing
from benchmarks.setting import TEXT_RULE, TEXT_SETTING
from benchmarks.texts import passages

NAME = "text"
_MEMORIES = ("sparse", "dense", "upstream")


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--dimensions", type=numbers, default=[256, 384], help="of the vectors")
    made.add_argument("--steps", type=int, help="steps of a life (default 1,000)")
    made.add_argument("--sentences", type=int, help="read by the command (default 20,000)")
    made.add_argument("--repeats", type=int, help="of the command (default 5)")
    made.add_argument("--limit", type=float, default=600.0, help="seconds of one life")
    made.add_argument("--directory", type=Path, help="the disk (default: temporary files)")
    add_upstream_options(made)
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    import torch

    arguments = options().parse_args(words)
    sizes = {"steps": (120, 1000), "sentences": (800, 20_000), "repeats": (2, 5)}
    fill(arguments, sizes)
    torch.set_num_threads(arguments.threads)
    document = start(arguments)
    upstream = Upstream(arguments)
    document["upstream"] = upstream.about
    texts = passages(arguments.steps * TEXT_SETTING["working"])
    document["rows"] = []
    with scratch(arguments.directory) as folder:
        for dimension in arguments.dimensions:
            vectors = _vectors(texts, dimension)
            np.save(folder / "vectors.npy", vectors)
            row = {
                "dimension": dimension,
                **{name: _life(name, folder, arguments, upstream) for name in _MEMORIES},
                "store": _in_store(folder / "store", vectors, texts),
            }
            row["upstream_over"] = {
                name: ratio(*(row[one].get("median_seconds") for one in ("upstream", name)))
                for name in ("sparse", "dense")
            }
            document["rows"].append(row)
        document["command"] = _commands(folder, arguments)
    finish(NAME, arguments, document, _tables(document))
    return document


def _vectors(texts: list[str], dimension: int) -> Any:
    from memoria.backbones import load_backbone

    return load_backbone("hash", dimension).encode(texts)


def _life(
    name: str, folder: Path, arguments: argparse.Namespace, upstream: Upstream
) -> dict[str, Any]:
    """A life in memory; times are of its second half."""
    if name == "upstream" and not upstream.is_there:
        return {"missing": "not available"}
    say(f"{name}, {arguments.steps} steps in memory")
    job = {
        **TEXT_SETTING,
        **TEXT_RULE,
        "kind": "life",
        "implementation": name,
        "vectors": str(folder / "vectors.npy"),
        "threads": arguments.threads,
        "lanes": 1,
        "device": "cpu",
        "warm_up": 10,
        "steps": arguments.steps,
        "block": max(1, arguments.steps // 2),
        "time_limit": arguments.limit,
    }
    run = upstream.run if name == "upstream" else harness
    try:
        block = run("memory_harness.py", job, arguments.limit)["blocks"][-1]
    except HarnessError as error:
        return {"missing": str(error)}
    return {"engrams": block["engrams"], **timing(block["seconds"])}


def _in_store(place: Path, vectors: Any, texts: list[str]) -> dict[str, Any]:
    """The same life in a store, with its texts; a commit takes it all in the end."""
    from memoria.config import MemoriaConfig
    from memoria.store import MemoryStore

    say("the same in a store")
    width, seconds = TEXT_SETTING["working"], []
    with MemoryStore.create(place, _config(vectors.shape[1], MemoriaConfig)) as store:
        for first in range(0, len(texts) - width + 1, width):
            part = slice(first, first + width)
            began = time.perf_counter()
            store.step(vectors[part], texts=texts[part])
            seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
        store.commit()
        commit = time.perf_counter() - began
    from memoria.query.inspection import Inspection

    with Inspection.open(place) as view:
        alive = view.summary()["engrams"]
    for file in sorted(place.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    place.rmdir()
    return {"engrams": alive, **timing(seconds[len(seconds) // 2 :]), "commit_seconds": commit}


def _config(dimension: int, made: Any) -> Any:
    return made(
        hidden_dim=dimension,
        wm_length=TEXT_SETTING["working"],
        stm_capacity=TEXT_SETTING["shortterm"],
        num_reminded_stm=TEXT_SETTING["reminded_shortterm"],
        num_final_ltms=TEXT_SETTING["reminded_longterm"],
        ltm_search_depth=TEXT_SETTING["depth"],
        initial_lifespan=TEXT_RULE["lifespan"],
        rule=f"correlation:{TEXT_RULE['alpha']:g}",
        backbone="hash",
    )


def _commands(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """`memoria step` of a text, each time into a new store: whole processes."""
    say(f"memoria step of {arguments.sentences:,} sentences")
    text = folder / "read.txt"
    text.write_text("\n".join(passages(arguments.sentences)) + "\n", encoding="utf-8")
    lives = ("--initial-lifespan", f"{TEXT_RULE['lifespan']:g}")
    lives += ("--rule", f"correlation:{TEXT_RULE['alpha']:g}")
    spent = []
    for number in range(arguments.repeats + 1):
        store = str(folder / f"read-{number}")
        command("init", store, "--backbone", "hash", "--unit", "line", *lives)
        spent.append(command("step", store, str(text))[0])
    wall = timing([one["seconds"] for one in spent[1:]])  # the first fills caches
    processor = timing([one["processor_seconds"] for one in spent[1:]])
    return {
        "sentences": arguments.sentences,
        **wall,
        "processor_median_seconds": processor["median_seconds"],
        "sentences_per_second": arguments.sentences / wall["median_seconds"],
        "sentences_per_processor_second": arguments.sentences / processor["median_seconds"],
        "peak_bytes": max(one["peak_bytes"] for one in spent),
    }


def _tables(document: dict[str, Any]) -> list[TableOf]:
    rows = []
    for row in document["rows"]:
        for name in (*_MEMORIES, "store"):
            told = row[name]
            if "missing" in told:
                rows.append([row["dimension"], name, told["missing"]])
                continue
            over = row["upstream_over"].get(name)
            times = (milliseconds(told), milliseconds(told, "p99_seconds"))
            rows.append([row["dimension"], name, told["engrams"], *times, over])
    columns = ("D", "memory", "engrams", "median ms", "p99 ms", "upstream over it")
    told = document["command"]
    cells = [
        ["seconds", told["median_seconds"]],
        ["processor seconds", told["processor_median_seconds"]],
        ["sentences a second", told["sentences_per_second"]],
        ["sentences a processor second", told["sentences_per_processor_second"]],
    ]
    return [
        (f"steps of {TEXT_SETTING['working']} sentences", columns, rows),
        (f"memoria step, {told['sentences']:,} sentences", ("", ""), cells),
    ]
