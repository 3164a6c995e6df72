"""The only module that prints: results to stdout, everything else to stderr.

A terminal gets Rich, a pipe plain text, ``--json`` one JSON document on one line. Text from
stores, files and arguments is escaped first: no control character reaches the terminal.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import IO, Any, Final, TypeAlias

from memoria.io.progress import Progress
from memoria_cli.terminal.charts import Page, Picture
from memoria_cli.terminal.formatting import escape, format_duration, shorten

_SPARSE_SECONDS: Final = 5.0  # between lines of progress where no terminal shows a bar
_LONGEST: Final = 1_000  # characters of an error's message and of its hint
_GAP: Final = "  "
_AT_ONCE: Final = 1000  # records that are written together
_PAGE: Final = 80  # columns where nothing says how many,
_LINES: Final = 24  # and lines
_NARROWEST: Final = 20
_LEAST: Final = 20  # columns of a text however narrow the page,
_UNSEEN: Final = 72  # and where nobody looks at it on a page
_BROADEST: Final = 500
_BLOCKS: Final = "█▁▏├●…"
_encode_json: Final = json.JSONEncoder(allow_nan=False).encode


class OutputClosedError(Exception):
    """The reader of stdout has gone, so nothing more can be printed."""


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings (none if all are empty); the last column may be long."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    framed: bool = False  # on a terminal
    fit: bool = False  # the last column is cut to what the page leaves of it


@dataclass(frozen=True)
class Styled:
    """A line in one of Rich's styles on a terminal."""

    text: str
    style: str


class Loudness(IntEnum):
    """How much is said on stderr beside errors."""

    QUIET = 0
    USUAL = 1
    VERBOSE = 2


Part: TypeAlias = str | Styled | Table | Picture
Column: TypeAlias = str | Callable[[Any], object]  # a record's key, or what makes its cell of it

_gathering: list[list[Any]] = []  # what `collected` blocks are open
_loudness = Loudness.USUAL
_wants_json = False


def table(
    title: str,
    records: Sequence[Any],
    columns: Mapping[str, Column],
    none: str = ": none",
    framed: bool = False,
    fit: bool = False,
) -> Table:
    """A table with a row for each record; ``none`` follows the title where there is no record.

    The last column is cut to what the page leaves of it if it is to ``fit``.
    """

    def cell(record: Any, column: Column) -> str:
        value = record[column] if isinstance(column, str) else column(record)
        return "" if value is None else str(value)

    rows = [[cell(record, column) for column in columns.values()] for record in records]
    return Table(title if rows else title + none, [*columns], rows, framed, fit)


@contextmanager
def collected() -> Iterator[list[Mapping[str, Any]]]:
    """Collect the documents of `result` instead of printing them, for a verb that runs others."""
    documents: list[Mapping[str, Any]] = []
    _gathering.append(documents)
    try:
        yield documents
    finally:
        _gathering.pop()


def prepare(as_json: bool = False) -> None:
    """Make both streams accept every character, whatever the locale, and have a width.

    ``as_json``: whether the command line asks for a document, wherever it does.
    """
    global _wants_json
    _wants_json = as_json
    set_loudness(Loudness.USUAL)
    if not _asked_columns():
        os.environ.pop("COLUMNS", None)  # 0 stands for unknown; Rich would write nothing
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def set_loudness(loudness: Loudness) -> None:
    """Say this much from now on, until the next `prepare`; to be quiet outweighs the rest."""
    global _loudness
    _loudness = loudness


def wants_json() -> bool:
    """Whether the command line asks for a document."""
    return _wants_json


def is_verbose() -> bool:
    """Whether the user wants to know more than usual."""
    return _loudness == Loudness.VERBOSE


def lines(texts: Iterable[str]) -> None:
    """Print lines of our own making, escape sequences and all."""
    _write("".join(f"{text}\n" for text in texts))


def is_styled() -> bool:
    """Whether stdout is a terminal that wants bold text."""
    return (
        sys.stdout is not None
        and sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "") not in ("", "dumb")
    )


def result(
    document: Mapping[str, Any] | Sequence[Mapping[str, Any]], human: Sequence[Part], as_json: bool
) -> None:
    """Print the result of a verb: ``document`` with --json, else lines and tables for people.

    The text is ASCII in the JSON, with escapes for the rest, so that no locale spoils it.
    """
    if _gathering:
        _gathering[-1].append(document)
    elif as_json:
        _write(_json(document) + "\n")
    elif sys.stdout is not None and sys.stdout.isatty():
        _write_rich(human)
    else:
        _write("".join(line + "\n" for part in human for line in _plain(part)))


def copy_file(path: str) -> None:
    """Write the bytes of a file to standard output."""
    finish()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        raise OutputClosedError from None


