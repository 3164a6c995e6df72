"""`Run`: the folder of one run while it is written.

Whatever a kill leaves is fit to go on with: files are replaced as a whole, and rows that came
after the last checkpoint are dropped when it is taken up again.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from memoria.chunkstore.locks import WriterLock
from memoria.errors import ConfigError, DamageError, StorageError, first_line
from memoria.experiments.records import (
    ARRAYS,
    CHECKPOINT,
    RESULTS,
    RUN_FILE,
    SUMMARY,
    TENSORBOARD,
    as_json,
    difference,
    read_document,
)
from memoria.io.atomic_write import atomic_write
from memoria.io.progress import Progress, no_progress

_FORMAT: Final = 1


class Run:
    """One run, open for writing; of several processes of one run only the first writes.

    Args:
        path: its folder.
        about: experiment, variant, seed and config, as ``run.json`` keeps them.
        progress: hears of every step.
        stopping: asked whether the run shall stop.

    Raises:
        StoreLockedError: another process runs it.
        ConfigError: the folder holds another run.
        StorageError: the folder cannot be made or written.
    """

    def __init__(
        self,
        path: Path,
        about: Mapping[str, Any],
        progress: Progress = no_progress,
        stopping: Callable[[], bool] | None = None,
    ) -> None:
        self.path = path
        self.writes = os.environ.get("RANK", "0") == "0"
        self._progress = progress
        self._stopping = stopping
        self._rows: IO[bytes] | None = None
        self._lock: WriterLock | None = None
        self._boards: Boards | None = None
        self._document = {"format": _FORMAT, **about}
        self._spent = 0.0
        self._began = time.monotonic()
        self.is_done = False
        if self.writes:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                reason = error.strerror or error
                raise StorageError(f"{path}: cannot be created: {reason}") from None
            self._lock = WriterLock(path)
        try:
            self._take_over(about)
        except BaseException:
            self.close()
            raise

    def log(self, row: Mapping[str, Any]) -> None:
        """Append ``row`` to the results; NaN and infinities become null.

        Numbers of a row with a "step" are shown by TensorBoard as ``kind/name``, where the row's
        "kind" says of what.
        """
        if not self.writes:
            return
        rows = self._open_rows()
        rows.write((json.dumps(_finite(row), allow_nan=False) + "\n").encode())
        rows.flush()
        if self._boards is None:
            self._boards = Boards(self.path / TENSORBOARD)
        self._boards.show(row)

    def array(self, name: str, values: Any) -> None:
        """Write a whole array, in place of one of this name.

        Args:
            name: of the array.
            values: its elements, any shape.
        """
        if not self.writes:
            return
        import numpy as np
        import zarr

        group = zarr.open_group(self.path / ARRAYS, mode="a")
        group.create_array(name, data=np.ascontiguousarray(values), overwrite=True)

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Keep ``state``, durably, in place of the one before: tensors, numbers, texts, lists.

        Other processes of the run call it too, and write nothing.
        """
        if not self.writes:
            return
        import torch

        rows = self._open_rows()
        os.fsync(rows.fileno())
        kept = {"state": dict(state), "results_bytes": rows.tell(), "seconds": self.seconds}
        target = self.path / CHECKPOINT
        with atomic_write(target, overwrite=True) as temporary:
            torch.save(kept, temporary)

    def restored(self, device: Any = "cpu") -> dict[str, Any] | None:
        """What the last `checkpoint` kept, on ``device``; None at the first attempt.

        Rows that were logged after it are dropped.

        Raises:
            DamageError: the checkpoint cannot be read.
        """
        path = self.path / CHECKPOINT
        if not path.is_file():
            return None
        import torch

        try:
            kept = torch.load(path, map_location=device, weights_only=True)
            state, rows = dict(kept["state"]), int(kept["results_bytes"])
            self._spent, self._began = float(kept["seconds"]), time.monotonic()
        except Exception as error:  # torch raises whatever the bytes led it to
            hint = "remove it to start the run anew"
            raise DamageError(f"{path}: cannot be read: {first_line(error)}", hint) from None
        if self.writes:
            self._open_rows(rows)
            if self._boards is None and isinstance(state.get("step"), int):
                self._boards = Boards(self.path / TENSORBOARD, state["step"] + 1)
        return state

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the run to stop: write a checkpoint, then call `progress`."""
        return self._stopping is not None and self._stopping()

    def progress(self, done: int, total: int) -> None:
        """Tell how far the run is.

        Args:
            done: of ``total``.
            total: 0 where it is not known.

        Raises:
            KeyboardInterrupt: the run shall stop.
        """
        self._progress(done, total)
        if self.stopping:
            raise KeyboardInterrupt

    @property
    def seconds(self) -> float:
        """Time spent on the run, without what a kill made it do twice."""
        return self._spent + time.monotonic() - self._began

    def begin(self, surroundings: Mapping[str, Any]) -> None:
        """One more attempt starts, with these packages on this machine."""
        attempts = int(self._document.get("attempts", 0)) + 1
        _forget_peak()
        fresh = {"error": None, "peak_bytes": None}
        self.mark("running", attempts=attempts, **fresh, **surroundings)

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """The run is done: write ``summary.json`` and say so in ``run.json``.

        The "peak_bytes" of ``run.json`` is the most memory that this process has held since the
        attempt began, unless the experiment has marked another, such as a GPU's.
        """
        if not self.writes:
            return
        kept = {key: self._document[key] for key in ("experiment", "variant", "seed")}
        seconds = round(self.seconds, 3)
        summary = {**kept, "metrics": _finite(metrics), "seconds": seconds}
        write_document(self.path / SUMMARY, summary)
        self.mark("done", peak_bytes=self._document.get("peak_bytes") or _peak_bytes())

    def mark(self, status: str, **more: Any) -> None:
        """Write ``run.json``.

        Args:
            status: of the run.
            more: keys beside it.
        """
        if self.writes:
            changes = {"status": status, "seconds": round(self.seconds, 3), **more}
            self._document.update(changes, updated=_now())
            write_document(self.path / RUN_FILE, self._document)

    def close(self) -> None:
        """Release the folder; a second call does nothing."""
        if self._boards is not None:
            self._boards.close()
        if self._rows is not None:
            self._rows.close()
        if self._lock is not None:
            self._lock.release()
        self._boards, self._rows, self._lock = None, None, None

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_over(self, about: Mapping[str, Any]) -> None:
        """Continue what is in the folder. Raises `ConfigError` for another run."""
        path = self.path / RUN_FILE
        if not path.is_file():
            self._document.update(created=_now(), attempts=0)
            return
        held = read_document(path)
        for key in ("experiment", "variant", "seed", "config"):
            what = difference(held.get(key), about[key], key)
            if what is not None:
                raise ConfigError(f"{self.path}: holds another run: {what}", "name another folder")
        self.is_done = held.get("status") == "done"
        self._document = {**held, **about}

    def _open_rows(self, keep: int | None = None) -> IO[bytes]:
        """``results.jsonl``; the first rows of an attempt follow those of the checkpoint."""
        if self._rows is None:
            path = self.path / RESULTS
            self._rows = open(path, "ab")  # noqa: SIM115 (it stays open for the run)
            self._rows.truncate(keep or 0)
            self._rows.seek(0, os.SEEK_END)
        return self._rows


def is_launched() -> bool:
    """Whether this is one of several processes of a launcher such as ``accelerate launch``."""
    return "ACCELERATE_MIXED_PRECISION" in os.environ or int(os.environ.get("WORLD_SIZE", "1")) > 1


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object in place of the file, durably."""
    with atomic_write(path, overwrite=True) as temporary:
        temporary.write_text(as_json(document), encoding="utf-8")


