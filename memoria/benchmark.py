"""A short measurement of this machine and, on request, of a store: what ``memoria bench`` does.

Seconds are wall time. Nothing is asserted: other work on the machine shows in the numbers.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from memoria.errors import ConfigError, InputError, StorageError
from memoria.io.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoria.store import MemoryStore

__all__ = ["PARTS", "bench", "fsync_seconds", "machine", "timing"]

PARTS: Final = ("disk", "steps", "commit", "encode", "store")

_PACKAGES: Final = ("torch", "numpy", "numba", "zarr", "google-crc32c", "transformers")
_FSYNC_BYTES: Final = 65_536
_SETTING: Final[dict[str, Any]] = {  # the authors' language models
    "num_reminded_stm": 50,
    "stm_capacity": 400,
    "ltm_search_depth": 10,
    "num_final_ltms": 50,
}
_WORKING: Final = 50
_DIMENSION: Final = 768
_SIZES: Final = (1_000, 4_000)
_STEPS: Final = 20
_COMMITS: Final = 20
_TEXTS: Final = 1_000
_PEEKS: Final = 5


def bench(
    store: str | os.PathLike[str] | None = None,
    *,
    directory: str | os.PathLike[str] | None = None,
    parts: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure ``parts`` of `PARTS` (none named: all that apply); a document of plain values.

    ``directory`` is where the disk is measured (None: that of temporary files); nothing stays
    there. ``store`` is opened for reading and not changed. Raises `ConfigError` for unknown parts,
    what opening a store raises, and `StorageError`.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise ConfigError(f"part = {unknown[0]!r}: unknown", f"choose of {', '.join(PARTS)}")
    if "store" in parts and store is None:
        raise ConfigError("part = 'store': there is none", "name the store")
    chosen = [part for part in PARTS if part in (parts or PARTS)]
    if store is None and "store" in chosen:
        chosen.remove("store")
    document: dict[str, Any] = {"machine": machine()}
    with _scratch(directory) as folder:
        for done, part in enumerate(chosen):
            if progress is not None:
                progress(done, len(chosen))
            if part == "disk":
                document["disk"] = {"fsync": timing(fsync_seconds(folder))}
            elif part == "steps":
                document["steps"] = _steps()
            elif part == "commit":
                document["commit"] = _commit(folder)
            elif part == "encode":
                document["encode"] = _encode()
            elif store is not None:
                document["store"] = _store(store)
    if "torch" in sys.modules:
        document["machine"]["torch_threads"] = sys.modules["torch"].get_num_threads()
    return document


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
    import numpy as np

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


@contextmanager
def _scratch(directory: str | os.PathLike[str] | None) -> Iterator[Path]:
    where = tempfile.gettempdir() if directory is None else os.fspath(directory)
    try:
        held = tempfile.TemporaryDirectory(prefix="memoria-bench-", dir=where)
    except OSError as error:
        raise StorageError(
            f"{where}: cannot write there: {error.strerror}", "name another directory"
        ) from None
    with held as folder:
        yield Path(folder)


def _steps() -> list[dict[str, Any]]:
    """Steps of both layouts while nothing dies, at two sizes."""
    import torch

    from memoria.core.memoria import Memoria

    rows = []
    for layout in ("sparse", "dense"):
        generator = torch.Generator().manual_seed(0)
        memory = Memoria(**_SETTING, initial_lifespan=1e6, layout=layout)
        living = 0
        for size in _SIZES:
            seconds: list[float] = []
            while living < size or len(seconds) < _STEPS:
                cue = torch.randn((1, _WORKING, _DIMENSION), generator=generator)
                cue = torch.nn.functional.normalize(cue, dim=2)
                started = time.perf_counter()
                memory.add_working_memory(cue)
                _, indices = memory.remind()
                memory.adjust_lifespan_and_memories(indices, torch.zeros(indices.shape))
                if living >= size:
                    seconds.append(time.perf_counter() - started)
                living += _WORKING
            rows.append({"layout": layout, "engrams": size, **timing(seconds)})
    return rows


def _commit(folder: Path) -> dict[str, Any]:
    """Commits of one step each, and an fsync beside every one of them."""
    import numpy as np

    from memoria.config import MemoriaConfig
    from memoria.store import MemoryStore

    random = np.random.default_rng(0)
    config = MemoriaConfig.preset("gpt2", hidden_dim=_DIMENSION, backbone="array")
    commits, syncs = [], []
    with MemoryStore.create(folder / "store", config) as opened:
        for _ in range(_COMMITS):
            opened.step(random.standard_normal((_WORKING, _DIMENSION)).astype(np.float32))
            started = time.perf_counter()
            opened.commit()
            commits.append(time.perf_counter() - started)
            syncs += fsync_seconds(folder, 1)
    fsync, commit = timing(syncs), timing(commits)
    ratio = commit["median_seconds"] / fsync["median_seconds"]
    return {**commit, "fsync": fsync, "fsyncs_per_commit": ratio}


def _encode() -> dict[str, Any] | None:
    """Texts a second of the backbone ``hash``; None where Python came without its help texts."""
    from memoria.backbones import load_backbone
    from memoria.experiments.demo_texts import help_text
    from memoria.io.units import flatten, split

    try:
        texts = [flatten(unit.text) for unit in split(help_text(), "sentence")][:_TEXTS]
    except InputError:
        return None
    backbone = load_backbone("hash")
    backbone.encode(texts)  # what is cached of words is so in real use, too
    started = time.perf_counter()
    backbone.encode(texts)
    seconds = time.perf_counter() - started
    return {"backbone": "hash", "texts": len(texts), "texts_per_second": len(texts) / seconds}


def _store(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Opening a store, the first question and later ones."""
    from memoria.store import MemoryStore

    opening = []
    for _ in range(_PEEKS):
        started = time.perf_counter()
        opened = MemoryStore.open(path)
        opening.append(time.perf_counter() - started)
        opened.close()
    with MemoryStore.open(path) as opened:
        cue = _cue(opened)
        started = time.perf_counter()
        opened.peek(cue)
        first = time.perf_counter() - started
        later = []
        for _ in range(_PEEKS):
            started = time.perf_counter()
            opened.peek(cue)
            later.append(time.perf_counter() - started)
        return {
            "path": str(opened.path),
            "step": opened.timestep,
            "open": timing(opening),
            "first_peek_seconds": first,
            "peek": timing(later),
        }


def _cue(opened: MemoryStore) -> Any:
    """A random working memory of the store's shape, vectors of length 1."""
    import numpy as np

    config = opened.config
    shape = (config.lanes, config.wm_length, config.hidden_dim)
    cue = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return cue / np.linalg.norm(cue, axis=2, keepdims=True)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system has it
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
