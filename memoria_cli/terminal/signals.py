"""Ctrl-C and SIGTERM: both raise KeyboardInterrupt, but never in the middle of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from memoria.errors import MemoriaError

INTERRUPTED: Final = 130
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StoppedError(MemoriaError):
    """The user or the system asked the process to stop."""

    exit_code = INTERRUPTED


class DeferredSignals:
    """While entered, both signals raise KeyboardInterrupt, but not inside `deferred`."""

    def __init__(self) -> None:
        self._deferring = self._waiting = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> DeferredSignals:
        self._before = _install(self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Raise a signal that comes meanwhile when the block ends without an error."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self._waiting:
            self._waiting = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._deferring:
            raise KeyboardInterrupt
        self._waiting = True


def _install(handler: Any) -> dict[signal.Signals, Any]:
    """Returns the handlers before; none outside the main thread, where Python allows no change."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    # a signal that is ignored, as under nohup or in a background job, stays so
    handled = [one for one in _SIGNALS if signal.getsignal(one) != signal.SIG_IGN]
    return {one: signal.signal(one, handler) for one in handled}
