"""Analyses as files of numbers: .csv and .parquet hold one table, .json all of them."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Final

from memoria.analysis.result import Analysis
from memoria.errors import InputError
from memoria.io.atomic_write import check_free, written_aside

__all__ = ["TABLES", "write_table"]

TABLES: Final = ("csv", "json", "parquet")


def write_table(
    analysis: Analysis,
    path: str | os.PathLike[str],
    frame: str | None = None,
    *,
    force: bool = False,
) -> None:
    """Write the main table, or ``frame``, to ``path``, by its extension one of `TABLES`.

    A .json is the whole `Analysis.document`. Where there is no number .csv has an empty cell. The
    file is there as a whole or not at all, and with ``force`` replaces what is there. Raises
    `InputError`, `StoreExistsError`, `StorageError`, `MissingExtraError`.
    """
    place = Path(os.path.abspath(path))
    form = place.suffix.lower().removeprefix(".")
    if form not in TABLES:
        known = ", ".join(f".{one}" for one in TABLES)
        raise InputError(f"{path}: the extension names no table", f"known are {known}")
    analysis.frame(frame)
    with written_aside(place, lambda: check_free(place, force)) as aside:
        if form == "parquet":
            analysis.write_parquet(aside, frame)
        elif form == "json":
            document = json.dumps(analysis.document(), allow_nan=False)
            aside.write_text(document + "\n", encoding="utf-8")
        else:
            _write_csv(analysis, aside, frame)


def _write_csv(analysis: Analysis, path: Path, frame: str | None) -> None:
    name = next(iter(analysis.frames)) if frame is None else frame
    columns = analysis.document()["frames"][name]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
