"""Texts from files, standard input and the command line, in units."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final, NamedTuple, TypeGuard

from memoria.errors import InputError
from memoria.io.bounds import open_regular, parse_json
from memoria.io.files import check_file, extension, printable, reading, split_key
from memoria.io.units import iter_units, parse_unit

_PART: Final = 1 << 26  # bytes of a text in memory at a time; as characters up to four times that
_LINE: Final = 1 << 24  # bytes of a record
_RECORD_VALUES: Final = 1 << 20
_STANDARD_INPUT: Final = 3 << 26  # bytes, all in memory: it may have to be read twice

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class TextUnit(NamedTuple):
    """One unit of a text, verbatim, with where it came from.

    Attributes:
        text: the unit.
        source: the file; ``FILE.jsonl:LINE`` for a record without a source of its own; ``text:N``
            for a text given directly.
        offset: characters from the start of the source: of the file (a byte order mark not
            counted), of the record's field, of the given text.
        time: of a record, milliseconds since 1970; None where it has none.
        meta: of a record, a JSON object; None where it has none.
    """

    text: str
    source: str
    offset: int
    time: int | None = None
    meta: dict[str, Any] | None = None


class _Text(NamedTuple):
    """A text before it is split; one that is ``whole`` stays one unit."""

    unit: TextUnit
    whole: bool = False


def read_texts(
    spec: str | os.PathLike[str], unit: str = "sentence", *, stdin: Any = None
) -> Iterator[TextUnit]:
    """The units of a .txt, .md or .jsonl[:field] file, or of standard input for ``-``.

    Each .jsonl record is a text of its own, in its field ``text`` unless another is named. Its
    fields ``time`` (milliseconds or an ISO 8601 date) and ``meta`` (an object) go with each of its
    units, and ``source`` (a text) and ``offset`` (an integer) say where it stands; what is of
    another form is no concern of ours. A record with the key ``offset``, as `memoria export`
    writes them, is one unit. A text above 64 MiB is taken in parts, each to the end of a paragraph
    if there is one.

    Raises:
        InputError: the file is missing, not UTF-8 or with NULs (with the byte), malformed (with
            the line) or without any text.
    """
    spec = os.fspath(spec)
    parse_unit(unit)
    if spec == "-":
        texts = _parts(io.BytesIO(read_standard_input(stdin)), "-", "standard input")
    else:
        path, key = split_key(spec)
        with reading(path):
            os.stat(path)
        ending = extension(path)
        if ending == ".jsonl":
            check_file(path)
            texts = _records(path, key or "text")
        elif ending in (".txt", ".md"):
            check_file(path)
            texts = _file(path)
        else:
            raise InputError(f"{path}: is not a text file", "known are .txt .md .jsonl")
    return _in_units(texts, unit, "standard input" if spec == "-" else spec)


def read_fields(spec: str | os.PathLike[str], field: str) -> Iterator[str]:
    """The texts in one field of each record of a .jsonl file; ``FILE.jsonl:FIELD`` names another.

    Raises:
        InputError: as `read_texts`.
    """
    path, key = split_key(os.fspath(spec))
    with reading(path):
        os.stat(path)
    if extension(path) != ".jsonl":
        raise InputError(f"{path}: is not a .jsonl file", "one JSON object a line")
    check_file(path)
    for record, _ in _records(path, key or field):
        yield record.text


def literal_texts(texts: Sequence[str], unit: str = "sentence") -> Iterator[TextUnit]:
    """The units of texts given directly; their sources are ``text:1``, ``text:2`` ..."""
    named = [TextUnit(text, f"text:{number}", 0) for number, text in enumerate(texts, 1)]
    for text, source, *_ in named:
        _check_writable(text, source)
        if not text.strip():
            raise InputError(f"{source}: is empty")
    return _in_units(map(_Text, named), unit, "the texts")


def _in_units(texts: Iterator[_Text], unit: str, spec: str) -> Iterator[TextUnit]:
    found = False
    for text, whole in texts:
        if whole and text.text.strip():
            found = True
            yield text
            continue
        for piece in iter_units(text.text, unit):
            found = True
            yield text._replace(text=piece.text, offset=text.offset + piece.offset)
    if not found:
        raise InputError(f"{spec}: holds no text")


def read_standard_input(stdin: Any = None) -> bytes:
    """All of ``stdin``, the process's own by default. Raises `InputError` when it is too much."""
    stream = sys.stdin if stdin is None else stdin
    if stream is None:
        raise InputError("standard input is closed", "name a file, or use --text")
    with reading("standard input"):
        try:
            data = getattr(stream, "buffer", stream).read(_STANDARD_INPUT + 1)
        except UnicodeDecodeError as error:
            raise _not_utf8("standard input", error.start) from None
    data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    if len(data) > _STANDARD_INPUT:
        raise InputError(
            f"standard input: more than {_STANDARD_INPUT >> 20} MiB",
            "write it to a file first: files may be larger",
        )
    return data


