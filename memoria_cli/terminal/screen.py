"""A full-screen view on the terminal of stderr, which is restored when the view ends.

Only lines that have changed are written, so that a picture stays cheap over ssh.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from types import FrameType
from typing import Any, Final

from memoria.errors import UsageError
from memoria_cli.terminal import output
from memoria_cli.terminal.charts import Line

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[2J"  # the other screen, no cursor, empty
_LEAVE: Final = "\x1b[0m\x1b[?25h\x1b[?1049l"
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
_TYPED_AT_ONCE: Final = 64
_ARROW: Final = 3  # characters that an arrow key sends


def check_terminal(option: str) -> None:
    """Raises `UsageError` where stderr is no terminal that can move its cursor."""
    if not output.has_terminal():
        raise UsageError(
            f"{option} draws on a terminal, and stderr is none",
            f"leave out {option}, or run it in a terminal (ssh -t)",
        )
    if os.environ.get("TERM", "") in ("", "dumb"):
        raise UsageError(
            f"{option} needs a terminal that can move its cursor", "TERM says that this one cannot"
        )


class Screen:
    """Takes over the terminal while entered; whatever ends the block restores it."""

    def __init__(self) -> None:
        self._styled, self.colour = painter()
        self._shown: list[str] = []
        self._size = (0, 0)
        self._keys: int | None = None
        self._close_keys = False
        self._typed = ""
        self._modes: list[Any] | None = None
        self._signals: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Screen:
        self._keys, self._close_keys = _keyboard()
        self._signals = {
            number: signal.signal(number, handler)
            for number, handler in ((signal.SIGTSTP, self._stopped), (signal.SIGCONT, self._again))
            if signal.getsignal(number) != signal.SIG_IGN
        }
        try:
            self._take()
        except BaseException:
            self._give()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._give()
        for number, before in self._signals.items():
            signal.signal(number, before)
        if self._keys is not None and self._close_keys:
            os.close(self._keys)

    def show(self, lines: Sequence[Line]) -> None:
        """Draw ``lines`` from the top and clear what is below them."""
        page, height = output.terminal_page()
        parts = []
        if (page.width, height) != self._size:
            self._size, self._shown = (page.width, height), []
            parts.append("\x1b[0m\x1b[2J")
        drawn = [self._styled(line) for line in lines[:height]]
        for row in range(max(len(drawn), len(self._shown))):
            text = drawn[row] if row < len(drawn) else ""
            if row >= len(self._shown) or self._shown[row] != text:
                # erased first: after a full line the cursor would still stand on its last cell
                parts.append(f"\x1b[{row + 1};1H\x1b[2K{text}")
        self._shown = drawn
        if parts:
            output.paint("".join(parts))

    def key(self, seconds: float) -> str:
        """The key pressed within ``seconds``, "" if none; waits that long where no keys come."""
        if not self._typed:
            waiting = [] if self._keys is None else [self._keys]
            ready, _, _ = select.select(waiting, [], [], max(0.0, seconds))
            if not ready or self._keys is None:
                return ""
            self._typed = os.read(self._keys, _TYPED_AT_ONCE).decode("ascii", "replace")
            if not self._typed:  # the terminal has gone
                self._keys = None
                return ""
        length = _ARROW if self._typed.startswith("\x1b[") else 1
        key, self._typed = self._typed[:length], self._typed[length:]
        return key

    def _take(self) -> None:
        with _undisturbed():
            if self._keys is not None and self._modes is None:
                self._modes = termios.tcgetattr(self._keys)
                tty.setcbreak(self._keys, termios.TCSANOW)  # Ctrl-C stays a signal
            self._shown, self._size = [], (0, 0)
            output.paint(_ENTER)

    def _give(self) -> None:
        with _undisturbed():
            output.paint(_LEAVE)
            if self._keys is not None and self._modes is not None:
                with suppress(termios.error):  # the terminal may have gone
                    termios.tcsetattr(self._keys, termios.TCSANOW, self._modes)
                self._modes = None

    def _stopped(self, number: int, frame: FrameType | None) -> None:
        self._give()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _again(self, number: int, frame: FrameType | None) -> None:
        self._take()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM to the end of the block, so that no terminal is half restored."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _keyboard() -> tuple[int | None, bool]:
    """Return where keys come from (stdin, or the terminal), and whether that must be closed."""
    if sys.stdin is not None and sys.stdin.isatty():
        return sys.stdin.fileno(), False
    try:
        return os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY), True
    except OSError:
        return None, False


def painter() -> tuple[Callable[[Line], str], bool]:
    """Return what renders a line with escape sequences for stderr, and whether it has colour."""
    from rich.color import ColorSystem
    from rich.style import Style

    colours = output.terminal_colours()
    names = {"256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR}
    system, colour = names.get(colours or "", ColorSystem.STANDARD), colours is not None
    mark = "\0"

    @cache
    def around(style: str) -> tuple[str, str]:
        made = Style.parse(style)
        if not colour:
            made = made.without_color
        before, _, after = made.render(mark, color_system=system).partition(mark)
        return before, after

    def styled(line: Line) -> str:
        return "".join(
            text if not style else text.join(around(style)) for text, style in line if text
        ).rstrip()

    return styled, colour
