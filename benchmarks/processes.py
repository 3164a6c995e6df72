"""Processes that are measured: commands, and jobs under our package or memoria-pytorch."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
UPSTREAM = "memoria-pytorch==1.1.0"
_HARNESS = Path(__file__).resolve().parent / "harness"
_GRACE = 120.0  # seconds that a process may take beyond its own limit
_UNLIKE_A_USER = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")  # an installed package is compiled


# A small process between, since a child's peak memory is at least what its parent held.
_LAUNCHER = """
import json, os, sys, time
line = [sys.executable, *sys.argv[2:]]
began = time.perf_counter()
child = os.posix_spawn(sys.executable, line, os.environ)
_, status, used = os.wait4(child, 0)
told = time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss
os.write(int(sys.argv[1]), json.dumps([*told, os.waitstatus_to_exitcode(status)]).encode())
"""


class HarnessError(Exception):
    """A measuring process failed; the message is its last word."""


class CommandError(Exception):
    """A command failed; the message is what it said."""


@contextmanager
def scratch(directory: Path | None = None) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="memoria-bench-", dir=directory) as folder:
        yield Path(folder)


def command(*words: str) -> tuple[dict[str, float], bytes]:
    """Run ``memoria WORDS`` as a process; (wall and processor seconds, peak bytes), its output."""
    return process("-m", "memoria_cli", *words)


def process(*words: str) -> tuple[dict[str, float], bytes]:
    """Run this Python with ``words``; see `command`. Raises `CommandError`."""
    variables = _environment() | {"PYTHONPATH": str(ROOT)}
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(writing), *words],
            stdout=out,
            stderr=err,
            env=variables,
            pass_fds=(writing,),
            check=True,
        )
        os.close(writing)
        with os.fdopen(reading) as told:
            seconds, processor, peak, code = json.loads(told.read())
        out.seek(0)
        err.seek(0)
        if code:
            said = last_line(err.read().decode("utf-8", "replace"))
            raise CommandError(f"{' '.join(words[:4])}: {said}")
        unit = 1 if sys.platform == "darwin" else 1024
        spent = {"seconds": seconds, "processor_seconds": processor, "peak_bytes": peak * unit}
        return spent, out.read()


class Upstream:
    """How the authors' package is run, or why it is not there."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._python: str | None = None
        self._path: str | None = None
        self.about = self._find(arguments)

    @property
    def is_there(self) -> bool:
        return self._python is not None

    def run(
        self, script: str, job: Mapping[str, Any], limit: float, grace: float = _GRACE
    ) -> dict[str, Any]:
        """As `harness`, under the authors' package."""
        assert self._python is not None
        return _answer(script, job, self._python, self._environment(), limit + grace)

    def _find(self, arguments: argparse.Namespace) -> str:
        if arguments.no_upstream:
            return "left out (--no-upstream)"
        self._path = arguments.upstream_path
        python = arguments.upstream_python or (sys.executable if self._path else None)
        where = "import memoria; print(memoria.__file__)"
        try:
            python = python or _made_upstream()
            version = "import importlib.metadata as m; print(m.version('memoria-pytorch'))"
            said = subprocess.run(
                [python, "-c", f"{where}; {version}"],
                capture_output=True,
                text=True,
                check=True,
                cwd=_HARNESS,
                env=self._environment(),
            ).stdout.split("\n")
        except (OSError, subprocess.CalledProcessError, HarnessError) as error:
            return f"not available: {last_line(getattr(error, 'stderr', None) or str(error))}"
        if Path(said[0]).is_relative_to(ROOT / "memoria"):
            return "not available: this Python imports our memoria"
        self._python = python
        return f"memoria-pytorch {said[1]}"

    def _environment(self) -> dict[str, str]:
        return _environment() | ({"PYTHONPATH": self._path} if self._path else {})


def harness(
    script: str, job: Mapping[str, Any], limit: float = 3600.0, grace: float = _GRACE
) -> dict[str, Any]:
    """Run one job of ``harness/SCRIPT`` in a process of its own, with our package.

    Raises `HarnessError`; a process that takes ``limit`` and ``grace`` seconds is stopped.
    """
    variables = _environment() | {"PYTHONPATH": str(ROOT)}
    return _answer(script, job, sys.executable, variables, limit + grace)


def elsewhere(script: str, job: Mapping[str, Any], python: str, limit: float) -> dict[str, Any]:
    """As `harness`, under another Python, which does not see our package."""
    return _answer(script, job, python, _environment(), limit + _GRACE)


def made_environment(name: str, packages: Sequence[str]) -> str:
    """The Python of a virtual environment with ``packages``, made when it is not there.

    Raises `HarnessError` where they cannot be installed.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(tempfile.gettempdir(), "memoria-bench")
    place = Path(cache) / f"memoria-{name}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        print(f"making a virtual environment with {', '.join(packages)}", file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        line = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", *packages]
        try:
            subprocess.run(line, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise HarnessError(last_line(error.stderr) or f"pip: {error.returncode}") from None
        (place / "complete").touch()
    return str(python)


def _environment() -> dict[str, str]:
    """The variables of this process, without those that change what is measured."""
    return {key: value for key, value in os.environ.items() if key not in _UNLIKE_A_USER}


def _answer(
    script: str, job: Mapping[str, Any], python: str, variables: Mapping[str, str], timeout: float
) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [python, str(_HARNESS / script)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=_HARNESS,
            env=variables,
        )
    except subprocess.TimeoutExpired:
        raise HarnessError(f"took more than {timeout:.0f} s") from None
    except OSError as error:
        raise HarnessError(str(error)) from None
    if done.returncode:
        raise HarnessError(last_line(done.stderr) or f"ended with code {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _made_upstream() -> str:
    """The Python of a virtual environment with the authors' package."""
    import torch

    torch_version = torch.__version__.partition("+")[0]
    packages = [f"torch=={torch_version}", "numpy", UPSTREAM]
    return made_environment(f"upstream-1.1.0-torch-{torch_version}", packages)


def last_line(text: str) -> str:
    """The last line that says something, without folders."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].replace(str(ROOT), ".") if lines else ""
