"""Bounds on what input from strangers may cost before it has been checked: memory, above all."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from typing import Any, Final

MOST_VALUES: Final = 2**22  # values of one JSON document: 8 to 90 bytes each, once parsed
MOST_META_BYTES: Final = 2**16  # of what stands beside one text, as JSON


def parse_json(data: bytes | str, most: int = MOST_VALUES, strict: bool = True) -> Any:
    """The JSON document. Raises `ValueError` for anything else and for too deep a nest.

    ``strict`` refuses NaN and Infinity. One of more than ``most`` values is refused before it is
    parsed: lists in lists take thirty times the memory of their text. Separators within texts
    count too.
    """
    if too_many_values(data, most):
        raise ValueError(f"more than {most} values")
    try:
        return json.loads(data, parse_constant=_refuse_constant if strict else None)
    except json.JSONDecodeError as error:
        raise ValueError(_what_is_wrong(error)) from None
    except ValueError as error:
        if "integer string conversion" in str(error):
            most_digits = sys.get_int_max_str_digits()
            raise ValueError(f"a number has more than {most_digits} digits") from None
        raise
    except RecursionError:
        raise ValueError("nested too deeply") from None


def too_many_values(data: bytes | str, most: int = MOST_VALUES) -> bool:
    """Whether `parse_json` refuses the document for its size: it counts separators, no values."""
    if isinstance(data, bytes):
        return data.count(b",") + data.count(b"[") + data.count(b"{") > most
    return data.count(",") + data.count("[") + data.count("{") > most


def open_regular(path: str | os.PathLike[str]) -> int:
    """A descriptor for reading the regular file at ``path``.

    Raises `OSError`, `IsADirectoryError` among them, and `ValueError` for a device, a pipe or a
    socket, which could block for ever or never end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise ValueError("not a regular file") from None
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path}: is a directory")
    raise ValueError("not a regular file")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _what_is_wrong(error: json.JSONDecodeError) -> str:
    """What is wrong and where, with a line only where the document has several."""
    text = error.doc.rstrip()
    if "\n" in text:
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return f"{error.msg} at column {min(error.pos, len(text)) + 1}"
