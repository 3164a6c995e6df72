"""A memory in other programs' formats: `FORMATS` by name, each in a module of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from memoria.errors import InputError
from memoria.exports.content import Content
from memoria.exports.graphml import write_graphml
from memoria.exports.jsonl import write_jsonl
from memoria.exports.parquet import PARQUET_FILES, write_parquet
from memoria.io.atomic_write import atomic_write
from memoria.io.progress import Progress, progress_bar
from memoria.query.inspection import Inspection
from memoria.store.schema import EDGES_PER_ENGRAM

__all__ = ["FORMATS", "Format", "export_memory"]


@dataclass(frozen=True)
class Format:
    """What writes a format, whether it can hold vectors, and the ``files`` of one that is a folder.

    ``write`` gets the path to write to, at which there is nothing.
    """

    write: Callable[[Content, Path], None]
    vectors: bool = True
    files: frozenset[str] = frozenset()

    def made(self, folder: Path) -> bool:
        """Whether ``folder`` can be an export of this format."""
        return bool(self.files) and set(os.listdir(folder)) <= self.files


FORMATS: Final = {
    "parquet": Format(write_parquet, files=PARQUET_FILES),
    "jsonl": Format(write_jsonl),
    "graphml": Format(write_graphml, vectors=False),
}


def export_memory(
    view: Inspection,
    out: str | os.PathLike[str],
    form: str,
    *,
    force: bool = False,
    vectors: bool = False,
    forgotten: bool = False,
    edges: int = EDGES_PER_ENGRAM,
    progress: Progress | bool = False,
) -> dict[str, Any]:
    """Write a memory to a file or folder, which is there as a whole or not at all.

    Args:
        view: what is written.
        out: where.
        form: one of `FORMATS`.
        force: replace a file, or a folder that is such an export.
        vectors: write vectors too.
        forgotten: write all engrams, not only the living.
        edges: strongest connections that are written of each engram.
        progress: True for a tqdm bar, or what is called with (rows written, 0).

    Returns:
        ``format``, ``path``, ``step``, ``engrams``, ``edges`` (how many) and ``bytes``.

    Raises:
        InputError: the form does not take what is asked for.
        StoreExistsError: something is at ``out``.
        StorageError: the system refuses.
        MissingExtraError: the form's packages are not installed.
    """
    if form not in FORMATS:
        raise InputError(f"format = {form!r}: unknown", f"known are {', '.join(FORMATS)}")
    chosen = FORMATS[form]
    if vectors and not chosen.vectors:
        able = ", ".join(name for name, one in FORMATS.items() if one.vectors)
        raise InputError(f"format = {form!r}: holds no vectors", f"these do: {able}")
    place = Path(os.path.abspath(out))
    with (
        progress_bar(progress, "exporting", "rows") as show,
        atomic_write(place, force, replaces=chosen.made) as temporary,
    ):
        content = Content(view, vectors, forgotten, edges, show)
        chosen.write(content, temporary)
        size = _size(temporary)
    return {
        "format": form,
        "path": str(place),
        "step": view.step,
        "engrams": len(content.table),
        "edges": content.edges_taken,
        "bytes": size,
    }


def _size(place: Path) -> int:
    files = place.iterdir() if place.is_dir() else [place]
    return sum(file.stat().st_size for file in files)
