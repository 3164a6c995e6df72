"""A task as plain values, fit for another process or another machine, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from memoria.errors import MemoriaError
from memoria.io.progress import Progress

Document = dict[str, Any]  # what JSON holds
Stopping = Callable[[], bool]


@dataclass(frozen=True)
class Task:
    """What to do.

    Attributes:
        function: ``"package.module:name"`` of what is called with (``document``, progress,
            stopping) and returns a JSON document. It raises KeyboardInterrupt soon after
            ``stopping()`` is true.
        document: its JSON argument.
        log: file to which a process of its own appends what it prints; None keeps nothing.
    """

    function: str
    document: Mapping[str, Any]
    log: Path | None = None

    def perform(self, progress: Progress, stopping: Stopping) -> Document:
        """Do it in this process.

        Args:
            progress: hears how far it is.
            stopping: whether it shall stop.

        Returns:
            What came of it, as JSON tells it.
        """
        module, _, name = self.function.partition(":")
        done: Document = getattr(import_module(module), name)(self.document, progress, stopping)
        return done


def stoppable(progress: Progress, stopping: Stopping) -> Progress:
    """A progress that also ends the work.

    Args:
        progress: hears how far the work is.
        stopping: once it says so, the progress raises KeyboardInterrupt.
    """

    def show(done: int, total: int) -> None:
        progress(done, total)
        if stopping():
            raise KeyboardInterrupt

    return show


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Attributes:
        document: what its function returned; empty if it failed.
        error: ``type``, ``message`` and ``hint`` of what went wrong; None if nothing did.
    """

    document: Document = field(default_factory=dict)
    error: Document | None = None

    @classmethod
    def lost(cls, message: str) -> Outcome:
        """Of a task that could not say itself what went wrong."""
        return cls(error={"type": "Failed", "message": message, "hint": None})


def failure(error: Exception) -> dict[str, str]:
    """The type and the message of an error."""
    message = error.message if isinstance(error, MemoriaError) else str(error)
    return {"type": type(error).__name__, "message": message or type(error).__name__}


def failed(error: Exception) -> Outcome:
    """The outcome of a task that raised ``error``."""
    return Outcome(error={**failure(error), "hint": getattr(error, "hint", None)})
