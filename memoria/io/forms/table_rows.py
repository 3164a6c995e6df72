"""Rows of tables in .csv and .tsv files, as records named by the first row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from memoria.errors import InputError
from memoria.io.files import reading
from memoria.io.forms.records import record_sections
from memoria.io.forms.source import TextSource, decode
from memoria.io.text_unit import Section

_FIELD: Final = 1 << 24  # characters of a cell
_SEPARATORS: Final = ",;\t|"


def table_sections(source: TextSource) -> Iterator[Section]:
    """The text of each row below the first, which names the columns.

    Columns are parted by the comma, semicolon, tab or bar that the first row has most of.
    """
    with reading(source.spoken), source.opened() as file:
        lines = _lines(file, source.spoken)
        first = next((line for line in lines if line.strip()), "")
        counts = {mark: first.count(mark) for mark in _SEPARATORS}
        separator = max(_SEPARATORS, key=lambda mark: counts[mark])
        csv.field_size_limit(_FIELD)
        names = next(csv.reader(io.StringIO(first), delimiter=separator), [])
        names = [name.strip() for name in names]
        rows = csv.reader(lines, delimiter=separator, strict=False)
        line = 1
        while True:
            begin = line + 1
            try:
                row = next(rows, None)
            except csv.Error as error:
                line = rows.line_num + 1
                source.bad(InputError(f"{source.spoken}: line {begin}: not a row: {error}"))
                continue
            line = rows.line_num + 1
            if row is None:
                return
            if not any(cell.strip() for cell in row):
                continue
            spoken = f"{source.spoken}: line {begin}"
            try:
                if len(row) > len(names):
                    raise InputError(f"{spoken}: {len(row)} cells, {len(names)} columns are named")
                record = dict(zip(names, row, strict=False))
                yield from record_sections(source, record, begin, spoken)
            except InputError as error:
                source.bad(error)


def _lines(file: io.BufferedIOBase | object, spoken: str) -> Iterator[str]:
    """The lines of a file, decoded one by one."""
    start = 0
    for number, line in enumerate(file, 1):  # type: ignore[var-annotated, arg-type]
        text = decode(line, spoken, start)
        start += len(line)
        yield text.removeprefix("\ufeff") if number == 1 else text
