"""The one boundary where errors become a line on stderr and an exit code.

0 ok, 1 failure, 2 usage, 3 damage found, 10 no store, 11 locked, 12 another format,
130 interrupted.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, Final

import typer

from memoria.distributions import notice_conflict
from memoria.errors import MemoriaError
from memoria_cli.app import command
from memoria_cli.terminal import output
from memoria_cli.terminal.signals import INTERRUPTED, interrupting_signals

DEBUG_VARIABLE: Final = "MEMORIA_DEBUG"
_UNEXPECTED: Final = "unexpected "
_UNSUPPORTED: Final = ("win32", "cygwin")
_FAILURE: Final = 1
_USAGE: Final = 2
_PYDANTIC: Final = "Value error, "  # begins what pydantic says of a value


def run(arguments: Sequence[str]) -> int:
    """Run one command line; never raises, apart from what the interpreter itself raises."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    as_json = "--json" in options
    output.prepare(as_json)
    if sys.platform in _UNSUPPORTED:
        hint = "it runs on Linux and macOS, and in the Windows Subsystem for Linux"
        return _report(as_json, _FAILURE, "UnsupportedError", "Windows is not supported", hint)
    with warnings.catch_warnings():
        if not sys.warnoptions:  # which -W and PYTHONWARNINGS set
            warnings.simplefilter("ignore")
        return _run(arguments, as_json)


def _run(arguments: Sequence[str], as_json: bool) -> int:
    begun = time.monotonic()
    notice_conflict(output.note)
    try:
        with interrupting_signals():  # SIGTERM is an interrupt too: nothing is left half done
            code = _call(arguments)
        if code == INTERRUPTED:  # Typer turns an interrupt that no verb handled into this code
            message = "interrupted: what was not committed is dropped, what was committed is kept"
            return _report(as_json, code, "StoppedError", message, None)
        output.finish()
        output.detail(f"took {time.monotonic() - begun:.2f} s")
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
        where = context.command_path if context is not None else "memoria"
        hint = f"`{where} --help` shows what it takes"
        if context is not None and (unknown := getattr(error, "option_name", None)):
            message, hint = _unknown_option(message, unknown, context.command, hint)
        message = message.replace(_PYDANTIC, "")
        return _report(as_json, _USAGE, "UsageError", message, hint, error)
    lines = str(error).strip().splitlines()
    message = f"{_UNEXPECTED}{_kind(error)}{f': {lines[0]}' if lines else ''}"
    hint = "-v shows where; please report it"
    return _report(as_json, _FAILURE, _kind(error), message, hint, error)


def _unknown_option(message: str, name: str, command: Any, hint: str) -> tuple[str, str]:
    """What to say of an option that a verb does not have, or that lacks its value."""
    if any(name in (*one.opts, *one.secondary_opts) for one in command.params):
        return message, hint
    from memoria_cli.suggestions import suggest_option

    if meant := suggest_option(name, command):
        hint = f"did you mean {meant}? {hint}"
    return f"{name}: no such option", hint


def _report(
    as_json: bool,
    code: int,
    kind: str,
    message: str,
    hint: str | None,
    error: BaseException | None = None,
) -> int:
    wanted = os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
    if error is not None and (wanted or (output.is_verbose() and message.startswith(_UNEXPECTED))):
        output.warn("".join(traceback.format_exception(error)), keep_lines=True)
    output.failure(code, kind, message, hint, as_json)
    return code


def _kind(error: BaseException) -> str:
    return type(error).__name__
