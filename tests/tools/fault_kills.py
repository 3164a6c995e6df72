"""Real `memoria step` processes killed at work, while others open and check the store.

A nursery, a process that has imported everything, forks the processes, so that each is at work at
once. What a process acknowledges is what it has written to a file after a commit returned. Run as
a script, this module is the nursery.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from cli_tools import environment
from fault_operations import State
from fault_runs import Tally
from spec_reader import SpecReader

from memoria.chunkstore.files import StoreFiles
from memoria.errors import MemoriaError
from memoria.store import MemoryStore
from memoria_cli.app import VERBS

KILLS_OF_A_STORE = 50
STEPS_OF_A_KILL = 7  # at most
READERS = 2
_INIT = ("--hidden-dim", 4, "--backbone", "array", "--wm-length", 2, "--initial-lifespan", 5)
_MORE = ("--num-reminded-stm", 2, "--stm-capacity", 6, "--num-final-ltms", 3)


class Nursery:
    """Forks processes and waits for them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, kind: str, *arguments: object) -> int:
        """The id of a new process."""
        return int(self._ask(["start", kind, *map(str, arguments)]))

    def end(self, process: int, how: signal.Signals | None = None) -> int:
        """Its exit code (below 0: the signal), after sending it ``how``."""
        if how is not None:
            os.kill(process, how)  # it is there until it has been waited for
        return int(self._ask(["wait", str(process)]))

    def _ask(self, words: list[str]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(words), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@contextmanager
def nursery(**variables: str) -> Iterator[Nursery]:
    """It ends with the block; its processes must have been waited for."""
    command = [sys.executable, str(Path(__file__).resolve())]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env=environment(**variables)
    ) as made:
        yield Nursery(made)


def kills(folder: Path, count: int, seed: int = 0) -> Tally:
    """Kill ``count`` processes at work, on a new store after every 50."""
    tally, rng = Tally("kill -9 of `memoria step`, with live readers"), random.Random(seed)
    steps = STEPS_OF_A_KILL * min(count, KILLS_OF_A_STORE)
    rows = np.random.default_rng(0).random((2 * steps, 4), dtype=np.float32)
    np.save(folder / "input.npy", rows)
    with nursery() as made:
        expected = _unbroken(made, folder)
        for first in range(0, count, KILLS_OF_A_STORE):
            place = folder / f"round-{first}"
            place.mkdir()
            _round(made, place, min(KILLS_OF_A_STORE, count - first), rng, expected, tally)
    return tally


def _unbroken(made: Nursery, folder: Path) -> list[str]:
    """The digests after 0, 1, ... steps of a run that nothing disturbs."""
    path = folder / "unbroken"
    _run(made, "cli", folder / "said", "init", path, *_INIT, *_MORE)
    _run(made, "cli", folder / "said", "step", path, folder / "input.npy")
    digests = [one.hex() for one in SpecReader(path).digests()]
    (folder / "digests.json").write_text(json.dumps(digests))
    return digests


def _run(made: Nursery, *words: object) -> None:
    code = made.end(made.start(*map(str, words)))
    assert code == 0, (words, code)


def _round(
    made: Nursery, place: Path, count: int, rng: random.Random, expected: list[str], tally: Tally
) -> None:
    path, said = place / "store", place / "said"
    _run(made, "cli", said, "init", path, *_INIT, *_MORE)
    digests = place.parent / "digests.json"
    notes = [place / f"reader-{number}" for number in range(READERS)]
    readers = [made.start("read", note, path, digests) for note in notes]
    killed = acknowledged = 0
    while killed < count:
        limit, wanted = rng.randint(1, STEPS_OF_A_KILL), rng.randint(0, STEPS_OF_A_KILL)
        every = rng.choice((0, 0, 0.01))
        words = ("step", path, place.parent / "input.npy", "--resume", "--limit", limit)
        said.unlink(missing_ok=True)
        process = made.start("cli", said, *words, "--commit-every", every)
        _wait_for(said, wanted, process)
        time.sleep(rng.uniform(0, 0.008) if wanted else rng.uniform(0, 0.05))
        code = made.end(process, signal.SIGKILL)
        acknowledged = max([acknowledged, *_acknowledged(said)])
        problem, kept = _look(path, expected)
        if code == 0:  # it was done before the signal came
            killed -= 1
            tally.tried -= 1
            tally.acknowledged -= acknowledged
        elif code != -signal.SIGKILL:
            tally.problems.append(f"ended by itself with {code}")
        killed += 1
        tally.tried += 1
        tally.acknowledged += acknowledged
        tally.lost += max(0, acknowledged - kept)
        if problem or kept < acknowledged:
            tally.problems.append(problem or f"{acknowledged} acknowledged, {kept} there")
        acknowledged = kept
    if SpecReader(path).digest() != expected[acknowledged]:
        tally.problems.append("a recount of everything comes to another digest")
    for reader, note in zip(readers, notes, strict=True):
        made.end(reader, signal.SIGTERM)
        checks, problem = json.loads(note.read_text())
        if problem or not checks:
            tally.problems.append(f"a live reader, after {checks} checks: {problem}")


def _wait_for(said: Path, wanted: int, process: int) -> None:
    """Until it has acknowledged so many commits, or is done."""
    for _ in range(60_000):
        text = said.read_text() if said.exists() else ""
        if "done" in text or text.count("\n") >= wanted:
            return
        time.sleep(0.001)
    raise TimeoutError(f"process {process} is stuck")


