"""Files that go to standard output: ``-o -``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from memoria.errors import UsageError
from memoria_cli.terminal import output

STANDARD_OUTPUT: Final = "-"


@contextmanager
def piped(out: str, ending: str, as_json: bool) -> Iterator[str]:
    """Give the path to write to: ``out``, or for ``-`` a file that then goes to standard output.

    Args:
        out: what the user typed after -o.
        ending: what the file's name ends with where it has none, such as ".png".
        as_json: whether standard output is wanted for a document.

    Raises:
        UsageError: both want standard output.
    """
    if out != STANDARD_OUTPUT:
        yield out
        return
    if as_json:
        raise UsageError("--json and -o - both go to standard output", "choose one")
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = os.path.join(folder, f"standard-output{ending}")
        yield path
        output.copy_file(path)


def shown_place(out: str, path: str) -> str:
    """Where a file went, in words: ``path``, or standard output."""
    return "standard output" if out == STANDARD_OUTPUT else path


def report(document: Any, human: Sequence[output.Part], as_json: bool, out: str) -> None:
    """Print what came of a file; on stderr where the file itself went to standard output."""
    if out == STANDARD_OUTPUT:
        for line in human:
            output.note(str(line))
    else:
        output.result(document, human, as_json)
