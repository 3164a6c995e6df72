"""Texts from files, standard input and the command line, in units."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Final

from memoria.errors import InputError, NoTextError
from memoria.io.bounds import open_regular
from memoria.io.files import check_file, find_form, is_stream, reading, split_key
from memoria.io.forms.reading import read_sections
from memoria.io.forms.source import TextSource, check_writable, not_utf8
from memoria.io.forms.table import HEAD, Form, form_by_content
from memoria.io.read_options import ReadOptions, as_options
from memoria.io.text_unit import Section, TextUnit
from memoria.io.units import MAX_UNIT, iter_units, split_long

STANDARD_INPUT: Final = 3 << 26  # bytes, all in memory: it may have to be read twice

_BUFFER: Final = 1 << 16

_Tell = Callable[[str], None]
_Heard = Callable[[int], None]


def read_texts(
    spec: str | os.PathLike[str],
    options: str | ReadOptions = "sentence",
    *,
    stdin: Any = None,
    tell: _Tell = lambda line: None,
    heard: _Heard = lambda size: None,
) -> Iterator[TextUnit]:
    """The units of a text file, or of standard input for ``-``.

    How it becomes sections, with which time and meta, is up to its form (`memoria.io.forms`): told
    by its name, else by its content. ``FILE.jsonl:FIELD`` names the field of records that holds
    their text. A text above 64 MiB is taken in parts, each to the end of a paragraph if there is
    one.

    Args:
        spec: the file.
        options: how it is read; a unit stands for options with that alone.
        stdin: the stream that ``-`` stands for.
        tell: takes a line for each record that is passed over (``skip_bad``).
        heard: takes the number of bytes of each read of the file.

    Raises:
        InputError: the file is missing, not UTF-8 or with NULs (with the byte), malformed (with
            the line) or without any text.
    """
    spec, chosen = os.fspath(spec), as_options(options)
    spoken = "standard input" if spec == "-" else spec
    form, source = open_text(spec, chosen, stdin=stdin, tell=tell, heard=heard)
    return _found(in_units(read_sections(form, source), chosen.unit), spoken)


def open_text(
    spec: str,
    options: ReadOptions,
    *,
    stdin: Any = None,
    tell: _Tell = lambda line: None,
    heard: _Heard = lambda size: None,
) -> tuple[Form, TextSource]:
    """The form of a text, and the text itself, not read yet unless it comes as a stream.

    Args:
        spec: the file, ``FILE.jsonl:FIELD``, or ``-``.
        options: how it is read.
        stdin: the stream that ``-`` stands for.
        tell: takes a line for each record that is passed over.
        heard: takes the number of bytes of each read of the file.

    Raises:
        InputError: it is missing, empty or no text.
    """
    if is_stream(spec):
        data = read_stream(spec, stdin)
        spoken = "standard input" if spec == "-" else spec
        form = form_by_content(data[:HEAD]) or Form("plain")
        return form, TextSource("-", "", spoken, lambda: io.BytesIO(data), options, tell=tell)
    path, field = split_key(spec)
    with reading(path):
        os.stat(path)
    check_file(path)
    found = find_form(path)
    if found is None:
        raise InputError(f"{path}: is not a text file", "texts in UTF-8 are read, and .pdf")
    if field is not None and not found.has_records:
        raise InputError(f"{spec}: {path} has no fields", f"write {path}")
    return found, TextSource(path, path, path, lambda: _opened(path, heard), options, field, tell)


def read_fields(spec: str | os.PathLike[str], field: str) -> Iterator[str]:
    """The texts in one field of each record of a file; ``FILE.jsonl:FIELD`` names another.

    Raises:
        InputError: as `read_texts`; or it is no file of records.
    """
    path, key = split_key(os.fspath(spec))
    form, source = open_text(path, ReadOptions("record", text_field=key or field))
    if not form.has_records:
        raise InputError(f"{path}: is not a .jsonl file", "one JSON object a line")
    for section in read_sections(form, source):
        yield section.unit.text


def literal_texts(
    texts: Sequence[str], options: str | ReadOptions = "sentence"
) -> Iterator[TextUnit]:
    """The units of texts given directly; their sources are ``text:1``, ``text:2`` ...

    Raises:
        InputError: one is empty, or holds what no store keeps.
    """
    named = [TextUnit(text, f"text:{number}", 0) for number, text in enumerate(texts, 1)]
    for text, source, *_ in named:
        check_writable(text, source)
        if not text.strip():
            raise InputError(f"{source}: is empty")
    return _found(in_units(map(Section, named), as_options(options).unit), "the texts")


def in_units(sections: Iterator[Section], unit: str) -> Iterator[TextUnit]:
    """Sections cut into units; see `Section` for those that stay whole."""
    cuts_all = unit == "line" or unit.startswith("window")
    for text, whole in sections:
        if whole == "always":
            if text.text.strip():
                yield text
            continue
        if whole == "block" and not cuts_all:
            pieces = split_long(text.text, MAX_UNIT)
        else:
            pieces = iter_units(text.text, unit)
        for piece in pieces:
            yield text._replace(text=piece.text, offset=text.offset + piece.offset)


def part_break(spec: str, options: str | ReadOptions) -> bytes | None:
    """The bytes behind which a file may be cut, so that no unit depends on both sides.

    None where it has to be read as a whole.
    """
    form = find_form(split_key(spec)[0])
    unit = as_options(options).unit
    if form is None:
        return None
    if form.name in ("jsonl", "log") or (form.name == "plain" and unit == "line"):
        return b"\n"
    return b"\n\n" if form.name == "plain" and unit in ("sentence", "paragraph") else None


def read_part(
    data: bytes,
    spec: str,
    options: str | ReadOptions,
    line: int,
    offset: int,
    tell: _Tell = lambda line: None,
) -> Iterator[TextUnit]:
    """The units of a part of a file, cut where `part_break` says; none is no error.

    Args:
        data: the part.
        spec: the file that it is of.
        options: as in `read_texts`.
        line: lines before it.
        offset: characters before it.
        tell: as in `read_texts`.
    """
    chosen = as_options(options)
    path, field = split_key(spec)
    form = find_form(path) or Form("plain")
    source = TextSource(path, path, path, lambda: io.BytesIO(data), chosen, field, tell, line)
    for unit in in_units(read_sections(form, source), chosen.unit):
        yield unit if form.has_records else unit._replace(offset=unit.offset + offset)


def read_stream(spec: str, stdin: Any = None) -> bytes:
    """All of standard input for ``-``, the process's own by default, or of ``/dev/fd/N``.

    Raises:
        InputError: it is too much to be held.
    """
    spoken = "standard input" if spec == "-" else spec
    if spec != "-":
        with reading(spec), open(spec, "rb") as file:
            data = file.read(STANDARD_INPUT + 1)
    else:
        data = _standard_input(stdin)
    if len(data) > STANDARD_INPUT:
        raise InputError(
            f"{spoken}: more than {STANDARD_INPUT >> 20} MiB",
            "write it to a file first: files may be larger",
        )
    return data


def _standard_input(stdin: Any) -> bytes:
    stream = sys.stdin if stdin is None else stdin
    if stream is None:
        raise InputError("standard input is closed", "name a file, or use --text")
    with reading("standard input"):
        try:
            data = getattr(stream, "buffer", stream).read(STANDARD_INPUT + 1)
        except UnicodeDecodeError as error:
            raise not_utf8("standard input", error.start) from None
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)


class _HeardFile(io.FileIO):
    """A file that tells how many bytes each read brings."""

    def __init__(self, descriptor: int, heard: _Heard) -> None:
        super().__init__(descriptor)
        self._heard = heard

    def readinto(self, buffer: Any, /) -> int | None:
        size = super().readinto(buffer)
        self._heard(size or 0)
        return size

    def readall(self) -> bytes:
        data = super().readall()
        self._heard(len(data))
        return data


def _opened(path: str, heard: _Heard) -> IO[bytes]:
    with reading(path):
        return io.BufferedReader(_HeardFile(open_regular(path), heard), _BUFFER)


def _found(units: Iterator[TextUnit], spoken: str) -> Iterator[TextUnit]:
    found = False
    for unit in units:
        found = True
        yield unit
    if not found:
        raise NoTextError(f"{spoken}: holds no text")
