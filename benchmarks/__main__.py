"""``python -m benchmarks NAME [OPTIONS]``, ``python -m benchmarks all [--quick]``."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module

from benchmarks.processes import ROOT
from benchmarks.results import print_tables

# What `all` runs, in this order. Each is a module with `main(words)`.
BENCHMARKS = {
    "text": "small memories of texts: steps in memory and in a store, the whole command",
    "step_time": "a step by the number of engrams, beside memoria-pytorch",
    "store": "a store against the bare disk",
    "commands": "every verb as a process",
    "training": "what a memory adds to a training step, ours and memoria-pytorch's",
    "models": "GPT-2 and BERT with memory against the plain models",
    "readers": "GPT-2 small reading its memory in several forms, beside itself without",
    "encode": "texts a second of the backbones",
    "long_life": "a text memory of many steps by commands alone",
    "report": "writing a report and opening it in Chromium",
    "watch": "`replay --watch` in terminals",
    "serving": "clients that ask `memoria serve` at once while one writes",
}
ALONE = {
    "ask_confidence": "fit the confidence of answers on conversations with questions (--data)",
    "codes": "what smaller vectors cost `ask`, on conversations with questions (--data)",
    "peers": "`ask` beside other systems, on conversations with questions (--data)",
    "gpu": "CUDA tests, steps beside memoria-pytorch, training steps of GPT-2 small: on a GPU",
    "history": "draw the results of all releases",
}


def main(words: Sequence[str]) -> int:
    name, *rest = words or ("",)
    if name == "all":
        return _all(rest)
    if name not in {**BENCHMARKS, **ALONE}:
        _tell_names()
        return 0 if name in ("", "-h", "--help") else 2
    import_module(f"benchmarks.{name}").main(rest)
    return 0


def _all(words: Sequence[str]) -> int:
    """Every benchmark, each in a process of its own; 1 when one failed."""
    rows, failed = [], 0
    for name in BENCHMARKS:
        print(f"\n== {name} ==", flush=True)
        began, spent = time.monotonic(), _children_seconds()
        code = subprocess.run([sys.executable, "-m", "benchmarks", name, *words], cwd=ROOT)
        failed += code.returncode != 0
        ended = "done" if code.returncode == 0 else f"failed ({code.returncode})"
        rows.append([name, ended, time.monotonic() - began, _children_seconds() - spent])
    from rich.console import Console

    print_tables(Console(), [("all", ("benchmark", "", "seconds", "processor s"), rows)])
    return 1 if failed else 0


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tell_names() -> None:
    print("usage: python -m benchmarks NAME [--quick] [--help]\n       python -m benchmarks all\n")
    for name, what in {**BENCHMARKS, **ALONE}.items():
        print(f"  {name:<14} {what}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
