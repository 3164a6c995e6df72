"""Time and memory of a step, by the number of engrams: ours (sparse, dense) and memoria-pytorch.

Two workloads: nothing dies, and texts with the correlation rule (life 9, alpha 8), where some
thousand engrams live at a time. Then lanes side by side as in training, and one long life with
steady deaths, where time and memory must level off.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import add_upstream_options, fill, numbers, parser
from benchmarks.processes import HarnessError, Upstream, harness, scratch
from benchmarks.results import TableOf, finish, milliseconds, ratio, say, start, timing
from benchmarks.setting import AUTHORS_RULE, SETTING
from benchmarks.texts import text_vectors

NAME = "step_time"
_SCRIPT = "memory_harness.py"
_SPARE = 1.5  # capacity over what lives, in both directions of a dense matrix
_COPIES = 2  # of the matrix while it grows
_GAIN = 5.0  # of a reminded engram in the long life, by the same rule
_GB = 1e9
_WARM_UP = 60  # steps: what is compiled on the way is compiled by then


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--sizes", type=numbers, help="engrams (default 1e3,3e3,8e3,1e4,1e5,1e6)")
    made.add_argument("--upstream-sizes", type=numbers, help="default 1e3,2e3,3e3,5e3,8e3")
    made.add_argument("--steps", type=int, help="steps timed at each size (default 200)")
    made.add_argument("--upstream-limit", type=float, default=600.0, help="seconds of one life")
    made.add_argument("--limit", type=float, default=3000.0, help="seconds of one life of ours")
    made.add_argument("--dimension", type=int, default=768)
    made.add_argument("--dense-gb", type=float, default=6.0, help="most memory of a dense matrix")
    made.add_argument("--lanes", type=int, default=8, help="lanes of the training setting")
    made.add_argument("--lane-size", type=int, help="engrams a lane there (default 3000)")
    made.add_argument("--text-steps", type=int, help="steps of the text life (default 400)")
    made.add_argument("--life-steps", type=int, help="steps of the long life (default 20,000)")
    made.add_argument("--life-engrams", type=int, help="about how many live there (default 1e5)")
    made.add_argument("--texts", type=int, help="sentences at most (default: all, some 3,400)")
    made.add_argument("--no-model", action="store_true", help="vectors from the backbone hash")
    made.add_argument("--device", default="cpu", help="of the training setting: cpu or cuda")
    add_upstream_options(made)
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    arguments = options().parse_args(words)
    fill(
        arguments,
        {
            "sizes": ([1000, 3000], [1000, 3000, 8000, 10_000, 100_000, 1_000_000]),
            "upstream_sizes": ([1000], [1000, 2000, 3000, 5000, 8000]),
            "steps": (20, 200),
            "lane_size": (500, 3000),
            "text_steps": (40, 400),
            "life_steps": (200, 20_000),
            "life_engrams": (2000, 100_000),
            "texts": (200, 100_000),
        },
    )
    document = start(arguments)
    upstream = Upstream(arguments)
    document["upstream"] = upstream.about
    with scratch() as folder:
        vectors, what = text_vectors(arguments.dimension, arguments.texts, not arguments.no_model)
        np.save(folder / "vectors.npy", vectors)
        document["vectors"] = what
        bench = _Bench(arguments, folder, upstream)
        document["nothing_dies"] = bench.nothing_dies()
        document["training_lanes"] = bench.training_lanes()
        document["text_with_rule"] = bench.text_with_rule()
        document["long_life"] = bench.long_life()
    document["ratios"] = _ratios(document, arguments)
    finish(NAME, arguments, document, _tables(document))
    return document


class _Bench:
    def __init__(self, arguments: argparse.Namespace, folder: Path, upstream: Upstream) -> None:
        self.arguments, self.upstream = arguments, upstream
        self.common = {
            **SETTING,
            "vectors": str(folder / "vectors.npy"),
            "threads": arguments.threads,
            "lanes": 1,
            "device": "cpu",
            "warm_up": _WARM_UP,
            "steps": arguments.steps,
            "alpha": None,
        }

    def nothing_dies(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of sizes by implementation."""
        chosen = self.arguments
        both = sorted({*chosen.sizes, *chosen.upstream_sizes})
        largest = int((chosen.dense_gb * _GB / (4 * _COPIES)) ** 0.5 / _SPARE)
        return {
            "sparse": self._growth("sparse", both),
            "dense": self._growth("dense", [size for size in both if size <= largest])
            + [_missing(size, "the matrix is too large") for size in both if size > largest],
            "upstream": self._growth("upstream", chosen.upstream_sizes),
        }

    def training_lanes(self) -> dict[str, Any]:
        """Steps of several lanes at one size."""
        chosen = self.arguments
        more = {"lanes": chosen.lanes, "device": chosen.device}
        rows = {
            name: self._growth(name, [chosen.lane_size], **more)[0]
            for name in ("dense", "upstream")
        }
        return {"lanes": chosen.lanes, "device": chosen.device, **rows}

    def text_with_rule(self) -> dict[str, Any]:
        """A life as the authors set it; times are of its second half."""
        steps = self.arguments.text_steps
        rows = {}
        for name in ("sparse", "dense", "upstream"):
            job = {**AUTHORS_RULE, "steps": steps, "block": max(1, steps // 2)}
            blocks = self._life(name, job)
            rows[name] = blocks if isinstance(blocks, str) else _told(blocks[-1])
        return rows

    def long_life(self) -> dict[str, Any]:
        """Many steps with deaths: blocks with time, engrams and memory."""
        steps = self.arguments.life_steps
        # every step brings `working` lives of this length, and the gains of the reminded
        gains = (SETTING["reminded_shortterm"] + SETTING["reminded_longterm"]) * _GAIN
        lifespan = max(2.0, (self.arguments.life_engrams - gains) / SETTING["working"])
        job = {"lifespan": lifespan, "alpha": _GAIN, "steps": steps, "block": max(1, steps // 10)}
        blocks = self._life("sparse", job)
        rows = blocks if isinstance(blocks, str) else [_told(block) for block in blocks]
        return {"lifespan": lifespan, "gain": _GAIN, "blocks": rows}

    def _growth(self, name: str, sizes: list[int], **more: Any) -> list[dict[str, Any]]:
        limit = self._limit(name)
        job = {"kind": "growth", "sizes": sizes, "time_limit": limit, **more}
        answer = self._run(name, job, limit) if sizes else {"sizes": []}
        if isinstance(answer, str):
            return [_missing(size, answer) for size in sizes]
        rows = {row["engrams"]: _told(row) for row in answer["sizes"]}
        return [rows.get(size) or _missing(size, "the time was up") for size in sorted(sizes)]

    def _life(self, name: str, job: Mapping[str, Any]) -> list[dict[str, Any]] | str:
        limit = self._limit(name)
        answer = self._run(name, {"kind": "life", "time_limit": limit, **job}, limit)
        return answer if isinstance(answer, str) else list(answer["blocks"])

    def _limit(self, name: str) -> float:
        chosen = self.arguments
        return float(chosen.upstream_limit if name == "upstream" else chosen.limit)

    def _run(self, name: str, job: Mapping[str, Any], limit: float) -> dict[str, Any] | str:
        """The answer, or why there is none."""
        if name == "upstream" and not self.upstream.is_there:
            return "not available"
        say(f"{name}: {job['kind']}, {job.get('sizes') or job['steps']}")
        whole = {**self.common, **job, "implementation": name}
        try:
            return (self.upstream.run if name == "upstream" else harness)(_SCRIPT, whole, limit)
        except HarnessError as error:
            return str(error)


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the harness with its seconds summarised."""
    told = {key: value for key, value in row.items() if key != "seconds"}
    held = row.get("index_bytes")
    if held:
        told["index_bytes_per_engram"] = sum(held.values()) / max(1, row["engrams"])
    return {**told, **timing(row["seconds"])}


def _missing(size: int, why: str) -> dict[str, Any]:
    return {"engrams": size, "missing": why}


def _median(rows: list[dict[str, Any]], size: int) -> float | None:
    return next((row.get("median_seconds") for row in rows if row["engrams"] == size), None)


def _ratios(document: Mapping[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    grown, lanes = document["nothing_dies"], document["training_lanes"]
    sparse, upstream = grown["sparse"], grown["upstream"]
    text, blocks = document["text_with_rule"], document["long_life"]["blocks"]
    largest = max(arguments.sizes)
    base = min(arguments.sizes, key=lambda size: abs(size - largest / 100))
    at_largest: dict[str, Any] = next(row for row in sparse if row["engrams"] == largest)
    full = [row for row in blocks if isinstance(row, dict)]
    late = full[len(full) // 2 :]
    return {
        "upstream_over_sparse": {
            str(size): ratio(_median(upstream, size), _median(sparse, size))
            for size in arguments.upstream_sizes
        },
        f"sparse_{largest}_over_{base}": ratio(_median(sparse, largest), _median(sparse, base)),
        f"sparse_p99_over_median_at_{largest}": ratio(
            at_largest.get("p99_seconds"), at_largest.get("median_seconds")
        ),
        f"index_bytes_per_engram_at_{largest}": at_largest.get("index_bytes_per_engram"),
        "lanes_upstream_over_dense": ratio(
            lanes["upstream"].get("median_seconds"), lanes["dense"].get("median_seconds")
        ),
        "text_upstream_over_sparse": ratio(
            *(_text_median(text, n) for n in ("upstream", "sparse"))
        ),
        "life_time_last_over_half": ratio(
            late[-1]["median_seconds"] if late else None,
            late[0]["median_seconds"] if late else None,
        ),
        "life_memory_last_over_half": ratio(
            late[-1]["resident_bytes"] if late else None,
            late[0]["resident_bytes"] if late else None,
        ),
    }


def _text_median(text: Mapping[str, Any], name: str) -> float | None:
    row = text[name]
    return row["median_seconds"] if isinstance(row, dict) else None


def _tables(document: Mapping[str, Any]) -> list[TableOf]:
    columns = ("engrams", "median ms", "p99 ms", "max ms", "steps", "peak GB", "index B/engram")
    tables: list[TableOf] = []
    for name, rows in document["nothing_dies"].items():
        tables.append((f"nothing dies: {name}", columns, [_cells(row) for row in rows]))
    lanes = document["training_lanes"]
    title = f"{lanes['lanes']} lanes, {lanes['device']}, nothing dies"
    both = [[name, *_cells(lanes[name])] for name in ("dense", "upstream")]
    tables.append((title, ("memory", *columns), both))
    text = [
        [name, *_cells(row)] if isinstance(row, dict) else [name, row]
        for name, row in document["text_with_rule"].items()
    ]
    tables.append(("texts, correlation rule", ("memory", *columns), text))
    life = document["long_life"]["blocks"]
    if isinstance(life, str):
        life = []
    steps = [
        [
            row["step"],
            row["engrams"],
            milliseconds(row),
            milliseconds(row, "p99_seconds"),
            row["resident_bytes"] / _GB,
            sum(row["index_bytes"].values()) / _GB,
        ]
        for row in life
    ]
    heads = ("to step", "engrams", "median ms", "p99 ms", "resident GB", "index GB")
    tables.append((f"one life, {document['long_life']['lifespan']:g} steps each", heads, steps))
    flat = _flat(document["ratios"])
    tables.append(("ratios", ("ratio", "value"), flat))
    return tables


def _cells(row: Mapping[str, Any]) -> list[object]:
    if "missing" in row:
        return [row["engrams"], row["missing"]]
    peak = row.get("peak_bytes") or row.get("resident_bytes")
    return [
        row["engrams"],
        milliseconds(row),
        milliseconds(row, "p99_seconds"),
        milliseconds(row, "max_seconds"),
        row["samples"],
        peak / _GB if peak else None,
        row.get("index_bytes_per_engram"),
    ]


def _flat(ratios: Mapping[str, Any]) -> list[list[object]]:
    rows: list[list[object]] = []
    for name, value in ratios.items():
        if isinstance(value, Mapping):
            rows += [[f"{name} at {key}", one] for key, one in value.items()]
        else:
            rows.append([name, value])
    return rows
