"""Commands in a terminal of their own: keys typed, sizes changed, and what they show read back."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from typing import Any

from cli_tools import command_line, environment

_PATIENCE = 90.0  # seconds until a command that shows nothing more has failed the test
_CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\r|\n|\x1b.")


def _own(terminal: int) -> None:
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


class Terminal:
    """A command that has its own terminal as stdin, stdout and stderr."""

    def __init__(self, *arguments: object, columns: int = 80, lines: int = 24, **more: str) -> None:
        self.leader, self._follower = pty.openpty()
        self.resize(columns, lines)
        self.modes = termios.tcgetattr(self._follower)
        variables = environment(TERM="xterm-256color", COLORTERM="truecolor")
        del variables["COLUMNS"]
        self.process = subprocess.Popen(
            command_line(*arguments),
            stdin=self._follower,
            stdout=self._follower,
            stderr=self._follower,
            env={**variables, **more},
            preexec_fn=lambda: _own(self._follower),
        )
        self.raw = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.leader, keys.encode())

    def until(self, happened: Callable[[Terminal], Any]) -> None:
        """Read until it has happened; the command must still be there."""
        end = time.monotonic() + _PATIENCE
        while not happened(self):
            assert time.monotonic() < end, self.raw[-2000:]
            assert self._read() or happened(self), self.raw[-2000:]

    def end(self) -> int:
        """Read to the end; the exit code, negative for a signal."""
        end = time.monotonic() + _PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, self.raw[-2000:]
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.leader)
        os.close(self._follower)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def modes_now(self) -> list[Any]:
        return termios.tcgetattr(self._follower)

    @property
    def screen(self) -> list[str]:
        """The lines of the other screen as they were last, if it was entered."""
        return shown(self.raw.rpartition("\x1b[?1049h")[2].partition("\x1b[?1049l")[0])

    @property
    def left(self) -> str:
        """What stands below, without styles, once the screen was given back."""
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", self.raw.rpartition("\x1b[?1049l")[2])

    def _read(self) -> bool:
        """Whether there was something, or may still be."""
        if not select.select([self.leader], [], [], 0.1)[0]:
            return self.process.poll() is None
        self.raw += self._decoder.decode(os.read(self.leader, 65536))
        return True


def shown(raw: str) -> list[str]:
    """What a terminal shows of text with the sequences that a picture is made with."""
    lines: dict[int, str] = {}
    row = place = 0
    for match in _CONTROL.finditer(raw + "\r"):
        text = raw[place : match.start()]
        lines[row] = lines.get(row, "") + text
        place = match.end()
        code, what = match[1], match[2]
        if what == "H":
            row = int(code.split(";")[0] or 1) - 1 if code else 0
        elif what == "J":
            lines.clear()
        elif what == "K":
            lines[row] = ""
        elif match[0] == "\n":
            row += 1
    return [lines.get(k, "") for k in range(max(lines, default=-1) + 1)]
