"""Steps a memory and times every step: ours or memoria-pytorch, whichever this Python imports.

Both packages are called ``memoria``, so each runs in a process of its own, this file in both. It
needs torch, numpy and the package under test, takes a job as JSON on standard input and answers
with one line of JSON: seconds of single steps, which the caller summarises.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Cues", "Memory", "index_bytes", "peak_bytes", "resident_bytes", "run"]

_WINDOW = 0.1  # a step counts for size M while M is at least this near
_STRIDE = 997  # texts that one life starts after the one before
_FOREVER = 2**23  # a lifespan that outlasts every run, below where float32 countdowns stall
_NOISE = 0.3  # length of what is added to a unit vector when a text comes again


class Memory:
    """The memory under test, with what a benchmark asks of it."""

    def __init__(self, job: Mapping[str, Any], lifespan: float) -> None:
        from memoria import Memoria

        implementation = str(job["implementation"])
        settings: dict[str, Any] = (
            {} if implementation == "upstream" else {"layout": implementation}
        )
        self.upstream = implementation == "upstream"
        self.memoria: Any = Memoria(
            num_reminded_stm=job["reminded_shortterm"],
            stm_capacity=job["shortterm"],
            ltm_search_depth=job["depth"],
            initial_lifespan=lifespan,
            num_final_ltms=job["reminded_longterm"],
            device=job["device"],
            **settings,
        )

    def step(self, cue: Tensor, alpha: float | None) -> float:
        """One step with ``cue`` [B, W, D]; seconds spent in the memory, not on the gains."""
        started = _now(cue)
        self.memoria.add_working_memory(cue)
        memories, indices = self.memoria.remind()
        reminded = _now(cue)
        if alpha is None:
            gains = torch.zeros(indices.shape, device=indices.device)
        else:
            gains = correlation_gains(cue, memories, indices, alpha)
        ready = _now(cue)
        self.memoria.adjust_lifespan_and_memories(indices, gains)
        return (reminded - started) + (_now(cue) - ready)

    def living(self) -> int:
        """Engrams in the fullest lane."""
        if self.upstream:
            return int((self.memoria.engrams.engrams_types != 0).sum(1).max())
        return int(self.memoria._core.state.living_count().max())


def correlation_gains(cue: Tensor, memories: Tensor, indices: Tensor, alpha: float) -> Tensor:
    """``w / sum(w) * N * alpha``, w = softmax of mean over the cue of exp(-squared distance)."""
    distances = torch.cdist(cue.double(), memories.double()).square()
    correlation = distances.neg().exp().mean(1).masked_fill(indices < 0, -torch.inf)
    count = (indices >= 0).sum(1, keepdim=True)
    return torch.nan_to_num(correlation.softmax(1)) * count * alpha


class Cues:
    """Working memories from the vectors of a text, in order, from the start again at its end.

    From the second time on noise is added, so that no engram is an exact copy of another.
    """

    def __init__(self, job: Mapping[str, Any], start: int = 0) -> None:
        self._vectors = torch.from_numpy(np.load(job["vectors"]))
        self._lanes, self._width = int(job["lanes"]), int(job["working"])
        self._device = str(job["device"])
        self._generator = torch.Generator().manual_seed(0)
        self._start, self._taken = start, 0

    def next(self) -> Tensor:
        """[B, W, D] on the device."""
        total, dimension = self._vectors.shape
        again = self._taken + self._width > total
        place = torch.arange(self._taken, self._taken + self._width) + self._start
        lane = torch.arange(self._lanes).unsqueeze(1) * (total // self._lanes)
        cue = self._vectors[(place + lane) % total]
        self._taken += self._width
        if again:
            noise = torch.randn(cue.shape, generator=self._generator)
            cue = torch.nn.functional.normalize(cue + noise * (_NOISE / dimension**0.5), dim=2)
        return cue.to(self._device)


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    """What the job's ``kind`` asks for: ``growth`` or ``life``."""
    torch.set_num_threads(int(job["threads"]))
    kinds = {"growth": _growth, "life": _life}
    before = resident_bytes()
    answer = kinds[job["kind"]](job)
    return {**answer, "start_bytes": before, "torch": torch.__version__}


