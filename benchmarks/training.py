"""Training steps of a small GPT-2 with and without memory: ours and memoria-pytorch.

``none`` has no memory, ``attention`` its layers with nothing remembered, the others remember too
(working memory 50, short-term 400, 50 + 50 reminded, life 9, gains by attention, alpha 8). What a
memory costs is the time over ``none``; over ``attention`` it is that of remembering alone.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.options import add_upstream_options, fill, parser
from benchmarks.processes import HarnessError, Upstream, harness
from benchmarks.results import TableOf, finish, milliseconds, ratio, say, start, timing
from benchmarks.setting import SETTING

NAME = "training"
_SCRIPT = "training_harness.py"
# name: (mode, implementation)
_CASES = {
    "none": ("none", "dense"),
    "attention": ("attention", "dense"),
    "ours": ("memory", "dense"),
    "upstream": ("memory", "upstream"),
}


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--devices", help="such as cpu,cuda (default: what there is)")
    made.add_argument("--layers", type=int, help="default 4")
    made.add_argument("--hidden", type=int, help="default 768")
    made.add_argument("--heads", type=int, default=12)
    made.add_argument("--batch", type=int, help="lanes (default 8)")
    made.add_argument("--length", type=int, help="tokens of a segment (default 150)")
    made.add_argument("--steps", type=int, help="steps timed (default 20; on a GPU 100)")
    made.add_argument("--warm-up", type=int, help="steps that fill the memory first (default 30)")
    made.add_argument("--limit", type=float, default=1800.0, help="seconds of one case")
    add_upstream_options(made)
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    arguments = options().parse_args(words)
    fill(
        arguments,
        {
            "layers": (2, 4),
            "hidden": (96, 768),
            "batch": (2, 8),
            "length": (32, 150),
            "steps": (5, None),
            "warm_up": (10, 30),
        },
    )
    document = start(arguments)
    upstream = Upstream(arguments)
    document["upstream"] = upstream.about
    document["devices"] = {
        device: _device(device, arguments, upstream) for device in _devices(arguments)
    }
    finish(NAME, arguments, document, _tables(document))
    return document


def _devices(arguments: argparse.Namespace) -> list[str]:
    if arguments.devices:
        return [one.strip() for one in arguments.devices.split(",")]
    import torch

    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def _device(device: str, arguments: argparse.Namespace, upstream: Upstream) -> dict[str, Any]:
    """Times of every case, and what they add to having no memory."""
    cases: dict[str, Any] = {}
    for name, (mode, implementation) in _CASES.items():
        if implementation == "upstream" and not upstream.is_there:
            cases[name] = {"missing": "not available"}
            continue
        say(f"{device}: {name}")
        cases[name] = _case(device, mode, implementation, arguments, upstream)
    none = cases["none"].get("median_seconds")
    attention = cases["attention"].get("median_seconds")
    for case in cases.values():
        median = case.get("median_seconds")
        case["overhead_percent"] = _percent(median, none)
        case["over_attention_percent"] = _percent(median, attention)
    spent = [cases[name].get("memory_median_seconds") for name in ("upstream", "ours")]
    return {"cases": cases, "memory_upstream_over_ours": ratio(*spent)}


def _case(
    device: str, mode: str, implementation: str, arguments: argparse.Namespace, upstream: Upstream
) -> dict[str, Any]:
    job = {
        **SETTING,
        "mode": mode,
        "implementation": implementation,
        "device": device,
        "threads": arguments.threads,
        "layers": arguments.layers,
        "hidden": arguments.hidden,
        "heads": arguments.heads,
        "batch": arguments.batch,
        "length": arguments.length,
        "steps": arguments.steps or (20 if device == "cpu" else 100),
        "warm_up": arguments.warm_up,
    }
    run = upstream.run if implementation == "upstream" else harness
    try:
        answer = run(_SCRIPT, job, arguments.limit)
    except HarnessError as error:
        return {"missing": str(error)}
    seconds, spent = answer.pop("seconds"), answer.pop("memory_seconds")
    return {
        **timing(seconds),
        "memory_median_seconds": timing(spent)["median_seconds"] if mode == "memory" else None,
        **answer,
    }


def _percent(over: float | None, under: float | None) -> float | None:
    share = ratio(over, under)
    return None if share is None else 100 * (share - 1)


def _tables(document: dict[str, Any]) -> list[TableOf]:
    columns = (
        "memory",
        "step ms",
        "p99 ms",
        "in memory ms",
        "overhead %",
        "over attention %",
        "engrams a lane",
    )
    tables: list[TableOf] = []
    for device, told in document["devices"].items():
        rows = []
        for name, case in told["cases"].items():
            if "missing" in case:
                rows.append([name, case["missing"]])
                continue
            spent = case["memory_median_seconds"]
            rows.append(
                [
                    name,
                    milliseconds(case),
                    milliseconds(case, "p99_seconds"),
                    None if spent is None else 1e3 * spent,
                    case["overhead_percent"],
                    case["over_attention_percent"],
                    case["engrams"],
                ]
            )
        tables.append((f"training step, {device}", columns, rows))
    return tables