def _file(path: str) -> Iterator[_Text]:
    with reading(path), open(open_regular(path), "rb") as file:
        yield from _parts(file, path, path)


def _parts(file: IO[bytes], source: str, spoken: str) -> Iterator[_Text]:
    """The text of a file, at once or in parts of at most `_PART` bytes."""
    left, start, characters = b"", 0, 0
    while True:
        data = left + file.read(_PART - len(left))
        end = len(data) if len(data) < _PART else _good_end(data)
        try:
            text = data[:end].decode("utf-8")
        except UnicodeDecodeError as error:
            raise _not_utf8(spoken, start + error.start) from None
        if "\0" in text:
            raise InputError(
                f"{spoken}: not text: byte {start + data.index(0)} is 0",
                "it may be UTF-16 or UTF-32: convert it to UTF-8",
            )
        if start == 0:
            text = text.removeprefix("\ufeff")
        yield _Text(TextUnit(text, source, characters))
        if len(data) < _PART:
            return
        left, start, characters = data[end:], start + end, characters + len(text)


def _good_end(data: bytes) -> int:
    """Where to cut a text: behind its last paragraph, line or word, or between two characters."""
    for mark in (b"\n\n", b"\n\r\n", b"\n", b" "):
        end = data.rfind(mark)
        if end > len(data) // 2:
            return end + len(mark)
    end = len(data) - 1
    while end > len(data) - 4 and data[end] & 0xC0 == 0x80:  # within a character
        end -= 1
    return end or len(data)


def _not_utf8(source: str, byte: int) -> InputError:
    return InputError(f"{source}: not UTF-8 text: byte {byte} is invalid", "convert it to UTF-8")


def _records(path: str, field: str) -> Iterator[_Text]:
    """Each record of a .jsonl file; blank lines are skipped."""
    start = 0
    with reading(path), open(open_regular(path), "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LINE + 1), b""), 1):
            if len(line) > _LINE:
                raise InputError(f"{path}: line {number} has more than {_LINE >> 20} MiB")
            try:
                decoded = line.decode("utf-8").removeprefix("\ufeff" if number == 1 else "")
            except UnicodeDecodeError as error:
                raise _not_utf8(f"{path}:{number}", start + error.start) from None
            start += len(line)
            if decoded.strip():
                yield _record(decoded, field, path, number)


def _record(line: str, field: str, path: str, number: int) -> _Text:
    where = f"{path}: line {number}"
    try:
        record = parse_json(line, _RECORD_VALUES, strict=False)
    except ValueError as error:
        raise InputError(f"{where}: not JSON: {error}", "one JSON object a line") from None
    if not isinstance(record, dict):
        raise InputError(f"{where}: not a JSON object", "one JSON object a line")
    if field not in record:
        names = ", ".join(map(printable, sorted(record)[:12])) or "none"
        raise InputError(
            f"{where}: no field {field!r}", f"it has {names}; choose with {path}:FIELD"
        )
    text = record[field]
    if not isinstance(text, str):
        raise InputError(f"{where}: field {field!r} is {type(text).__name__}, not a text")
    _check_writable(text, where)
    unit = TextUnit(text, f"{path}:{number}", 0, _milliseconds(record.get("time")))
    source, offset, meta = (record.get(name) for name in ("source", "offset", "meta"))
    if isinstance(source, str) and source:
        _check_writable(source, where)
        unit = unit._replace(source=source, offset=offset if _is_count(offset) else 0)
    if isinstance(meta, dict):
        unit = unit._replace(meta=meta)
    return _Text(unit, whole="offset" in record)


def parse_date(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 date, UTC unless it has an offset, or ValueError."""
    date = datetime.fromisoformat(text)
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND


def _milliseconds(time: Any) -> int | None:
    """Milliseconds since 1970 of a number of them or an ISO 8601 date."""
    try:
        time = parse_date(time) if isinstance(time, str) else time
    except ValueError:
        return None
    return time if _is_count(time) else None


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _check_writable(text: str, where: str) -> None:
    """Raise `InputError` for what no text file could hold: half characters, NULs."""
    if "\0" in text:
        hint = "it may be UTF-16, or no text: convert it, or leave it out"
        raise InputError(f"{where}: character {text.index(chr(0))} is 0 (NUL)", hint)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: character {error.start} is half a character (a lone surrogate)"
        ) from None
