"""All that needs a GPU, in one run of under eight minutes without a network.

The tests of CUDA; a dense step of many lanes beside memoria-pytorch (``--upstream-path FOLDER`` is
its unpacked wheel); a training step of GPT-2 small with and without memory; steps of a store on the
CPU and on the GPU. What does not fit into the time, or lacks a package, is told as missing. Without
a GPU the same runs on the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import add_upstream_options, fill, numbers, parser
from benchmarks.processes import ROOT, HarnessError, Upstream, harness, last_line, scratch
from benchmarks.results import TableOf, finish, milliseconds, ratio, say, start, timing
from benchmarks.setting import SETTING

NAME = "gpu"
_TESTS = (
    "tests/core/test_core_state.py",
    "tests/core/test_core_tensors.py",
    "tests/store/test_keeping.py",
    "tests/models/test_models_store.py",
)
_LIMITS = {"tests": 90.0, "steps": 60.0, "models": 80.0, "training": 40.0}  # seconds of one part
_TRAINING = {"none": "dense", "attention": "dense", "ours": "dense", "upstream": "upstream"}
_GRACE = 15.0


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--device", help="default: cuda where there is one, else cpu")
    made.add_argument("--minutes", type=float, default=7.5, help="no part begins after that")
    made.add_argument("--lanes", type=numbers, help="of the steps (default 8,32)")
    made.add_argument("--sizes", type=numbers, help="engrams a lane (default 3e3,8e3)")
    made.add_argument("--dimension", type=int, help="default 768")
    made.add_argument("--steps", type=int, help="timed at each size (default 12)")
    made.add_argument("--layers", type=int, help="of GPT-2 (default 12, as small)")
    made.add_argument("--hidden", type=int, help="default 768")
    made.add_argument("--heads", type=int, help="default 12")
    made.add_argument("--batch", type=int, help="lanes of GPT-2 (default 8)")
    made.add_argument("--length", type=int, help="tokens of a segment (default 512)")
    made.add_argument("--parts", default="tests,steps,models,training,store", help="what is run")
    add_upstream_options(made)
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    import torch

    arguments = options().parse_args(words)
    arguments.device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    fill(
        arguments,
        {
            "lanes": ([2], [8, 32]),
            "sizes": ([200], [3000, 8000]),
            "dimension": (32, 768),
            "steps": (3, 12),
            "layers": (3, 12),
            "hidden": (32, 768),
            "heads": (2, 12),
            "batch": (2, 8),
            "length": (16, 512),
        },
    )
    document = start(arguments)
    card = torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"
    document["machine"]["card"] = card
    upstream = Upstream(arguments)
    document["upstream"] = upstream.about
    with scratch() as folder:
        bench = _Bench(arguments, folder, upstream)
        parts: dict[str, Callable[[], Any]] = {
            "tests": bench.tests,
            "steps": bench.steps,
            "models": bench.models,
            "training": bench.training,
            "store": bench.store,
        }
        for name in arguments.parts.split(","):
            say(f"{name}, {bench.left():.0f} s left")
            document[name] = parts[name]()
    document["seconds"] = bench.spent()
    finish(f"{NAME}.{re.sub(r'[^A-Za-z0-9]+', '-', card)}", arguments, document, _tables(document))
    return document


class _Bench:
    def __init__(self, arguments: argparse.Namespace, folder: Path, upstream: Upstream) -> None:
        self.arguments, self.folder, self.upstream = arguments, folder, upstream
        self._began = time.monotonic()

    def spent(self) -> float:
        return time.monotonic() - self._began

    def left(self) -> float:
        return 60 * float(self.arguments.minutes) - self.spent()

    def tests(self) -> dict[str, Any]:
        """The tests marked ``cuda``; on a machine without one they skip."""
        line = [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-m", "cuda", *_TESTS]
        try:
            done = subprocess.run(
                line,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=min(_LIMITS["tests"], max(1.0, self.left())),
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        except subprocess.TimeoutExpired as error:
            return {"missing": f"took more than {error.timeout:.0f} s"}
        said = (done.stdout + done.stderr).replace(str(ROOT), ".").splitlines()
        failed = [one for one in said if one.startswith(("FAILED", "ERROR"))]
        return {"code": done.returncode, "summary": last_line(done.stdout), "failed": failed}

    def steps(self) -> list[dict[str, Any]]:
        """Nothing dies: dense steps of ours and upstream's, by lanes and engrams of each."""
        chosen, rows = self.arguments, []
        random = np.random.default_rng(0)
        vectors = random.standard_normal((4096, chosen.dimension), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        np.save(self.folder / "vectors.npy", vectors)
        for lanes in chosen.lanes:
            found = {name: self._growth(name, lanes) for name in ("dense", "upstream")}
            for size in chosen.sizes:
                ours, theirs = (found[name].get(size, {}) for name in ("dense", "upstream"))
                rows.append(
                    {
                        "lanes": lanes,
                        "engrams": size,
                        "ours": ours,
                        "upstream": theirs,
                        "upstream_over_ours": ratio(
                            theirs.get("median_seconds"), ours.get("median_seconds")
                        ),
                    }
                )
        return rows

    def _growth(self, name: str, lanes: int) -> dict[int, dict[str, Any]]:
        chosen = self.arguments
        job = {
            **SETTING,
            "kind": "growth",
            "implementation": name,
            "vectors": str(self.folder / "vectors.npy"),
            "threads": chosen.threads,
            "lanes": lanes,
            "device": chosen.device,
            "warm_up": 3,
            "alpha": None,
            "sizes": chosen.sizes,
            "steps": chosen.steps,
        }
        answer = self._run("memory_harness.py", job, "steps", name == "upstream")
        if "missing" in answer:
            return dict.fromkeys(chosen.sizes, answer)
        return {
            row["engrams"]: {
                "peak_bytes": row["peak_bytes"],
                "device_peak_bytes": row["device_peak_bytes"],
                **timing(row["seconds"]),
            }
            for row in answer["sizes"]
        }

    def _run(
        self, script: str, job: Mapping[str, Any], part: str, upstream: bool
    ) -> dict[str, Any]:
        """The harness's answer within the time of this part, or why there is none."""
        if upstream and not self.upstream.is_there:
            return {"missing": "not available"}
        limit = min(_LIMITS[part], self.left() - _GRACE)
        if limit <= 0:
            return {"missing": "the time was up"}
        run = self.upstream.run if upstream else harness
        try:
            return run(script, {**job, "time_limit": limit}, limit, _GRACE)
        except HarnessError as error:
            return {"missing": str(error)}

    def models(self) -> dict[str, Any]:
        """GPT-2 of transformers, plain, with memory and with an adapter."""
        chosen, out = self.arguments, self.folder / "models.json"
        line = [sys.executable, "-m", "benchmarks", "models", "--only", "GPT-2", "--out", str(out)]
        wanted = ("device", "layers", "hidden", "heads", "batch", "length")
        for name in wanted:
            line += [f"--{name}", str(getattr(chosen, name))]
        line += ["--vocabulary", "50257" if chosen.hidden >= 768 else "2048"]
        line += ["--threads", str(chosen.threads)] + (["--quick"] if chosen.quick else [])
        limit = min(_LIMITS["models"], self.left())
        if limit <= 0:
            return {"missing": "the time was up"}
        try:
            done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return {"missing": f"took more than {limit:.0f} s"}
        if done.returncode:
            return {"missing": last_line(done.stderr)}
        told: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return {"rows": told["rows"], "over_plain": told["over_plain"]}

    def training(self) -> dict[str, Any]:
        """The same in bare torch, with ours and upstream's memory behind the same attention."""
        chosen, told = self.arguments, {}
        for name, implementation in _TRAINING.items():
            job = {
                **SETTING,
                "mode": name if name in ("none", "attention") else "memory",
                "implementation": implementation,
                "device": chosen.device,
                "threads": chosen.threads,
                **{one: getattr(chosen, one) for one in ("layers", "hidden", "heads")},
                **{one: getattr(chosen, one) for one in ("batch", "length", "steps")},
                "warm_up": 3 if chosen.quick else 30,
            }
            found = self._run("training_harness.py", job, "training", name == "upstream")
            if "missing" not in found:
                spent = found.pop("memory_seconds")
                found = {**found, **timing(found.pop("seconds"))}
                found["memory_median_seconds"] = timing(spent)["median_seconds"]
            told[name] = found
        none = told["none"].get("median_seconds")
        for one in told.values():
            one["over_none"] = ratio(one.get("median_seconds"), none)
        return told

    def store(self) -> list[dict[str, Any]]:
        """Steps of a store, on numpy and on the device, by lanes and engrams of each."""
        rows = []
        for lanes in (1, *self.arguments.lanes):
            if self.left() <= 0:
                break
            try:
                rows.append(self._store(lanes, self.arguments.sizes[0]))
            except ImportError as error:
                return [{"lanes": lanes, "missing": str(error)}]
        return rows

    def _store(self, lanes: int, engrams: int) -> dict[str, Any]:
        from memoria.config import MemoriaConfig
        from memoria.store import MemoryStore

        chosen, path, random = self.arguments, self.folder / "store", np.random.default_rng(0)
        width = SETTING["working"]
        config = MemoriaConfig(
            hidden_dim=chosen.dimension,
            lanes=lanes,
            num_reminded_stm=SETTING["reminded_shortterm"],
            stm_capacity=SETTING["shortterm"],
            ltm_search_depth=SETTING["depth"],
            num_final_ltms=SETTING["reminded_longterm"],
            initial_lifespan=1e6,
            backbone="array",
        )
        seconds: dict[str, list[float]] = {"cpu": [], chosen.device: []}

        def step(store: MemoryStore) -> float:
            data = random.standard_normal((lanes, width, chosen.dimension), dtype=np.float32)
            began = time.perf_counter()
            store.step(data, "uniform:5")
            return time.perf_counter() - began

        with MemoryStore.create(path, config) as store:
            for _ in range(engrams // width):
                step(store)
        for device in seconds:
            with MemoryStore.open(path, "r+", device=None if device == "cpu" else device) as store:
                step(store)  # loads the memory
                seconds[device] = [step(store) for _ in range(chosen.steps)]
        shutil.rmtree(path)
        told = {name: timing(taken) for name, taken in seconds.items()}
        over = ratio(told["cpu"]["median_seconds"], told[chosen.device]["median_seconds"])
        return {"lanes": lanes, "engrams": engrams, **told, "cpu_over_device": over}


def _tables(document: dict[str, Any]) -> list[TableOf]:
    made = {
        "tests": _tests_table,
        "steps": _steps_table,
        "models": _models_table,
        "training": _training_table,
        "store": _store_table,
    }
    return [table(document) for name, table in made.items() if name in document]


def _tests_table(document: dict[str, Any]) -> TableOf:
    said = document["tests"]
    lines = [said.get("summary") or said["missing"], *said.get("failed", [])]
    return "tests of CUDA", ("",), [[line] for line in lines]


def _steps_table(document: dict[str, Any]) -> TableOf:
    rows = []
    for row in document["steps"]:
        ours, theirs = row["ours"], row["upstream"]
        cells = [row["lanes"], row["engrams"], _time(ours), _time(theirs)]
        rows.append([*cells, row["upstream_over_ours"], _gigabytes(ours), _gigabytes(theirs)])
    columns = ("lanes", "engrams", "ours ms", "upstream ms", "ratio", "ours GB", "upstream GB")
    return "a dense step", columns, rows


def _models_table(document: dict[str, Any]) -> TableOf:
    title, models = "a training step of GPT-2 (transformers)", document["models"]
    if "missing" in models:
        return title, ("",), [[models["missing"]]]
    rows = []
    for row in models["rows"]:
        times = (milliseconds(row["step"]), milliseconds(row["memory"]))
        rows.append([row["name"], *times, models["over_plain"].get(row["name"])])
    return title, ("", "ms a step", "of them in the memory", "over plain"), rows


def _training_table(document: dict[str, Any]) -> TableOf:
    rows = [[name, _time(one), one["over_none"]] for name, one in document["training"].items()]
    return "a training step (bare torch)", ("memory", "ms", "over none"), rows


def _store_table(document: dict[str, Any]) -> TableOf:
    device, rows = document["settings"]["device"], []
    for row in document["store"]:
        if "missing" in row:
            rows.append([row["lanes"], row["missing"]])
            continue
        times = (milliseconds(row["cpu"]), milliseconds(row[device]))
        rows.append([row["lanes"], row["engrams"], *times, row["cpu_over_device"]])
    columns = ("lanes", "engrams a lane", "numpy ms", f"torch on {device} ms", "numpy over it")
    return "a step of a store", columns, rows


def _time(told: Mapping[str, Any]) -> object:
    return milliseconds(told) if "median_seconds" in told else told.get("missing")


def _gigabytes(told: Mapping[str, Any]) -> float | None:
    held = told.get("device_peak_bytes") or told.get("peak_bytes")
    return held / 1e9 if held else None
