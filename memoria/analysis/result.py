"""`Analysis`: what an analysis found, as tables of columns, and as files of them."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy.typing as npt

from memoria.analysis.describing import describe
from memoria.errors import InputError, MissingExtraError
from memoria.io.atomic_write import atomic_write
from memoria.io.data_frame import data_frame
from memoria.query.documents import finite_or_none

if TYPE_CHECKING:
    import pandas

TABLES: Final = ("csv", "json", "parquet")

Column = npt.NDArray[Any]
Table = dict[str, Column]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Named tables of named columns of one length, and what a plot of them says.

    Attributes:
        kind: one of `memoria.analysis.KINDS`.
        title, x_label, y_label: words of a plot.
        note: what is special about these numbers, or "".
        frames: the tables by name, the main one first. NaN in a column: there is no such number.
        options: those the analysis was made with.
    """

    kind: str
    title: str
    x_label: str
    y_label: str
    note: str
    frames: dict[str, Table]
    options: Mapping[str, Any] = field(default_factory=dict)

    def frame(self, name: str | None = None) -> Table:
        """A table by name, or the main one. Raises `InputError`."""
        if name is None:
            return next(iter(self.frames.values()))
        if name not in self.frames:
            known = ", ".join(self.frames)
            raise InputError(f"frame = {name!r}: there is none", f"there are: {known}")
        return self.frames[name]

    @property
    def alt(self) -> str:
        """What a picture of it shows, in words."""
        return describe(self)

    def __len__(self) -> int:
        """Rows of the main table."""
        return len(next(iter(self.frame().values())))

    def document(self) -> dict[str, Any]:
        """All of it for JSON, columns as lists: ``pandas.DataFrame(document["frames"][name])``.

        NaN and infinite numbers become None.
        """
        return {
            "kind": self.kind,
            "title": self.title,
            "x_label": self.x_label,
            "y_label": self.y_label,
            "note": self.note,
            "alt": self.alt,
            "options": dict(self.options),
            "frames": {
                name: {column: plain_list(values) for column, values in frame.items()}
                for name, frame in self.frames.items()
            },
        }

    def to_pandas(self, name: str | None = None) -> pandas.DataFrame:
        """The main table, or another one, as a data frame. Needs the extra ``viz``."""
        return data_frame(self.frame(name))

    def write_parquet(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """Write a table as a parquet file. Needs the extra ``parquet``.

        The key ``memoria`` of its metadata holds kind, title, note and options as JSON.

        Args:
            path: the file.
            name: of the table; None: the main one.
        """
        frame = self.frame(name)
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise MissingExtraError("writing parquet", "parquet") from None
        document = self.document()
        about = {key: document[key] for key in ("kind", "title", "note", "options")}
        table = pa.table({key: pa.array(values) for key, values in frame.items()})
        named = table.replace_schema_metadata({"memoria": json.dumps(about)})
        pq.write_table(named, Path(path), compression="zstd")


def plain_list(values: Column) -> list[Any]:
    """A column as numbers and words for JSON; None for NaN and infinite numbers."""
    return finite_or_none(values) if values.dtype.kind == "f" else values.tolist()


def write_table(
    analysis: Analysis,
    path: str | os.PathLike[str],
    frame: str | None = None,
    *,
    force: bool = False,
) -> None:
    """Write numbers to a file, which is there as a whole or not at all.

    Args:
        analysis: the numbers.
        path: the file; its extension, one of `TABLES`, is the format. A .json holds the whole
            `Analysis.document`. Where there is no number a .csv has an empty cell.
        frame: name of the table to write to a .csv or .parquet; None: the main one.
        force: replace what is there.

    Raises:
        InputError: the extension or the table is unknown.
        StoreExistsError, StorageError: the file is there, or cannot be written.
        MissingExtraError: a .parquet without the extra ``parquet``.
    """
    form = file_format(path, TABLES, "table")
    analysis.frame(frame)
    with atomic_write(os.path.abspath(path), force) as temporary:
        if form == "parquet":
            analysis.write_parquet(temporary, frame)
        elif form == "json":
            document = json.dumps(analysis.document(), allow_nan=False)
            temporary.write_text(document + "\n", encoding="utf-8")
        else:
            _write_csv(analysis, temporary, frame)


def _write_csv(analysis: Analysis, path: Path, frame: str | None) -> None:
    name = next(iter(analysis.frames)) if frame is None else frame
    columns = analysis.document()["frames"][name]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def file_format(path: str | os.PathLike[str], formats: Sequence[str], what: str) -> str:
    """The one of ``formats`` that the extension of ``path`` names; ``what`` they are, for messages.

    Raises:
        InputError: it names none of them.
    """
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in formats:
        known = ", ".join(f".{one}" for one in formats)
        raise InputError(f"{path}: the extension names no {what}", f"known are {known}")
    return form
