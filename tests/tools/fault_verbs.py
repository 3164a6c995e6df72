"""Every verb that writes, as a command line, and what happens when it fails or dies at work.

A shim between Python and the C library (`fault_shim.c`) counts the operations of a process on the
files of one folder, and lets the k-th of them fail, or kills the process there. So it reaches all
that is written: stores, outputs, indexes, the notes of locks.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fault_kills import Nursery, nursery
from fault_operations import CONFIG, State, goes_on, step
from fault_runs import Tally

from memoria.errors import MemoriaError
from memoria.store import MemoryStore

Line = tuple[str, ...]
KILL = 0
A_TIME = 4  # operations of one verb, before another's turn
GOES_ON = 4  # of so many tries one has to verify and to take its next step
SHIM = Path(__file__).with_name("fault_shim.c")
_LASTING, _FREEING = 2, 4  # flags of the shim
_PROGRESS = re.compile(r"^\w+: \d+( of \d+)? \w+(, about .* left)?\n", re.MULTILINE)
_SECONDS = 60.0  # after which a command hangs
_TEXT = "Bees fly. Ada sings. A clock ran. It rained. The moon is full. Nora was late.\n"


@dataclass(frozen=True)
class Verb:
    """Command lines run one after another in a folder where ``before`` have been run."""

    lines: tuple[Line, ...]
    before: tuple[Line, ...] = ()
    code: int = 0  # of the last line, undisturbed


def _one(*line: str, before: tuple[Line, ...] = ()) -> Verb:
    return Verb((line,), before)


_NAMED: tuple[Line, ...] = (
    ("snapshot", "create", "store", "named"),
    ("step", "store", "b.txt", "b.txt"),
)
_ADDED: tuple[Line, ...] = (("add", "store", "--text", "An owl.", "--text", "A fox."),)
_FORGOT: tuple[Line, ...] = (("forget", "store", "22", "23", "--yes"),)

VERBS: dict[str, Verb] = {
    "init": _one("init", "new", "--backbone", "array", "--hidden-dim", "4", "--lanes", "2"),
    "add": Verb(_ADDED),
    "remind": _one("remind", "store", "-o", "out.npz", before=_ADDED),
    "adjust": _one("adjust", "store", "--delta", "1", before=(*_ADDED, ("remind", "store"))),
    "step": _one("step", "store", "a.txt", "b.txt", "--commit-every", "0"),
    "step --resume": _one("step", "store", "a.txt", "a.txt", "--resume"),
    "step --sync": _one(
        *("step", "new", "b.txt", "--sync", "--commit-every", "0"),
        before=(
            ("init", "new", "--backbone", "hash", "--hidden-dim", "8"),
            ("step", "new", "a.txt", "--sync"),
        ),
    ),
    "ask --learn": _one("ask", "store", "Who sings?", "--learn"),
    "used": _one("used", "store", "20", "--question", "Who sings?"),
    "edit": _one("edit", "store", "20", "--text", "Bees swim.", "--meta", "by=hand"),
    "undo": _one("undo", "store", "--yes", before=(("edit", "store", "20", "--text", "Bees."),)),
    "pin": _one("pin", "store", "20", "21"),
    "unpin": _one("unpin", "store", "20", before=(("pin", "store", "20"),)),
    "forget": Verb(_FORGOT),
    "forget --erase": _one("forget", "store", "22", "23", "--erase", "--yes"),
    "snapshot create": _one("snapshot", "create", "store", "named", "--note", "a note"),
    "snapshot delete": _one("snapshot", "delete", "store", "named", "--yes", before=_NAMED),
    "snapshot restore": _one("snapshot", "restore", "store", "named", "--yes", before=_NAMED),
    "snapshot restore -o": _one(
        "snapshot", "restore", "store", "named", "-o", "new", before=_NAMED
    ),
    "compact": _one("compact", "store", "--yes", before=(*_NAMED, *_FORGOT)),
    "config set": _one("config", "set", "store", "notes=mine"),
    "verify --repair": Verb((("verify", "damaged", "--repair", "-o", "new"),), code=3),
    "export .zip": _one("export", "store", "out.memoria.zip"),
    "export .jsonl --force": _one(
        "export", "store", "out.jsonl", "--force", before=(("export", "store@2", "out.jsonl"),)
    ),
    "export parquet": _one("export", "store", "out", "--format", "parquet"),
    "export zarr": _one("export", "store", "new", "--format", "zarr"),
    "import": _one(
        "import", "in.memoria.zip", "new", before=(("export", "store", "in.memoria.zip"),)
    ),
    "replay --set": _one("replay", "store", "--set", "num_final_ltms=1", "-o", "new"),
    "replay --sample": _one("replay", "store", "--sample", "3", "-o", "out.npz"),
    "plot": _one("plot", "store", "sizes", "-o", "out.csv"),
    "report": _one("report", "store", "-o", "out.html"),
    "encode": _one("encode", "a.txt", "--backbone", "hash", "-o", "out.npy"),
}
# The other verbs, and why no table of writes has them: `pull`, `push`, `serve` and `mcp` speak to
# others (their own tests interrupt them), `experiment` and `demo` write studies, the rest reads.
OTHERS = frozenset("pull push serve mcp experiment demo inspect list diff".split())


def prepare(verb: Verb, folder: Path) -> None:
    """The folder before the verb: a memory of some steps and two texts."""
    config = CONFIG.replace(backbone="hash", hidden_dim=8)
    with MemoryStore.create(folder / "store", config) as store:
        for _ in range(6):
            step(store)
    (folder / "a.txt").write_text(_TEXT)
    (folder / "b.txt").write_text(_TEXT.swapcase())
    for line in verb.before:
        if code := run_here(folder, line):
            raise AssertionError((line, code))
    if verb.code == 3:
        (folder / "store").rename(folder / "damaged")
        file = folder / "damaged" / "vectors" / "c.0.0"
        raw = bytearray(file.read_bytes())
        raw[-40] ^= 1
        file.write_bytes(raw)


def run_here(folder: Path, line: Line) -> int:
    """The exit code of a command line, run in this process in the folder."""
    from fuzzing.judge import command_line

    before = Path.cwd()
    os.chdir(folder)
    try:
        return command_line(line)[0]
    finally:
        os.chdir(before)


@dataclass
class Undisturbed:
    """A verb without faults: the folder before it, every state it commits, its operations."""

    name: str
    base: Path
    states: list[State]
    operations: int
    code: int


class Bench:
    """Runs verbs in ``folder``, always in the same place: a store keeps paths."""

    def __init__(self, made: Nursery, folder: Path) -> None:
        self.made, self._folder = made, folder
        self.place = folder / "at-work"
        self._moment = folder / "moment"  # of the place; odd while the harness changes it
        self._moment.write_text("1")
        self._known: dict[str, Undisturbed] = {}

    def undisturbed(self, name: str) -> Undisturbed:
        if name not in self._known:
            base = self._folder / f"base-{name.replace(' ', '-')}"
            self._open(False)
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir()
            prepare(VERBS[name], self.place)
            shutil.copytree(self.place, base, symlinks=True)
            states = [_state(self.place)]
            code, done, said = self._run(name, -1, KILL, 0, pausing=states)
            shutil.rmtree(self.place)
            found = Undisturbed(name, base, states, done, code)
            if code != VERBS[name].code:
                raise AssertionError((name, code, said))
            self._known[name] = found
        return self._known[name]

    def fail(self, name: str, at: int, code: int, lasting: bool, tally: Tally) -> None:
        """Let operation ``at`` of the verb fail with ``code``; `KILL` ends the process there."""
        one = self.undisturbed(name)
        self._open(False)
        self._renew(one.base)
        self._open(True)
        flags = (_LASTING if lasting else 1) | (_FREEING if code == errno.EIO else 0)
        ended, _, said = self._run(name, at, code, flags)
        where = f"{name}, operation {at}"
        acknowledged = said["commits"]
        found: State | str
        try:
            found = _state(self.place)
            if tally.tried % GOES_ON == 0:
                self._open(False)
                goes_on(self.place)
        except (MemoriaError, AssertionError, OSError) as error:
            found = str(error) or repr(error)
        # One that ended well has done all of it, one that said no has left no part of its output.
        # A slow machine may commit more often than the undisturbed run did.
        first = max(0, min(acknowledged, len(one.states) - 2))
        allowed = one.states[first : first + 2]
        if ended == one.code:  # readers save a writer some operations: it may not come that far
            allowed = one.states[-1:]
        tally.count(found, allowed, where)
        if code == KILL and ended == -signal.SIGKILL:
            return
        told = _PROGRESS.sub("", said["stderr"])
        if ended != one.code and (ended not in (1, 3) or told.count("\n") != 1):
            tally.problems.append(f"{where}: exit code {ended}: {told[-300:]}")
        if "Traceback" in told or "unexpected" in told:
            tally.problems.append(f"{where}: {told[-300:]}")
        left = [p.name for p in self.place.iterdir() if p.name.endswith((".partial", ".old"))]
        if left and not lasting and code != errno.EIO:
            tally.problems.append(f"{where}: left over: {left}")

    @contextmanager
    def readers(self, name: str, tally: Tally, count: int = 2) -> Iterator[None]:
        """Live readers of the place meanwhile: each must see states of the verb, in their order."""
        states = self._folder / "states.json"
        states.write_text(json.dumps([[*one.contents] for one in self.undisturbed(name).states]))
        notes = [self._folder / f"reader-{number}" for number in range(count)]
        words = [(note, self.place, self._moment, states) for note in notes]
        readers = [self.made.start("watch", *one) for one in words]
        try:
            yield
        finally:
            for reader, note in zip(readers, notes, strict=True):
                self.made.end(reader, signal.SIGTERM)
                checks, problems = json.loads(note.read_text())
                tally.readings += checks
                tally.problems += [f"{name}, a live reader: {one}" for one in problems]

    def _open(self, is_open: bool) -> None:
        """Let live readers look at the place, or keep them out."""
        number = int(self._moment.read_text())
        if (number % 2 == 0) != is_open:
            self._moment.write_text(str(number + 1))
        with open(self._moment, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # those that look now have shared it

    def _renew(self, base: Path) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(base, self.place, symlinks=True)

    def _run(
        self, name: str, at: int, code: int, flags: int, pausing: list[State] | None = None
    ) -> tuple[int, int, dict[str, Any]]:
        """(exit code, operations, what it said); ``pausing`` gets the state after each commit."""
        note = self._folder / "said"
        note.unlink(missing_ok=True)
        lines = json.dumps(VERBS[name].lines)
        process = self.made.start(
            "verb", note, self.place, at, code, flags, int(pausing is not None), lines
        )
        seen = 0
        while pausing is not None:  # it stops itself after each commit
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z":
                break
            commits = len(_lines(note, "commit"))
            if state == "T" and commits > seen:
                seen = commits
                pausing.append(_state(self.place))
                os.kill(process, signal.SIGCONT)
            time.sleep(0.001)
        ended = self.made.end(process)
        if pausing is not None and (last := _state(self.place)) != pausing[-1]:
            pausing.append(last)  # outputs, which no commit makes
        done = [int(line.split()[1]) for line in _lines(note, "done")]
        problems = Path(f"{note}.stderr")
        said = {"commits": len(_lines(note, "commit")), "stderr": problems.read_text()}
        return ended, done[0] if done else 0, said


def _lines(note: Path, word: str) -> list[str]:
    text = note.read_text() if note.exists() else ""
    return [line for line in text.split("\n")[:-1] if line.startswith(word)]


def _state(folder: Path) -> State:
    return State.of(folder, outputs=True)


@cache
def built_shim() -> Path | None:
    """The compiled shim; None where there is no compiler, or a loader that takes none."""
    if os.uname().sysname != "Linux" or shutil.which("cc") is None:
        return None
    out = Path(tempfile.mkdtemp(prefix="memoria-shim-")) / "shim.so"
    words = ["cc", "-shared", "-fPIC", "-O1", "-o", str(out), str(SHIM), "-ldl"]
    return out if subprocess.run(words, capture_output=True).returncode == 0 else None


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A bench in the new folder; `RuntimeError` where the shim cannot be built."""
    shim = built_shim()
    if shim is None:
        raise RuntimeError("no compiler, or no Linux")
    with nursery(LD_PRELOAD=str(shim)) as made:
        yield Bench(made, folder)


Until = Callable[[], bool]


def verb_faults(
    work: Bench,
    code: int,
    lasting: bool,
    rng: random.Random,
    is_over: Until,
    names: Sequence[str] | None = None,
    most: int = 10**9,
) -> Tally:
    """Operations of the verbs, in random order: all, if ``is_over`` and ``most`` allow."""
    kind = "killed" if code == KILL else errno.errorcode[code]
    tally = Tally(f"{kind}{' from then on' if lasting else ''}: every verb")
    turns = sorted(VERBS) if names is None else [*names]
    rng.shuffle(turns)
    left: dict[str, list[int]] = {}
    tally.possible = 0
    while turns and not is_over() and tally.tried < most:
        name = turns.pop(0)
        if name not in left:
            left[name] = [*range(work.undisturbed(name).operations)]
            tally.possible += len(left[name])
            rng.shuffle(left[name])
        some, left[name] = left[name][:A_TIME], left[name][A_TIME:]
        with work.readers(name, tally) if code == KILL else nullcontext():
            for at in some:
                if not is_over():
                    work.fail(name, at, code, lasting, tally)
        turns += [name] if left[name] else []
    return tally
