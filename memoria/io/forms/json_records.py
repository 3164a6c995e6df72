"""Records in JSON: one a line, or all of them in one document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any, Final

from memoria.errors import InputError
from memoria.io.bounds import parse_json
from memoria.io.files import reading
from memoria.io.forms.records import record_sections
from memoria.io.forms.source import TextSource, not_utf8
from memoria.io.text_unit import Section

LINE: Final = 1 << 24  # bytes of a record
_VALUES: Final = 1 << 20


def jsonl_sections(source: TextSource) -> Iterator[Section]:
    """The text of each line, which holds one JSON object; blank lines are skipped."""
    with reading(source.spoken), source.opened() as file:
        for number, line, start in numbered_lines(file, source.lines_before + 1):
            spoken = f"{source.spoken}: line {number}"
            try:
                record = _record(line, start, number, source.spoken)
                if record is not None:
                    yield from record_sections(source, record, number, spoken)
            except InputError as error:
                source.bad(error)


def json_sections(source: TextSource) -> Iterator[Section]:
    """The text of each object of a list, or of the one object that the document is.

    Raises:
        InputError: it is not JSON, or a record cannot be read (unless these are passed over).
    """
    try:
        document = parse_json(source.all_text(), strict=False)
    except ValueError as error:
        raise InputError(f"{source.spoken}: not JSON: {error}") from None
    records = document if isinstance(document, list) else [document]
    for number, record in enumerate(records, 1):
        spoken = f"{source.spoken}: record {number}"
        try:
            if not isinstance(record, dict):
                raise InputError(f"{spoken}: not a JSON object", "a list of objects is read")
            yield from record_sections(source, record, number, spoken)
        except InputError as error:
            source.bad(error)


def numbered_lines(file: IO[bytes], first: int = 1) -> Iterator[tuple[int, bytes, int]]:
    """Number, bytes and first byte of each line; of one that is too long, its beginning."""
    start = 0
    number = first
    with closing(file):
        while line := file.readline(LINE + 1):
            size = len(line)
            while size > LINE and not line.endswith(b"\n"):  # pass over the rest of it
                more = file.readline(LINE)
                if not more:
                    break
                size += len(more)
                if more.endswith(b"\n"):
                    break
            yield number, line, start
            start += size
            number += 1


def _record(line: bytes, start: int, number: int, spoken: str) -> dict[str, Any] | None:
    """The object on a line, None for a blank one."""
    where = f"{spoken}: line {number}"
    if len(line) > LINE:
        raise InputError(f"{where} has more than {LINE >> 20} MiB")
    try:
        text = line.decode("utf-8").removeprefix("\ufeff" if number == 1 else "")
    except UnicodeDecodeError as error:
        raise not_utf8(f"{spoken}:{number}", start + error.start, line) from None
    if not text.strip():
        return None
    try:
        record = parse_json(text, _VALUES, strict=False)
    except ValueError as error:
        raise InputError(f"{where}: not JSON: {error}", "one JSON object a line") from None
    if not isinstance(record, dict):
        raise InputError(f"{where}: not a JSON object", "one JSON object a line")
    return record
