"""Ctrl-C and SIGTERM: both raise KeyboardInterrupt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from memoria.errors import MemoriaError

INTERRUPTED: Final = 130
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StoppedError(MemoriaError):
    """The user or the system asked the process to stop."""

    exit_code = INTERRUPTED


@contextmanager
def interrupting_signals() -> Iterator[None]:
    """Let both signals raise KeyboardInterrupt while the block runs, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # a signal that is ignored, as under nohup or in a background job, stays so
    handled = [one for one in _SIGNALS if signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, _interrupt) for one in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