def _acknowledged(said: Path) -> list[int]:
    lines = said.read_text().split("\n")[:-1] if said.exists() else []
    return [int(line) for line in lines if line.isdigit()]


def _look(path: Path, expected: Sequence[str]) -> tuple[str, int]:
    """(what is wrong, finished steps): every row is read, the digest is that of those steps."""
    try:
        with MemoryStore.open(path) as store:
            step, digest, phase = store.timestep, store.digest(), store.phase
        files = StoreFiles.open(path)
        for name in files.names():
            files.read(name)
        files.close()
    except MemoriaError as error:
        return str(error), 0
    if phase != "idle" or digest != expected[step]:
        return f"step {step} ({phase}) has digest {digest}", step
    return "", step


# What follows runs in the nursery and its children.


def _command_line(said: str, *arguments: str) -> int:
    """`memoria ARGUMENTS`; every commit that returned is noted in the file ``said``."""
    from memoria_cli.__main__ import main

    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(f"{said}.stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    commit = StoreFiles.commit

    def noted(self: StoreFiles, attributes: Any = None) -> None:
        commit(self, attributes)
        os.write(out, f"{self.attributes['step']}\n".encode())

    StoreFiles.commit = noted  # type: ignore[method-assign]
    code = main(arguments)
    os.write(out, b"done\n")
    return code


def _read(note: str, path: str, digests: str) -> int:
    """Check the store again and again until the end; what was found is in the file ``note``."""
    expected: list[str] = json.loads(Path(digests).read_text())
    checks, latest, problem = 0, 0, ""
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
    while not ending:
        found, step = _look(Path(path), expected)
        with suppress(FileNotFoundError):  # of a plain reader that knows nothing of leases
            reader = SpecReader(Path(path))
            if reader.digest() != expected[len(reader.steps)]:
                found = found or f"a recount at step {len(reader.steps)} differs"
        if step < latest:
            found = found or f"step {latest} was seen, and then step {step}"
        checks, latest, problem = checks + 1, max(step, latest), problem or found
        time.sleep(0.4)  # two readers must not keep the writer from its work
    Path(note).write_text(json.dumps([checks, problem]))
    return 0


def _limited(bytes_: str, said: str, *arguments: str) -> int:
    """`_command_line` in a process that may not write files of more bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(bytes_), int(bytes_)))
    return _command_line(said, *arguments)


def _verb(said: str, folder: str, at: str, error: str, flags: str, stops: str, lines: str) -> int:
    """Command lines in ``folder`` under the shim; ``stops``: wait for a signal at each commit."""
    from memoria_cli.__main__ import main

    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(f"{said}.stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    commit = StoreFiles.commit

    def noted(self: StoreFiles, attributes: Any = None) -> None:
        commit(self, attributes)
        os.write(out, b"commit\n")
        if int(stops):
            os.kill(os.getpid(), signal.SIGSTOP)

    StoreFiles.commit = noted  # type: ignore[method-assign]
    os.chdir(folder)
    shim = ctypes.CDLL(None)
    shim.faults_done.restype = ctypes.c_long
    shim.faults_arm(folder.encode(), ctypes.c_long(int(at)), int(error), int(flags))
    code = 0
    for line in json.loads(lines):
        code = code or main(line)
    sys.stderr.flush()
    os.write(out, f"done {shim.faults_done()}\n".encode())
    return code


def _watch(note: str, folder: str, moment: str, states: str) -> int:
    """See the states of ``folder`` until the end; what was not of ``states`` is in ``note``."""
    known = [tuple(map(_as_key, one)) for one in json.loads(Path(states).read_text())]
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
    checks, latest, before = 0, 0, b""
    problems: list[str] = []
    while not ending:
        time.sleep(0.002)
        with open(moment, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            begun = lock.read()
            if not begun or int(begun) % 2:  # the harness changes the folder
                continue
            problem, at = "", 0
            try:
                found = State.of(Path(folder), outputs=True).contents
                at = known.index(tuple(map(_as_key, found)))
            except ValueError:
                problem = "a state that was never committed"
            except (MemoriaError, OSError) as error:
                problem = str(error)
        latest = latest if begun == before else 0
        if not problem and at < latest:
            problem = "back to an older state"
        checks, latest, before = checks + 1, max(at, latest), begun
        problems += [problem] if problem else []
    Path(note).write_text(json.dumps([checks, problems[:5]]))
    return 0


def _as_key(content: Any) -> Any:
    return tuple(content) if isinstance(content, list) else content


def _hold(ready: str, path: str) -> int:
    """Hold the writer's lock until the end; the file ``ready`` tells when."""
    with MemoryStore.open(path, "r+"):
        Path(ready).touch()
        signal.pause()
    return 0


def _serve() -> None:
    for name in {*(verb.place.partition(":")[0] for verb in VERBS.values())} - {"study.experiment"}:
        import_module(f"memoria_cli.{name}")  # so that no child has to
    import_module("memoria.backbones.streams")
    work: dict[str, Callable[..., int]] = {
        "cli": _command_line,
        "limited": _limited,
        "read": _read,
        "hold": _hold,
        "verb": _verb,
        "watch": _watch,
    }
    for line in sys.stdin:
        verb, *words = json.loads(line)
        if verb == "wait":
            answer = os.waitstatus_to_exitcode(os.waitpid(int(words[0]), 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                code = 70
                try:
                    silent = os.open(os.devnull, os.O_RDWR)
                    for stream in (0, 1):  # the harness's questions and answers are not its own
                        os.dup2(silent, stream)
                    code = work[words[0]](*words[1:])
                finally:
                    os._exit(code)
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
