"""Hold signals back while a step is under way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back while the block runs, and let them act when it has ended.

    Only where they have handlers of Python's, which is not so where the system would end the
    process; outside the main thread, which receives no signals, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[tuple[int, FrameType | None]] = []
    before: dict[signal.Signals, Any] = {}
    for number in _SIGNALS:
        if callable(signal.getsignal(number)):
            before[number] = signal.signal(number, lambda *received: waiting.append(received))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for one, frame in waiting[:1]:
        before[signal.Signals(one)](one, frame)
