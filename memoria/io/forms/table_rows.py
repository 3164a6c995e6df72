"""Rows of tables in .csv and .tsv files, as records named by the first row."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from typing import Final

from memoria.errors import InputError
from memoria.io.files import reading
from memoria.io.forms.records import record_sections
from memoria.io.forms.source import TextSource, decode
from memoria.io.text_unit import Section

_FIELD: Final = 1 << 24  # characters of a cell
_SEPARATORS: Final = ",;\t|"
_AFTER_RETURN: Final = re.compile(r"(?<=\r)(?![\n]|\Z)")


def table_sections(source: TextSource) -> Iterator[Section]:
    """The text of each row below the first, which names the columns.

    Columns are parted by the comma, semicolon, tab or bar that the first row has most of.

    Raises:
        InputError: the first row, or another unless these are passed over, cannot be read.
    """
    with reading(source.spoken), source.opened() as file:
        lines = _lines(file, source.spoken)
        blank, first = next((found for found in enumerate(lines) if found[1].strip()), (0, ""))
        counts = {mark: first.count(mark) for mark in _SEPARATORS}
        separator = max(_SEPARATORS, key=lambda mark: counts[mark])
        csv.field_size_limit(_FIELD)
        rows = csv.reader(itertools.chain([first], lines), delimiter=separator, strict=False)
        try:
            names = [name.strip() for name in next(rows, [])]
        except csv.Error as error:
            raise InputError(f"{source.spoken}: line {blank + 1}: not a row: {error}") from None
        while True:
            begin = blank + rows.line_num + 1
            try:
                row = next(rows, None)
            except csv.Error as error:
                source.bad(InputError(f"{source.spoken}: line {begin}: not a row: {error}"))
                continue
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
    """The lines of a file, decoded one by one; a carriage return alone ends one too."""
    start = 0
    for number, line in enumerate(file, 1):  # type: ignore[var-annotated, arg-type]
        text = decode(line, spoken, start)
        start += len(line)
        text = text.removeprefix("\ufeff") if number == 1 else text
        yield from _AFTER_RETURN.split(text) if "\r" in text else (text,)
