"""Texts from files, standard input and the command line, in units."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from memoria.errors import InputError
from memoria.inputs.files import check_file, extension, reading, shown, split_key
from memoria.text import iter_units, parse_unit

__all__ = ["TextUnit", "literal_texts", "read_texts"]


class TextUnit(NamedTuple):
    """One unit of a text, verbatim, with where it came from.

    ``offset`` counts characters from the start of the source: of the file (a byte order mark not
    counted), of the record's field for ``source = "FILE.jsonl:LINE"``, of the given text.
    """

    text: str
    source: str
    offset: int


def read_texts(
    spec: str | os.PathLike[str], unit: str = "sentence", *, stdin: Any = None
) -> Iterator[TextUnit]:
    """The units of a .txt, .md or .jsonl[:field] file, or of standard input for ``-``.

    Each .jsonl record is a text of its own, in its field ``text`` unless another is named.
    Raises `InputError` for a file that is missing, not UTF-8 (with the byte), malformed (with the
    line) or without any text.
    """
    spec = os.fspath(spec)
    parse_unit(unit)
    if spec == "-":
        texts = iter([("-", _decoded(_standard_input(stdin), "standard input"))])
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
            with reading(path), open(path, "rb") as file:
                texts = iter([(path, _decoded(file.read(), path))])
        else:
            raise InputError(f"{path}: is not a text file", "known are .txt .md .jsonl")
    return _in_units(texts, unit, "standard input" if spec == "-" else spec)


def literal_texts(texts: Sequence[str], unit: str = "sentence") -> Iterator[TextUnit]:
    """The units of texts given directly; their sources are ``text:1``, ``text:2`` ..."""
    named = [(f"text:{number}", text) for number, text in enumerate(texts, 1)]
    for source, text in named:
        _check_writable(text, source)
        if not text.strip():
            raise InputError(f"{source}: is empty")
    return _in_units(iter(named), unit, "the texts")


def _in_units(texts: Iterator[tuple[str, str]], unit: str, spec: str) -> Iterator[TextUnit]:
    found = False
    for source, text in texts:
        for piece in iter_units(text, unit):
            found = True
            yield TextUnit(piece.text, source, piece.offset)
    if not found:
        raise InputError(f"{spec}: holds no text")


def _standard_input(stdin: Any) -> bytes:
    stream = sys.stdin if stdin is None else stdin
    with reading("standard input"):
        try:
            data = getattr(stream, "buffer", stream).read()
        except UnicodeDecodeError as error:
            raise _not_utf8("standard input", error.start) from None
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _not_utf8(source, error.start) from None


def _not_utf8(source: str, place: int) -> InputError:
    return InputError(f"{source}: not UTF-8 text: byte {place} is invalid", "convert it to UTF-8")


def _records(path: str, field: str) -> Iterator[tuple[str, str]]:
    """The text of each record of a .jsonl file with its line number; blank lines are skipped."""
    place = 0
    with reading(path), open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            source = f"{path}:{number}"
            try:
                decoded = line.decode("utf-8").removeprefix("\ufeff" if number == 1 else "")
            except UnicodeDecodeError as error:
                raise _not_utf8(source, place + error.start) from None
            place += len(line)
            if decoded.strip():
                yield source, _field(decoded, field, path, number)


def _field(line: str, field: str, path: str, number: int) -> str:
    where = f"{path}: line {number}"
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}", "one JSON object a line") from None
    if not isinstance(record, dict):
        raise InputError(f"{where}: not a JSON object", "one JSON object a line")
    if field not in record:
        names = ", ".join(map(shown, sorted(record)[:12])) or "none"
        raise InputError(
            f"{where}: no field {field!r}", f"it has {names}; choose with {path}:FIELD"
        )
    text = record[field]
    if not isinstance(text, str):
        raise InputError(f"{where}: field {field!r} is {type(text).__name__}, not a text")
    _check_writable(text, where)
    return text


def _check_writable(text: str, where: str) -> None:
    """Raise `InputError` for half characters (lone surrogates), which no file could hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: character {error.start} is half a character (a lone surrogate)"
        ) from None
