"""What watching costs: share of a core and bytes a second of `memoria replay --watch`."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import numbers, parser
from benchmarks.processes import ROOT, scratch
from benchmarks.results import TableOf, finish, say, start
from benchmarks.texts import sentences

NAME = "watch"
_WORKING = 8  # sentences a step
_SIZES = ((80, 24), (200, 60))  # columns, lines of the terminal


class WatchError(Exception):
    """A command failed; the message is what it showed last."""


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--steps", type=int, help="steps of the life (default 10,000)")
    made.add_argument("--speeds", type=numbers, help="steps a second (default 10,200,1e6)")
    made.add_argument("--fps", type=float, default=10.0, help="pictures a second")
    made.add_argument("--seconds", type=float, help="longest time watched (default 20)")
    made.add_argument("--directory", type=Path, help="where the store is built")
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    arguments = options().parse_args(words)
    quick = arguments.quick
    arguments.steps = arguments.steps or (300 if quick else 10_000)
    arguments.speeds = arguments.speeds or ([200] if quick else [10, 200, 1_000_000])
    arguments.seconds = arguments.seconds or (3.0 if quick else 20.0)
    document = start(arguments)
    with scratch(arguments.directory) as folder:
        say(f"building a text memory of {arguments.steps:,} steps")
        place = folder / "store"
        document["store"] = _build(place, arguments.steps)
        document["replay"] = [
            {
                "columns": columns,
                "lines": lines,
                "steps_a_second": speed,
                **_watched(
                    [
                        *("replay", str(place), "--watch", "--speed", str(speed)),
                        *("--fps", str(arguments.fps), "--json"),
                    ],
                    columns,
                    lines,
                    arguments.seconds,
                ),
            }
            for columns, lines in (_SIZES[:1] if quick else _SIZES)
            for speed in arguments.speeds
        ]
    finish(NAME, arguments, document, _tables(document))
    return document


def _build(place: Path, steps: int) -> dict[str, Any]:
    """A life of real sentences, drawn again and again."""
    from memoria import MemoriaConfig
    from memoria.backbones import load_backbone
    from memoria.store import MemoryStore

    config = MemoriaConfig(
        hidden_dim=384,
        wm_length=_WORKING,
        num_reminded_stm=8,
        stm_capacity=64,
        num_final_ltms=8,
        ltm_search_depth=4,
        initial_lifespan=200,
        rule="uniform:20",
    )
    texts, random = sentences(), np.random.default_rng(0)
    vectors = load_backbone("hash").encode(texts)
    with MemoryStore.create(place, config) as store:
        for _ in range(steps):
            chosen = random.integers(0, len(texts), _WORKING)
            store.step(vectors[chosen], texts=[texts[k] for k in chosen.tolist()])
    from memoria.query.inspection import Inspection

    with Inspection.open(place) as view:
        told = view.summary()
    return {"steps": steps, "engrams_alive": told["engrams"], "engrams_made": steps * _WORKING}


def _watched(words: list[str], columns: int, lines: int, seconds: float) -> dict[str, Any]:
    """Run a command in a terminal of its own and press q after ``seconds`` of pictures."""
    say(f"memoria {words[0]} --watch, {columns} x {lines}: {' '.join(words[3:5])}")
    variables = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(variables)
        os.environ.pop("COLUMNS", None)
        os.execv(sys.executable, [sys.executable, "-m", "memoria_cli", *words])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    shown, bytes_shown, began, before = b"", 0, 0.0, 0.0
    pressed = False
    while True:
        ready, _, _ = select.select([terminal], [], [], 0.05)
        try:
            piece = os.read(terminal, 65536) if ready else None
        except OSError:  # how Linux says that the other side has closed
            break
        if piece == b"":
            break
        if piece:
            shown = (shown + piece)[-4000:]
            if not began and b"\x1b[?1049h" in shown:
                began, before = time.monotonic(), _cpu(process)
            bytes_shown += len(piece) if began and not pressed else 0
        if began and not pressed and time.monotonic() - began >= seconds:
            wall, cpu = time.monotonic() - began, _cpu(process) - before
            os.write(terminal, b"q")
            pressed = True
    _, status, usage = os.wait4(process, 0)
    os.close(terminal)
    text = shown.decode("utf-8", "replace")
    if os.waitstatus_to_exitcode(status):
        raise WatchError(text.splitlines()[-1])
    if not pressed:  # it came to its end
        wall, cpu = time.monotonic() - began, usage.ru_utime + usage.ru_stime - before
    told = _json_of(text)
    return {
        "seconds": wall,
        "steps": told["steps"],
        "frames": told["frames"],
        "frames_a_second": told["frames"] / wall,
        "share_of_a_core": cpu / wall,
        "bytes_a_second": bytes_shown / wall,
        "peak_bytes": usage.ru_maxrss * 1024,
    }


def _json_of(text: str) -> dict[str, Any]:
    """The document that ends what a command showed."""
    told: dict[str, Any] = json.loads(text[text.rindex('{"from"') :])
    return told


def _cpu(process: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _tables(document: dict[str, Any]) -> list[TableOf]:
    columns = ("terminal", "steps/s", "seconds", "steps", "frames/s", "share of a core", "kB/s")
    rows = [
        [
            f"{one['columns']} x {one['lines']}",
            one["steps_a_second"],
            one["seconds"],
            one["steps"],
            one["frames_a_second"],
            one["share_of_a_core"],
            one["bytes_a_second"] / 1000,
        ]
        for one in document["replay"]
    ]
    store = document["store"]
    title = f"replay --watch of {store['steps']:,} steps, {store['engrams_alive']:,} engrams alive"
    return [(title, columns, rows)]
