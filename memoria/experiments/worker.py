"""A process that does one run: ``python -m memoria.experiments.worker FD``.

The run's specification comes on standard input. Lines of JSON go to the descriptor FD:
``{"done", "total"}`` now and then, ``{"status", "error"}`` at the end. SIGTERM, and a parent that
has gone, let the run write a checkpoint and stop.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from typing import IO, Any, Final

from memoria.errors import MemoriaError
from memoria.experiments.engines import RunSpec, execute, failure

_EVERY_SECONDS: Final = 0.2
INTERRUPTED: Final = 130


class _Channel:
    """The way to the parent, and whether the run shall stop."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._last = 0.0
        self.stopped = False

    def stop(self, *_: object) -> None:
        self.stopped = True

    def progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _EVERY_SECONDS or done == total:
            self._last = now
            self.say({"done": done, "total": total})

    def say(self, document: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(document) + "\n")
            self._file.flush()
        except OSError:  # nobody listens any more
            self.stopped = True


def main(arguments: list[str]) -> int:
    """Do the run; the exit code is 0, 1 or 130."""
    channel = _Channel(os.fdopen(int(arguments[0]), "w", encoding="utf-8"))
    signal.signal(signal.SIGTERM, channel.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    try:
        spec = RunSpec.of(json.load(sys.stdin))
        execute(spec, channel.progress, lambda: channel.stopped)
    except KeyboardInterrupt:
        channel.say({"status": "interrupted", "error": None})
        return INTERRUPTED
    except Exception as error:
        sys.stderr.writelines(traceback.format_exception(error))  # into the run's log
        channel.say({"status": "failed", "error": failure(error)})
        return error.exit_code if isinstance(error, MemoriaError) else 1
    channel.say({"status": "done", "error": None})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
