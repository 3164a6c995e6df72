"""Ctrl-C and SIGTERM: a line that says what is kept, and a step that is never cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from memoria.errors import MemoriaError

__all__ = ["INTERRUPTED", "Interrupts", "StoppedError", "terminating_gently"]

INTERRUPTED: Final = 130
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StoppedError(MemoriaError):
    """The user or the system asked the process to stop."""

    exit_code = INTERRUPTED


class Interrupts:
    """While entered, both signals raise KeyboardInterrupt, but not inside `held`."""

    def __init__(self) -> None:
        self._held = self._waiting = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        self._before = _installed(self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        _restore(self._before)

    @contextmanager
    def held(self) -> Iterator[None]:
        """A signal that comes meanwhile is raised when the block ends without an error."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._waiting:
            self._waiting = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._held:
            self._waiting = True
        else:
            raise KeyboardInterrupt


@contextmanager
def terminating_gently() -> Iterator[None]:
    """SIGTERM is raised as KeyboardInterrupt too, so that nothing is left half done."""
    before = _installed(_raise)
    try:
        yield
    finally:
        _restore(before)


def _raise(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _installed(handler: Any) -> dict[signal.Signals, Any]:
    """The handlers there were; none outside of the main thread, where Python allows no change."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    # a signal that is ignored, as under nohup or in a background job, stays so
    kept = [one for one in _SIGNALS if signal.getsignal(one) != signal.SIG_IGN]
    return {one: signal.signal(one, handler) for one in kept}


def _restore(before: dict[signal.Signals, Any]) -> None:
    for one, handler in before.items():
        signal.signal(one, handler)