def _growth(job: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing dies: lives grow through the sizes, again until each has its steps or time is up."""
    sizes: list[int] = sorted(job["sizes"])
    wanted, alpha, width = int(job["steps"]), job["alpha"], int(job["working"])
    near = {size: max(width, min(size * _WINDOW, width * wanted / 2)) for size in sizes}
    stop = time.perf_counter() + float(job["time_limit"])
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    peaks: dict[int, int] = {}
    on_device: dict[int, int | None] = {}
    index: dict[int, dict[str, int]] = {}
    _warm_up(job)
    lives = 0
    while time.perf_counter() < stop:
        lacking = [size for size in sizes if len(seconds[size]) < wanted]
        if not lacking:
            break
        lives += 1
        memory, cues = Memory(job, _FOREVER), Cues(job, lives * _STRIDE)
        living = 0
        while living <= lacking[-1] + near[lacking[-1]] and time.perf_counter() < stop:
            took = memory.step(cues.next(), alpha)
            for size in lacking:
                if abs(living - size) <= near[size] and len(seconds[size]) < wanted:
                    seconds[size].append(took)
                if size not in peaks and living + width >= size:
                    peaks[size] = peak_bytes()
                    on_device[size] = device_peak_bytes()
                    index[size] = index_bytes(memory.memoria)
            living += width
        if memory.living() != living:
            raise RuntimeError(f"{memory.living()} engrams live, {living} were added")
        del memory
        gc.collect()
    reached = [size for size in sizes if seconds[size]]
    rows = [
        {
            "engrams": size,
            "seconds": seconds[size],
            "peak_bytes": peaks.get(size),
            "device_peak_bytes": on_device.get(size),
            "index_bytes": index.get(size),
        }
        for size in reached
    ]
    return {"sizes": rows, "lives": lives}


def _life(job: Mapping[str, Any]) -> dict[str, Any]:
    """One life with deaths, told in blocks of steps."""
    steps, block = int(job["steps"]), int(job["block"])
    stop = time.perf_counter() + float(job["time_limit"])
    _warm_up(job)
    memory, cues = Memory(job, float(job["lifespan"])), Cues(job)
    blocks: list[dict[str, Any]] = []
    seconds: list[float] = []
    for step in range(1, steps + 1):
        seconds.append(memory.step(cues.next(), job["alpha"]))
        if step % block == 0 or step == steps:
            blocks.append(
                {
                    "step": step,
                    "seconds": seconds,
                    "engrams": memory.living(),
                    "resident_bytes": resident_bytes(),
                    "index_bytes": index_bytes(memory.memoria),
                }
            )
            seconds = []
        if time.perf_counter() > stop:
            break
    return {"blocks": blocks, "peak_bytes": peak_bytes()}


def _warm_up(job: Mapping[str, Any]) -> None:
    """A short life of which nothing is told: compilers run, libraries settle."""
    upstream = job["implementation"] == "upstream"
    memory, cues = Memory(job, _FOREVER), Cues(job)
    for _ in range(3 if upstream else int(job["warm_up"])):
        memory.step(cues.next(), job["alpha"])


def index_bytes(root: object) -> dict[str, int]:
    """Bytes of the arrays that ``root`` holds, the engrams' vectors left out, by owning class."""
    found: dict[str, int] = {}
    seen: set[int] = set()
    waiting: list[tuple[object, str]] = [(root, type(root).__name__)]
    while waiting:
        thing, owner = waiting.pop()
        if isinstance(thing, np.ndarray):
            while isinstance(thing.base, np.ndarray):
                thing = thing.base
            place, size = thing.ctypes.data, thing.nbytes
        elif isinstance(thing, Tensor):
            storage = thing.untyped_storage()
            place, size = storage.data_ptr(), storage.nbytes()
        else:
            if id(thing) not in seen:
                seen.add(id(thing))
                waiting += _parts(thing, owner)
            continue
        if size and place not in seen:
            seen.add(place)
            found[owner] = found.get(owner, 0) + size
    return found


def _parts(thing: object, owner: str) -> Iterable[tuple[object, str]]:
    if isinstance(thing, Mapping):
        return [(value, owner) for value in thing.values()]
    if isinstance(thing, (list, tuple)):
        return [(value, owner) for value in thing]
    name = type(thing).__name__
    ours = type(thing).__module__.partition(".")[0] == "memoria"
    if not ours or name == "ArrayVectors" or not hasattr(thing, "__dict__"):
        return []
    return [(value, name) for key, value in vars(thing).items() if key != "data"]


def resident_bytes() -> int:
    """What this process holds in memory now; 0 where the system does not say."""
    return _status("VmRSS:")


def peak_bytes() -> int:
    """The most it ever held."""
    known = _status("VmHWM:")  # ru_maxrss would count the parent's memory before exec
    if known:
        return known
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def device_peak_bytes() -> int | None:
    """The most it ever held on a GPU; None where none is used."""
    used = torch.cuda.is_available() and torch.cuda.is_initialized()
    return torch.cuda.max_memory_allocated() if used else None


def _status(name: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def _now(cue: Tensor) -> float:
    if cue.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
