"""Break things under every verb that writes, and count what was lost: `python -m tests.faults`.

    python -m tests.faults --quick           a little of everything, in about 15 seconds
    python -m tests.faults --hours 0.25      as much of everything as that allows
    python -m tests.faults --only kill       the faults with this word in their names

What can be counted (every operation, every prefix, every byte) is tried in random order without
repetition until the time of its fault is over; `of` says how many there are. A step counts as
acknowledged in every try that struck after its commit had returned, and is lost when the store
opened afterwards does not hold it. Exit code 1 if anything was lost or went wrong.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import fault_places
import fault_power
from fault_bytes import flips
from fault_kills import Nursery, kills
from fault_operations import OPERATIONS
from fault_runs import Recording, Tally, disk_errors, readers_at_every_instant
from fault_verbs import KILL, Bench, Until, bench, verb_faults
from fuzzing import guarded

QUICK_VERBS = ("edit", "undo", "compact", "export .zip")
QUICK = 4  # tries of a fault with --quick


@dataclass(frozen=True)
class Fault:
    """``run`` gets a new folder and says when to stop; ``share`` is its part of the time."""

    name: str
    how: str
    share: float
    run: Callable[[Path, Until], Tally]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--hours", type=float, default=1.0, help="how long, about (default 1)")
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    parser.add_argument("--only", default="", help="words, one of which is in a fault's name: a,b")
    parser.add_argument("--seed", type=int, help="of the random order (default: another each time)")
    parser.add_argument("--out", type=Path, help="write the results here too, as JSON")
    asked = parser.parse_args(words)
    seed = random.SystemRandom().randrange(10**9) if asked.seed is None else asked.seed
    with ExitStack() as stack:
        tallies = [*_run(asked, seed, stack)]
    if asked.out is not None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        document = {"date": now, "seed": seed, "hours": asked.hours, "faults": tallies}
        asked.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    _say(markdown(tallies))
    problems = [problem for one in tallies for problem in one["problems"]]  # type: ignore[attr-defined]
    for problem in problems:
        _say(f"PROBLEM {problem}")
    return 1 if problems or any(one["lost"] for one in tallies) else 0


def _run(asked: argparse.Namespace, seed: int, stack: ExitStack) -> Iterator[dict[str, object]]:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-", dir=memory)))
    work = stack.enter_context(bench(_made(top / "bench")))
    chosen = [
        one
        for one in faults(asked.quick, random.Random(seed), work)
        if any(word in one.name for word in asked.only.split(","))
    ]
    shares = sum(one.share for one in chosen)
    for number, one in enumerate(chosen):
        begun = time.monotonic()
        end = begun + 3600 * asked.hours * one.share / shares
        row: dict[str, object] = {"fault": one.name, "how": one.how}
        try:
            tally = one.run(_made(top / f"fault-{number}"), lambda end=end: time.monotonic() > end)
        except fault_places.NoMountError as error:
            yield {**row, "lost": 0, "problems": [], "skipped": str(error)}
            continue
        row |= {"tried": tally.tried, "of": tally.possible, "readings": tally.readings}
        row |= {"acknowledged": tally.acknowledged, "lost": tally.lost}
        row |= {"problems": tally.problems, "seconds": round(time.monotonic() - begun, 1)}
        _say(f"{one.name}: {tally.tried} tried, {len(tally.problems)} problems")
        yield row


def faults(quick: bool, rng: random.Random, work: Bench) -> list[Fault]:
    """All of them; with ``quick`` few tries of each, whatever the time."""
    names = QUICK_VERBS if quick else None

    def of_verbs(code: int, lasting: bool = False) -> Callable[[Path, Until], Tally]:
        most = QUICK if quick else 10**9
        return lambda folder, over: verb_faults(work, code, lasting, rng, over, names, most)

    def of_recordings(
        run: Callable[[Recording, Path], Tally], only: Sequence[str] = ("step",)
    ) -> Callable[[Path, Until], Tally]:
        def through(folder: Path, over: Until) -> Tally:
            total, chosen = Tally(""), [*(only if quick else OPERATIONS)]
            rng.shuffle(chosen)
            for name in chosen:
                if not over():
                    recording = Recording.of(OPERATIONS[name], _made(folder / name))
                    total += run(recording, folder / "again")
            return total

        return through

    def fuzzed(kind: str) -> Callable[[Path, Until], Tally]:
        def through(folder: Path, over: Until) -> Tally:
            tally = Tally(kind)
            while not over():
                cases = 4 if quick else 200
                found = guarded.run(kind, rng.randrange(10**9), cases, 60)
                tally.tried += found["cases"]
                tally.problems += found["problems"]
                if quick:
                    break
            return tally

        return through

    def nursed(run: Callable[[Nursery, Path], Tally]) -> Callable[[Path, Until], Tally]:
        return lambda folder, over: run(work.made, folder)

    def killed(folder: Path, over: Until) -> Tally:
        total = Tally("")
        while not total.tried or not (over() or quick):
            total += kills(
                _made(folder / str(total.tried)), 3 if quick else 50, rng.getrandbits(30)
            )
        return total

    every = 80 if quick else 1
    found = [
        Fault(
            "kill -9 of every verb", "at its k-th operation, two live readers", 4, of_verbs(KILL)
        ),
        Fault("kill -9 of a stream", "`memoria step` at any time, two live readers", 2, killed),
        Fault("EIO", "at the k-th operation of every verb", 3, of_verbs(errno.EIO)),
        Fault("ENOSPC", "at the k-th operation of every verb", 2, of_verbs(errno.ENOSPC)),
        Fault("ENOSPC from then on", "from the k-th on", 2, of_verbs(errno.ENOSPC, lasting=True)),
        Fault(
            "read-only from then on",
            "EROFS from the k-th disk operation on",
            1,
            of_recordings(lambda one, at: disk_errors(one, at, errno.EROFS, True, every)),
        ),
        Fault(
            "power loss",
            "every prefix of the recorded writes of every verb, what was not fsynced lost or not",
            4,
            lambda folder, over: fault_power.losses(folder, rng, over, names and names[:1]),
        ),
        Fault(
            "power loss, control",
            "the same without a group of fsyncs: each of them must break something",
            1,
            lambda folder, over: fault_power.controls(folder, rng, over, 2 if quick else None),
        ),
        Fault(
            "reader at any instant",
            "between any two disk operations",
            1,
            of_recordings(
                lambda one, at: readers_at_every_instant(one, at, held=False), ("snapshot",)
            ),
        ),
        Fault("one byte flipped", "of the sample stores", 3, _flipped(quick, rng)),
        Fault("fuzzed stores", "roots and arrays, tampered with and sealed", 2, fuzzed("stores")),
        Fault("fuzzed archives", "zip files whose every field may lie", 2, fuzzed("lies")),
        Fault("fuzzed indexes", "the derived index of a store", 1, fuzzed("indexes")),
        Fault("fuzzed inputs", "texts, arrays and tables", 1, fuzzed("inputs")),
        Fault("full tmpfs", "less and less of it free", 0.5, _placed(fault_places.full_disk)),
        Fault("read-only mount", "readers and writers", 0.1, _placed(fault_places.read_only)),
        Fault("file size limit", "`ulimit -f`", 0.5, nursed(fault_places.size_limit)),
        Fault("clock jumps", "to 1950, 1970, 2226", 0.5, _placed(fault_places.clock_jumps)),
        Fault("lock of a dead process", "its note stays", 0.2, nursed(fault_places.dead_holders)),
        Fault("lock of another host", "its note", 0.2, _placed(fault_places.other_hosts)),
    ]
    slow = "full file clock lock read-only".split()  # and `fuzzed`, which tests/fuzz does as well
    slow += ["fuzzed stores", "fuzzed archives", "fuzzed inputs"]
    return [one for one in found if not (quick and one.name.startswith((*slow,)))]


def _placed(run: Callable[[Path], Tally]) -> Callable[[Path, Until], Tally]:
    return lambda folder, over: run(folder)


def _flipped(quick: bool, rng: random.Random) -> Callable[[Path, Until], Tally]:
    def through(folder: Path, over: Until) -> Tally:
        left = iter(range(5 * QUICK))
        return flips(folder, rng, (lambda: next(left, None) is None) if quick else over)

    return through


def markdown(rows: Sequence[dict[str, object]]) -> str:
    """The results as a table of Markdown."""
    lines = ["| fault | how | tried | of | steps acknowledged | steps lost | went wrong |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows:
        if "skipped" in row:
            lines.append(f"| {row['fault']} | skipped: {row['skipped']} | | | | | |")
            continue
        keys = ("tried", "of", "acknowledged", "lost")
        cells = ["" if row[key] in (None, "") else f"{row[key]:,}" for key in keys]
        if not row["acknowledged"]:
            cells[2:] = ["", ""]
        wrong = len(row["problems"])  # type: ignore[arg-type]
        lines.append(f"| {row['fault']} | {row['how']} | {' | '.join(cells)} | {wrong} |")
    return "\n".join(lines)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
