"""What must hold, whatever is done with hostile input: it works, or it fails in one line.

Also: within its time and memory, without a warning, and nothing else on the disk has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from memoria.errors import MemoriaError

CODES = (0, 1, 2, 3, 10, 11, 12, 130)
TELLING = ("verify", "list")  # verbs that print results and exit with 3, for damage
SECONDS = 20.0  # of one call; a hang is a finding
MEGABYTES = 1000  # of one call, above what was there before
ROOM = 3 << 30  # address space above what is there before
SLIPS = re.compile(r"unexpected \w+(Error|Exception)|Traceback|Warning")
CONTROLS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


class HangError(BaseException):
    """A call took too long. No ordinary handler may catch it."""


@dataclass
class Findings:
    """What did not hold, and how often what did."""

    problems: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    peak: int = 0  # MB above what was there before a call
    slowest: float = 0.0
    calls: int = 0
    cases: int = 0

    def count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


@dataclass
class Judge:
    """Runs calls and notes in ``findings`` what did not hold; ``case`` says where we are."""

    findings: Findings
    case: str = ""

    def call(self, what: str, function: Callable[[], Any]) -> Any:
        """The function's value; it may fail with an error of ours of one line."""

        def run() -> Any:
            try:
                value = function()
            except MemoriaError as error:
                self._outcome(type(error).__name__)
                if "\n" in str(error) or not str(error):
                    self.note(what, f"an error of several lines: {str(error)[:200]!r}")
                return None
            self._outcome("ok")
            return value

        return self._bounded(what, run)

    def command(self, *arguments: str, stdin: bytes = b"") -> int | None:
        """Run a command line in this process; its exit code."""
        what = "memoria " + " ".join(a if len(a) < 60 else a[:60] + "..." for a in arguments)

        def run() -> int:
            code, out, err = command_line(arguments, stdin)
            self._outcome(f"exit {code}")
            for problem in wrong_words(code, out, err, arguments):
                self.note(what, problem)
            return code

        return self._bounded(what, run)  # type: ignore[no-any-return]

    def note(self, what: str, problem: str) -> None:
        self.findings.problems.append(f"{self.case}\n    {what}: {problem}")
        said = self.findings.problems[-1].encode("ascii", "backslashreplace").decode()
        print(said, file=sys.stderr, flush=True)  # a crash loses the rest

    def _outcome(self, name: str) -> None:
        self.findings.count(name)

    def _bounded(self, what: str, run: Callable[[], Any]) -> Any:
        before, start = _reset_peak(), time.monotonic()
        value = None
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                with alarm(SECONDS):
                    value = run()
            except HangError:
                self.note(what, f"more than {SECONDS} seconds at {_place(sys.exc_info()[1])}")
            except Exception as error:
                self.note(what, f"{type(error).__name__}: {error} at {_place(error)}"[:400])
        for one in warned:
            if issubclass(one.category, (RuntimeWarning, UserWarning)):
                self.note(what, f"warns: {one.message} ({one.filename}:{one.lineno})"[:400])
        taken = (_peak() - before) >> 10
        found = self.findings
        found.calls += 1
        found.peak = max(found.peak, taken)
        found.slowest = max(found.slowest, time.monotonic() - start)
        if taken > MEGABYTES:
            self.note(what, f"took {taken} MB")
        return value


def command_line(arguments: Sequence[str], stdin: bytes = b"") -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command line run in this process."""
    from memoria_cli.__main__ import main

    streams = [io.TextIOWrapper(io.BytesIO(text), "utf-8") for text in (stdin, b"", b"")]
    patches = zip(("stdin", "stdout", "stderr"), streams, strict=True)
    with contextlib.ExitStack() as stack:
        for name, stream in patches:
            stack.enter_context(mock.patch.object(sys, name, stream))
        code = main(list(arguments))
    texts = []
    for stream in streams[1:]:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "surrogateescape"))  # type: ignore[attr-defined]
    return code, texts[0], texts[1]


def wrong_words(code: int, out: str, err: str, arguments: Sequence[str]) -> Iterator[str]:
    """What is wrong with an exit code and what was printed."""
    options = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    as_json = "--json" in options and not {"-h", "--help", "--version"} & {*options}
    if code not in CODES:
        yield f"exit code {code}"
    for name, text in (("stdout", out), ("stderr", err)):
        if (found := CONTROLS.search(text)) is not None:
            yield f"{name} holds {found[0]!r}: {text[max(0, found.start() - 40) :][:100]!r}"
    if SLIPS.search(err):
        yield f"stderr {err[:300]!r}"
    if arguments and arguments[0] in TELLING and code == 3 and out:
        return  # what was found so far is the result
    if code != 0 and (err.count("\n") != 1 or len(err) > 10_000):
        yield f"exit code {code} with {err.count(chr(10))} lines on stderr: {err[:300]!r}"
    if code != 0 and out:
        yield f"exit code {code} with results: {out[:200]!r}"
    if as_json and (code == 0 or err):
        try:
            json.loads(out if code == 0 else err, parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError) as error:
            yield f"no JSON: {error}: {(out if code == 0 else err)[:200]!r}"


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `HangError` in this thread when the block takes longer."""

    def ring(*_: Any) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def bound_memory() -> None:
    """No more address space than now and `ROOM`, so that a mistake cannot take the machine."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, hard))


def tree(folder: Path) -> dict[str, str]:
    """Everything below ``folder``, links and all, with a hash of its bytes; locks left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name in (".lock", ".lease"):
            continue
        if path.is_symlink():
            found[name] = "link " + os.readlink(path)
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "other"
    return found


def _reset_peak() -> int:
    """Forget the peak of resident memory; what there is now, in kB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


def _place(error: BaseException | None) -> str:
    """Where it was raised, the last places of ours."""
    frames = traceback.extract_tb(error.__traceback__ if error is not None else None)
    ours = [f for f in frames if "/memoria" in f.filename] or list(frames)
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(ours[-4:]))
