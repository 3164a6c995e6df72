"""Reports of a text memory: writing one, its size, and how soon it is open in Chromium.

The browser is that of tests/tools/chromium.py. A page is open when its load event has ended:
the graph is drawn and its slider, search and keys work. Plots are drawn when they come into view;
the time of all of them, from the first to the last, is told apart.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import parser
from benchmarks.processes import ROOT, scratch
from benchmarks.results import TableOf, finish, milliseconds, say, start, timing
from benchmarks.texts import sentences

sys.path.insert(0, str(ROOT / "tests" / "tools"))

NAME = "report"
_WIDTH = 4  # sentences of a step
_PLOTS = """
const done = arguments[arguments.length - 1], begin = performance.now();
(async () => {
  for (const place of document.querySelectorAll('.plot')) await drawPlot(place);
  done(performance.now() - begin);
})();
"""
_SLIDER = """
const times = [], count = Math.min(500, memory.positions);
for (let n = 1; n <= count; n += 1) {
  const begin = performance.now();
  page.moveTo(Math.ceil((n * memory.positions) / count));
  times.push(performance.now() - begin);
}
return times;
"""


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--steps", type=int, help="of the memory (default 10,000)")
    made.add_argument("--opens", type=int, help="times each page is opened (default 7; 0: never)")
    made.add_argument("--kept", type=Path, help="folder that keeps the memory for the next run")
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    import torch

    arguments = options().parse_args(words)
    arguments.steps = arguments.steps or (300 if arguments.quick else 10_000)
    if arguments.opens is None:
        arguments.opens = 2 if arguments.quick else 7
    torch.set_num_threads(arguments.threads)
    document = start(arguments)
    with scratch() as folder:
        store = _memory((arguments.kept or folder) / f"texts-{arguments.steps}", arguments.steps)
        document["reports"] = [
            _measured(store, folder, most, arguments.opens) for most in (480, 2_000)
        ]
    finish(NAME, arguments, document, _tables(document))
    return document


def _memory(path: Path, steps: int) -> Path:
    """A memory that has read the help of Python: passages of it, again and again."""
    from memoria.backbones import load_backbone
    from memoria.config import MemoriaConfig
    from memoria.store import MemoryStore

    if path.exists():
        return path
    say(f"making a memory of {steps:,} steps")
    known, chance, texts = sentences(), random.Random(0), list[str]()
    while len(texts) < _WIDTH * steps:
        first = chance.randrange(len(known))
        texts += known[first : first + chance.randrange(4, 40)]
    backbone = load_backbone("hash")
    vectors = backbone.encode(texts[: _WIDTH * steps])
    config = MemoriaConfig(hidden_dim=backbone.dimension, initial_lifespan=50.0)
    with MemoryStore.create(path, config) as store:
        for step in range(steps):
            mine = slice(_WIDTH * step, _WIDTH * (step + 1))
            store.add(vectors[mine], texts=texts[mine])
            store.remind()
            store.adjust("correlation:8")
            if step % 500 == 499:
                store.commit()
    return path


def _measured(store: Path, folder: Path, most: int, opens: int) -> dict[str, Any]:
    from memoria.report import write_report

    times = []
    out = folder / f"report-{most}.html"
    for _ in range(3):
        begin = time.perf_counter()
        told = write_report(store, out, most_engrams=most, force=True)
        times.append(time.perf_counter() - begin)
    row = {
        "most_engrams": most,
        **{key: told[key] for key in ("engrams", "shown", "connections", "step", "bytes")},
        "write": timing(times),
    }
    return row | (_opened(out, opens) if opens else {})


def _opened(page: Path, opens: int) -> dict[str, Any]:
    from chromium import installed, started

    if not installed():
        return {"missing": "no chromium and chromedriver"}
    found: dict[str, list[float]] = {"first_paint": [], "open": [], "plots": [], "slider": []}
    for _ in range(opens):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            driver = started(Path(profile))
            try:
                driver.get(page.as_uri())
                version = driver.capabilities["browserVersion"]
                paint, loaded = driver.execute_script(
                    "return [performance.getEntriesByType('paint')[0]?.startTime ?? null,"
                    "performance.getEntriesByType('navigation')[0].loadEventEnd]"
                )
                if paint is not None:
                    found["first_paint"].append(paint / 1e3)
                found["open"].append(loaded / 1e3)
                found["slider"].append(float(np.median(driver.execute_script(_SLIDER))) / 1e3)
                found["plots"].append(driver.execute_async_script(_PLOTS) / 1e3)
                said = [one["message"] for one in driver.get_log("browser")]
            finally:
                driver.quit()
        if said:
            raise RuntimeError(f"the page complains: {said[0]}")
    told = {name: timing(times) for name, times in found.items() if times}
    return {"chromium": version, **told}


def _tables(document: dict[str, Any]) -> list[TableOf]:
    names = ("write", "first_paint", "open", "slider", "plots")
    rows = [
        (
            f"{row['shown']:,} of {row['engrams']:,}",
            row["bytes"],
            *(milliseconds(row.get(name)) for name in names),
        )
        for row in document["reports"]
    ]
    steps = document["settings"]["steps"]
    columns = ("engrams shown", "bytes", "write ms", "first paint ms", "open ms")
    return [(f"a memory of {steps:,} steps", (*columns, "a slider step ms", "all plots ms"), rows)]
