"""The one boundary where errors become a line on stderr and an exit code.

0 ok, 1 failure, 2 usage, 3 damage found, 10 no store, 11 locked, 12 another format,
130 interrupted.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from typing import Final

import typer

from memoria.distributions import notice_conflict
from memoria.errors import MemoriaError
from memoria_cli.app import command
from memoria_cli.terminal import output
from memoria_cli.terminal.signals import INTERRUPTED, interrupting_signals

DEBUG_VARIABLE: Final = "MEMORIA_DEBUG"
_FAILURE: Final = 1
_USAGE: Final = 2


def run(arguments: Sequence[str]) -> int:
    """Run one command line; never raises, apart from what the interpreter itself raises."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    as_json = "--json" in options
    output.prepare()
    notice_conflict(output.note)
    try:
        with interrupting_signals():  # SIGTERM is an interrupt too: nothing is left half done
            code = _call(arguments)
        if code == INTERRUPTED:  # Typer turns an interrupt that no verb handled into this code
            message = "interrupted: what was not committed is dropped, what was committed is kept"
            return _report(as_json, code, "StoppedError", message, None)
        output.finish()
        return code
    except output.OutputClosedError:
        return 0
    except MemoriaError as error:
        return _report(as_json, error.exit_code, _kind(error), error.message, error.hint, error)
    except typer.Abort:
        return _report(as_json, _FAILURE, "Abort", "aborted", None)
    except MemoryError as error:
        hint = "a smaller --batch-size or --wm-length needs less"
        return _report(as_json, _FAILURE, "MemoryError", "out of memory", hint, error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        said = where + (error.strerror or str(error) or type(error).__name__)
        return _report(as_json, _FAILURE, _kind(error), said, None, error)
    except Exception as error:
        return _unexpected(as_json, error)


def _call(arguments: Sequence[str]) -> int:
    try:
        answer = command().main(list(arguments), prog_name="memoria", standalone_mode=False)
    except SystemExit as exit_:  # completion scripts, and a closed pipe that Rich saw first
        if isinstance(exit_.__context__, BrokenPipeError):
            raise output.OutputClosedError from None
        answer = exit_.code
    return answer if isinstance(answer, int) else 0


def _unexpected(as_json: bool, error: Exception) -> int:
    """Report a usage error that Typer found, or else an error of ours."""
    if isinstance(error, typer.TyperException):
        message = " ".join(error.format_message().split()).removesuffix(".")
        context = getattr(error, "ctx", None)
        where = f"{context.command_path} " if context is not None else "memoria "
        hint = f"`{where}--help` shows what it takes"
        return _report(as_json, _USAGE, "UsageError", message, hint, error)
    lines = str(error).strip().splitlines()
    message = f"unexpected {_kind(error)}: {lines[0]}" if lines else f"unexpected {_kind(error)}"
    hint = f"{DEBUG_VARIABLE}=1 shows where; please report it"
    return _report(as_json, _FAILURE, _kind(error), message, hint, error)


def _report(
    as_json: bool,
    code: int,
    kind: str,
    message: str,
    hint: str | None,
    error: BaseException | None = None,
) -> int:
    if error is not None and os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
        output.note("".join(traceback.format_exception(error)), keep_lines=True)
    output.failure(code, kind, message, hint, as_json)
    return code


def _kind(error: BaseException) -> str:
    return type(error).__name__