def is_standard_output(path: str) -> bool:
    """Whether what is written to ``path`` goes where results are printed."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(1))
    except OSError:
        return False


def records(
    documents: Iterable[Mapping[str, Any]],
    style: str,
    columns: Sequence[str],
    head: Mapping[str, Any],
    key: str,
) -> None:
    """Print records as they come, for lists of any length, in one of three styles.

    ``json``: one document, ``head`` with them as its list ``key``. ``jsonl``: one a line. ``csv``:
    ``columns`` under their names, as they are, in UTF-8 whatever the locale; escaped where a
    terminal shows them.
    """
    if _gathering:
        _gathering[-1].append({**head, key: list(documents)})
        return
    if style == "csv":
        _write(_csv([columns]), is_data=True)
    if style == "json":
        _write(_json({**head, key: []})[: -len("]}")])
    waiting, glue = iter(documents), ""
    while block := list(islice(waiting, _AT_ONCE)):
        if style == "csv":
            _write(_csv([[one[name] for name in columns] for one in block]), is_data=True)
        elif style == "jsonl":
            _write("".join(_json(one) + "\n" for one in block))
        else:
            _write(glue + _json(block)[1:-1])
            glue = ", "
    if style == "json":
        _write("]}\n")


def _json(value: object) -> str:
    """Encode on one line and in ASCII, DEL escaped too."""
    return _encode_json(value).replace("\x7f", "\\u007f")


def _csv(rows: Iterable[Sequence[object]]) -> str:
    terminal = sys.stdout is not None and sys.stdout.isatty()
    lines: list[str] = []
    for row in rows:
        cells = [_json(one) if isinstance(one, dict) else one for one in row]
        text = io.StringIO()
        # Python before 3.11.9 quotes a carriage return only where it is part of a line's end
        csv.writer(text, lineterminator="\r\n").writerow(
            [escape(one) if terminal and isinstance(one, str) else one for one in cells]
        )
        lines.append(text.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)


def note(text: str) -> None:
    """Print a notice for people on stderr, unless they want it quiet."""
    if _loudness != Loudness.QUIET:
        warn(text)


def detail(text: str) -> None:
    """Print on stderr what only those want to know who ask for more."""
    if _loudness == Loudness.VERBOSE:
        warn(text)


def warn(text: str, keep_lines: bool = False) -> None:
    """Print on stderr what people must know, however quiet they want it."""
    lines = text.rstrip("\n").split("\n") if keep_lines else [text]
    _say("".join(f"{escape(line)}\n" for line in lines))


def paint(sequence: str) -> None:
    """Write escape sequences and text to stderr as they are."""
    _say(sequence)


def ask(plan: Sequence[str], question: str) -> bool | None:
    """Ask on the terminal after showing a plan; the default is no, and None if nobody is there."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        return None
    warn("\n".join(plan), keep_lines=True)
    _say(f"{escape(question)} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def failure(code: int, kind: str, message: str, hint: str | None, as_json: bool) -> None:
    """What went wrong, as one line on stderr: text, or with --json ``{"error": {...}}``."""
    message, hint = _shortened(message), None if hint is None else _shortened(hint)
    if as_json:
        error = {"code": code, "type": kind, "message": message, "hint": hint}
        _say(_json({"error": error}) + "\n")
        return
    line = f"memoria: {message}" if hint is None else f"memoria: {message}; hint: {hint}"
    _say(escape(line) + "\n")


def _shortened(text: str) -> str:
    """Bound a message, since a value from a file or an argument may be of any length."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def finish() -> None:
    """Flush what is buffered. Raises `OutputClosedError`, or `OSError` on a full disk."""
    _write("")


def _write(text: str, is_data: bool = False) -> None:
    """Write to standard output; what ``is_data`` goes as UTF-8 where no terminal shows it."""
    if sys.stdout is None:
        return
    try:
        if is_data and not sys.stdout.isatty() and hasattr(sys.stdout, "buffer"):
            sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        else:
            sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        raise OutputClosedError from None
    except OSError as error:
        _silence(sys.stdout)
        error.filename = "standard output"
        raise


def _say(text: str) -> None:
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:  # stderr is gone too
        _silence(sys.stderr)


def _silence(stream: IO[str]) -> None:
    """Send what is written to the stream from now on nowhere, also at exit."""
    try:
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
    except (OSError, ValueError):
        return
    os.dup2(null, descriptor)
    os.close(null)


def page() -> Page:
    """What results are drawn on: the terminal, or a page of ``COLUMNS`` cells."""
    stream = sys.stdout
    width = _asked_columns()
    if not width and stream is not None and stream.isatty():
        width, _ = _terminal_size(stream)
    return Page(min(max(width or _PAGE, _NARROWEST), _BROADEST), shows_unicode(stream))


def shows_unicode(stream: IO[str] | None) -> bool:
    """Whether block characters get through: by the stream's encoding, and no LC_ALL=C."""
    if os.environ.get("LC_ALL") in ("C", "POSIX"):
        return False
    try:
        _BLOCKS.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def has_terminal() -> bool:
    """Whether stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def terminal_colours() -> str | None:
    """Rich's name of the colours that stderr has; None where it has or wants none."""
    from rich.console import Console

    console = Console(stderr=True)
    return None if console.no_color else console.color_system


def terminal_page() -> tuple[Page, int]:
    """Return the terminal of stderr as a page, and its number of lines, as they are now."""
    columns, lines = _terminal_size(sys.stderr)
    asked = _asked_columns()
    columns = min(columns or _PAGE, asked) if asked else columns or _PAGE
    return Page(columns, shows_unicode(sys.stderr)), lines or _LINES


def _asked_columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isascii() and columns.isdigit() and len(columns) < 9 else 0


def _terminal_size(stream: IO[str]) -> tuple[int, int]:
    try:
        return os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 0, 0


def _plain(part: Part) -> Iterator[str]:
    if isinstance(part, str | Styled):
        yield escape(part if isinstance(part, str) else part.text)
        return
    if isinstance(part, Picture):
        yield escape(part.title)
        for line in part.lines:
            yield escape("".join(text for text, _ in line)).rstrip()
        return
    from rich.cells import cell_len

    yield escape(part.title)
    cells = [part.columns, *_cells(part)]
    widths = [max(cell_len(row[i]) for row in cells) for i in range(len(part.columns))]
    for row in cells[0 if any(part.columns) else 1 :] if part.rows else []:
        padded = [
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ]
        yield (_GAP + _GAP.join(padded)).rstrip()


def _cells(part: Table) -> list[list[str]]:
    """The cells of all rows as a page takes them."""
    from rich.cells import cell_len

    rows = [[escape(cell) for cell in row] for row in part.rows]
    if part.fit and rows:
        for row, raw in zip(rows, part.rows, strict=True):
            row[-1] = escape(" ".join(raw[-1].split()))
        others = [
            max(cell_len(name), *(cell_len(row[number]) for row in rows))
            for number, name in enumerate(part.columns[:-1])
        ]
        left = page().width - sum(others) - len(_GAP) * (len(part.columns) + 1)
        if not (_asked_columns() or (sys.stdout is not None and sys.stdout.isatty())):
            left = max(left, _UNSEEN)
        for row in rows:
            row[-1] = shorten(row[-1], max(left, _LEAST))
    return rows


def _write_rich(human: Sequence[Part]) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    with console.capture() as captured:
        for part in human:
            if isinstance(part, str):
                console.print(Text(escape(part)))
                continue
            if isinstance(part, Styled):
                console.print(Text(escape(part.text), style=part.style))
                continue
            if isinstance(part, Picture):
                console.print(Text(escape(part.title), style="bold"))
                for line in part.lines:
                    spans = [(escape(text), style) for text, style in line]
                    console.print(Text.assemble(*spans, no_wrap=True, overflow="crop"))
                continue
            title = Text(escape(part.title), style="bold")
            if not part.framed:
                console.print(title)
            if not part.rows:
                continue
            headed = any(part.columns)
            table = RichTable(box=None, padding=(0, 1), header_style="dim", show_header=headed)
            for name in part.columns[:-1]:
                table.add_column(name, no_wrap=True)
            table.add_column(part.columns[-1], overflow="fold")
            for row in _cells(part):
                table.add_row(*[Text(cell) for cell in row])
            console.print(Panel(table, title=title, expand=False) if part.framed else table)
    _write(captured.get())


@contextmanager
def progress(what: str, unit: str) -> Iterator[Progress]:
    """Show on stderr how many are done, and how long the rest will take.

    A bar on a terminal, else a line every few seconds; nothing if it is to be quiet.
    """
    if _loudness == Loudness.QUIET:
        yield _no_progress
        return
    if sys.stderr is None or not sys.stderr.isatty():
        yield _SparseLines(what, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        yield show


def _no_progress(done: int, total: int) -> None:
    pass


class _SparseLines:
    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._begun = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = done
        if now - self._last >= _SPARSE_SECONDS:
            self._last = now
            of = f" of {total}" if total else ""
            left = _time_left(done - self._first, total - done, now - self._begun)
            note(f"{self._what}: {done}{of} {self._unit}{left}")


def _time_left(done: int, left: int, seconds: float) -> str:
    """An estimate of the time that ``left`` takes where ``done`` took ``seconds``."""
    if done <= 0 or left <= 0:
        return ""
    return f", about {format_duration(seconds * left / done)} left"