def _finite(value: Any) -> Any:
    """Plain values of JSON: numbers of numpy and torch too."""
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    with suppress(AttributeError):
        value = value.tolist()
        if not isinstance(value, float):
            return _finite(value)
    return value if math.isfinite(value) else None


def _forget_peak() -> None:
    """Let Linux count the most memory anew, where it lets us: one process may do several runs."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int | None:
    """The most memory that this process has held, resident; None where the system keeps no count.

    Linux' own count: that of ``getrusage`` includes the process it was started from.
    """
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def has_tensorboard() -> bool:
    """Whether TensorBoard's logs can be written; nothing is loaded."""
    from importlib.util import find_spec

    return find_spec("tensorboard") is not None


class Boards:
    """Rows of a run as TensorBoard shows them; without the extra ``train`` it writes nothing.

    Args:
        folder: for event files, which is made at the first row.
        from_step: hide what an earlier attempt wrote from this step on.
    """

    def __init__(self, folder: Path, from_step: int | None = None) -> None:
        self._folder, self._from_step = folder, from_step
        self._writer: Any = None
        self._is_there = has_tensorboard()

    def show(self, row: Mapping[str, Any]) -> None:
        """Write the numbers of a row that has a "step"."""
        step = row.get("step")
        if not self._is_there or not isinstance(step, int):
            return
        if self._writer is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:  # half installed: a log is no reason to end a training
                self._is_there = False
                return
            self._writer = SummaryWriter(str(self._folder), purge_step=self._from_step)
        kind = row.get("kind", "run")
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float) and not isinstance(value, bool):
                self._writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Write what is buffered."""
        if self._writer is not None:
            self._writer.close()
