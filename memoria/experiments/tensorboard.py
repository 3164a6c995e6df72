"""Rows of a run as TensorBoard shows them, where it is installed (extra ``train``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Boards", "is_installed"]


def is_installed() -> bool:
    """Whether TensorBoard's logs can be written; nothing is loaded."""
    from importlib.util import find_spec

    return find_spec("tensorboard") is not None


class Boards:
    """Writes event files into ``folder`` from the first row on; without the extra, nothing.

    ``from_step`` hides what an earlier attempt wrote from this step on.
    """

    def __init__(self, folder: Path, from_step: int | None = None) -> None:
        self._folder, self._from_step = folder, from_step
        self._writer: Any = None
        self._is_there = is_installed()

    def show(self, row: Mapping[str, Any]) -> None:
        """The numbers of a row that has a "step"."""
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
        """Bring out what is buffered."""
        if self._writer is not None:
            self._writer.close()
