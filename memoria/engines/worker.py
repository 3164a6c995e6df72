"""A process that does tasks: ``python -m memoria.engines.worker FD``.

Tasks come on standard input, one a line: ``{"function", "document"}``. Lines of JSON go to the
descriptor FD: ``{"done", "total"}`` now and then, ``{"status", "document", "error"}`` at the end of
each task. SIGTERM, and a parent that has gone, let the task stop where it can go on later.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from typing import IO, Any, Final

from memoria.engines.task import Task, failed
from memoria.errors import MemoriaError

_EVERY_SECONDS: Final = 0.2
INTERRUPTED: Final = 130


class _Channel:
    """The way to the parent, and whether the task shall stop."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._last = 0.0
        self.busy = False
        self.stopped = False

    def stop(self, *_: object) -> None:
        self.stopped = True
        if not self.busy:
            raise KeyboardInterrupt

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
    """Do the tasks; the exit code is that of the last: 0, an error's, or 130."""
    channel = _Channel(os.fdopen(int(arguments[0]), "w", encoding="utf-8"))
    signal.signal(signal.SIGTERM, channel.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    code = 0
    try:
        for line in sys.stdin:
            channel.busy = True
            code = _do(Task(**json.loads(line)), channel)
            channel.busy = False
            if channel.stopped:
                break
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _do(task: Task, channel: _Channel) -> int:
    try:
        document = task.perform(channel.progress, lambda: channel.stopped)
    except KeyboardInterrupt:
        channel.say({"status": "interrupted", "document": {}, "error": None})
        return INTERRUPTED
    except Exception as error:
        sys.stderr.writelines(traceback.format_exception(error))  # into the log
        channel.say({"status": "failed", "document": {}, "error": failed(error).error})
        return error.exit_code if isinstance(error, MemoriaError) else 1
    channel.say({"status": "done", "document": document, "error": None})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
