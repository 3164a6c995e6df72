"""`Analysis`: what an analysis found, as tables of columns, with what a plot of it would say."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from memoria.errors import InputError, MissingExtraError
from memoria.io.data_frame import data_frame

if TYPE_CHECKING:
    import pandas

__all__ = ["Analysis", "Column", "Frame"]

Column = npt.NDArray[Any]
Frame = dict[str, Column]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Named tables (``frames``) of named columns of one length; the first table is the main one.

    ``note`` tells what is special about these numbers, or is empty. ``options`` are those the
    analysis was made with. NaN in a column: there is no such number.
    """

    kind: str
    title: str
    x_label: str
    y_label: str
    note: str
    frames: dict[str, Frame]
    options: Mapping[str, Any] = field(default_factory=dict)

    def frame(self, name: str | None = None) -> Frame:
        """A table by name, or the main one. Raises `InputError`."""
        if name is None:
            return next(iter(self.frames.values()))
        if name not in self.frames:
            known = ", ".join(self.frames)
            raise InputError(f"frame = {name!r}: there is none", f"there are: {known}")
        return self.frames[name]

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
            "options": dict(self.options),
            "frames": {
                name: {column: _plain(values) for column, values in frame.items()}
                for name, frame in self.frames.items()
            },
        }

    def to_pandas(self, name: str | None = None) -> pandas.DataFrame:
        """The main table, or another one, as a data frame. Needs the extra ``viz``."""
        return data_frame(self.frame(name))

    def write_parquet(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """Write the main table, or another one, as a parquet file. Needs the extra ``parquet``.

        The key ``memoria`` of its metadata holds kind, title, note and options as JSON.
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


def _plain(values: Column) -> list[Any]:
    listed: list[Any] = values.tolist()
    if values.dtype.kind != "f" or bool(np.isfinite(values).all()):
        return listed
    return [one if np.isfinite(one) else None for one in listed]
