"""Faults of disks, power, processes, clocks and locks, and the steps that were lost by them.

The harness is that of the tests (tests/tools/fault_*.py). A step counts as acknowledged in every
try that struck after its commit had returned; it is lost when the store opened afterwards, by a
reader or by the next writer, does not hold it.
"""

from __future__ import annotations

import argparse
import errno
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.options import parser
from benchmarks.processes import ROOT, scratch
from benchmarks.results import finish, say, start

sys.path.insert(0, str(ROOT / "tests" / "tools"))

NAME = "faults"
Fault = tuple[str, str, Callable[[Path], Any]]  # title, how, the run


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--directory", type=Path, help="the disk of the killed processes")
    made.add_argument("--only", help="faults with one of these words in their name: kill,lock")
    made.add_argument("--kills", type=int, help="processes killed (default 1000)")
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    import torch

    arguments = options().parse_args(words)
    if arguments.kills is None:
        arguments.kills = 10 if arguments.quick else 1000
    torch.set_num_threads(arguments.threads)
    document = start(arguments)
    rows = []
    with ExitStack() as stack:
        for title, how, run in _faults(arguments, stack):
            if not any(word in title for word in (arguments.only or title).split(",")):
                continue
            say(title)
            started = time.perf_counter()
            row: dict[str, Any] = {"fault": title, "how": how}
            try:
                tally = run(stack.enter_context(scratch(arguments.directory)))
            except _skipped() as error:
                rows.append({**row, "skipped": str(error)})
                continue
            row |= {"tried": tally.tried, "acknowledged": tally.acknowledged, "lost": tally.lost}
            row |= {"problems": tally.problems, "seconds": time.perf_counter() - started}
            rows.append(row)
    document["faults"] = rows
    columns = ("fault", "times tried", "steps acknowledged", "steps lost", "problems")
    cells = [
        [
            row["fault"],
            row.get("tried"),
            row.get("acknowledged"),
            row.get("lost"),
            len(row["problems"]) if "problems" in row else row["skipped"],
        ]
        for row in rows
    ]
    finish(NAME, arguments, document, [("faults", columns, cells)])
    print(_markdown(rows))
    return document


def _skipped() -> type[Exception]:
    from fault_places import NoMountError

    return NoMountError


def _faults(arguments: argparse.Namespace, stack: ExitStack) -> list[Fault]:
    import fault_places
    from fault_kills import kills, nursery
    from fault_operations import OPERATIONS
    from fault_runs import Recording, Tally, disk_errors, power_loss, readers_at_every_instant

    quick = bool(arguments.quick)
    operations = [OPERATIONS["init"], OPERATIONS["step"]] if quick else [*OPERATIONS.values()]
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory)))
    recordings = []
    for operation in operations:
        place = folder / operation.name.replace(" ", "-")
        place.mkdir()
        recordings.append(Recording.of(operation, place))
    made = stack.enter_context(nursery())

    def over_all(run: Callable[[Recording, Path], Tally]) -> Callable[[Path], Tally]:
        def through(_: Path) -> Tally:
            total = Tally("")
            for recording in recordings:
                total += run(recording, folder / "again")
            return total

        return through

    def failing(code: int, lasting: bool) -> Callable[[Path], Tally]:
        every = 10 if quick else 1 if code == errno.EIO else 4
        return over_all(lambda one, place: disk_errors(one, place, code, lasting, every))

    def reading(one: Recording, place: Path) -> Tally:
        total = readers_at_every_instant(one, place, held=False)
        if one.operation.name != "init":
            shutil.rmtree(place, ignore_errors=True)
            total += readers_at_every_instant(one, place, held=True)
        return total

    names = ", ".join(operation.name for operation in operations)
    ways = (0.0, 0.6) if quick else (0.0, 0.5, 0.9, 1.0)
    step_on = 10 if quick else 5  # how many of those found take a next step, too
    return [
        (
            "power loss",
            f"every prefix of what {names} did to the disk, un-fsynced parts lost in several ways",
            over_all(lambda one, at: power_loss(one, at, survivals=ways, step_on=step_on)),
        ),
        ("EIO", f"each disk operation of {names} in turn", failing(errno.EIO, False)),
        ("ENOSPC", "every 4th of them", failing(errno.ENOSPC, False)),
        ("ENOSPC from then on", "every 4th, and all later ones", failing(errno.ENOSPC, True)),
        ("EROFS from then on", "every 4th, and all later ones", failing(errno.EROFS, True)),
        ("full tmpfs", "steps with less and less of it free", fault_places.full_disk),
        (
            "file size limit",
            "`memoria step` in processes that may write no large files",
            lambda place: fault_places.size_limit(made, place),
        ),
        ("read-only mount", "verbs that read and verbs that write", fault_places.read_only),
        (
            "kill -9",
            "`memoria step` at work, with two live readers",
            lambda place: kills(place, arguments.kills),
        ),
        ("reader at any instant", f"between any two disk operations of {names}", over_all(reading)),
        ("clock jumps", "back before 1970 and 200 years ahead", fault_places.clock_jumps),
        (
            "lock of a dead process",
            "a holder killed, its note left behind",
            lambda place: fault_places.dead_holders(made, place),
        ),
        ("lock of another host", "its note with and without the lock", fault_places.other_hosts),
    ]


def _markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| fault | how | times tried | steps acknowledged | steps lost |"]
    lines.append("|---|---|---|---|---|")
    for row in rows:
        if "skipped" not in row:
            numbers = " | ".join(f"{row[key]:,}" for key in ("tried", "acknowledged", "lost"))
            lines.append(f"| {row['fault']} | {row['how']} | {numbers} |")
    return "\n".join(lines)
