"""NumPy's .npz: arrays alone, of numbers and letters, that load without pickle."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from memoria.exports.content import Content
from memoria.query.engram_table import TYPE_NAMES

__all__ = ["write_npz"]

_ENGRAMS: Final = (
    *("ids", "lanes", "index", "types", "lifespan", "age", "fires", "pinned"),
    *("created_step", "created_time", "forgotten_step"),
)
_NAMES: Final = (
    *("id", "lane", "index", "type", "lifespan", "age", "fire_count", "pinned"),
    *("created_step", "created_time", "forgotten_step"),
)
_EDGES: Final = {"source": "<i8", "target": "<i8", "cofire_count": "<i8", "weight": "<f8"}


def write_npz(content: Content, out: Path) -> None:
    """One array a column; see the page of the export for their names.

    ``type`` counts in ``type_names``, ``source`` in the texts of ``source_ends``; -1 is none.
    Text i is ``text_bytes[text_ends[i-1]:text_ends[i]]``, UTF-8, empty where there is none.
    """
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, column in zip(_NAMES, _ENGRAMS, strict=True):
            _write(archive, name, getattr(content.table, column))
        _write(archive, "type_names", np.array(TYPE_NAMES))
        _write_texts(archive, content, out.parent)
        if content.vectors:
            shape = (len(content.table), content.view.config.hidden_dim)
            with _member(archive, "vectors", "<f4", shape) as file:
                for block in content.engrams():
                    file.write(content.view.vectors(block.ids).astype("<f4").tobytes())
        spools = {name: _Spool(kind, out.parent) for name, kind in _EDGES.items()}
        for edges in content.edges():
            for name, spool in spools.items():
                spool.append(edges[name])
        for name, spool in spools.items():
            spool.write(archive, f"edge_{name}")
        log = content.view.firings
        _write(archive, "firing_step", log.steps)
        _write(archive, "firing_id", log.ids)
        _write(archive, "firing_lifespan", log.expiry - log.steps)
        for name, values in content.steps().items():
            _write(archive, "step" if name == "step" else f"step_{name}", values)
        _write(archive, "about", _letters([json.dumps(content.about())])[0])


def _write_texts(archive: zipfile.ZipFile, content: Content, folder: Path) -> None:
    """The texts and sources of the engrams."""
    spool = _Spool("u1", folder)
    sources: dict[str, int] = {}
    sizes: list[npt.NDArray[np.int64]] = []
    where: list[tuple[int, int]] = []
    for block in content.engrams():
        documents = content.view.documents(block)
        raw, size = _letters([one["text"] or "" for one in documents])
        spool.append(raw)
        sizes.append(size)
        for one in documents:
            name = one["source"]
            number = -1 if name is None else sources.setdefault(name, len(sources))
            where.append((number, -1 if name is None else one["offset"]))
    spool.write(archive, "text_bytes")
    _write(archive, "text_ends", np.cumsum(np.concatenate([np.empty(0, np.int64), *sizes])))
    places = np.array(where, np.int64).reshape(-1, 2)
    _write(archive, "source", places[:, 0])
    _write(archive, "offset", places[:, 1])
    raw, size = _letters(list(sources))
    _write(archive, "source_bytes", raw)
    _write(archive, "source_ends", np.cumsum(size))


def _letters(texts: list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """(UTF-8 of all, bytes of each)."""
    encoded = [text.encode() for text in texts]
    sizes = np.array([len(one) for one in encoded], np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), sizes


def _member(archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int, ...]) -> IO[bytes]:
    """A new array in the archive, with its header written; the numbers come next."""
    file = archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file


def _write(archive: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> None:
    with _member(archive, name, array.dtype.str, array.shape) as file:
        file.write(np.ascontiguousarray(array).tobytes())


class _Spool:
    """A column on the disk, until it is known how long it is."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = np.dtype(kind)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `write` closes it
        self._rows = 0

    def append(self, values: npt.NDArray[Any]) -> None:
        self._file.write(values.astype(self._kind).tobytes())
        self._rows += len(values)

    def write(self, archive: zipfile.ZipFile, name: str) -> None:
        self._file.seek(0)
        with self._file, _member(archive, name, self._kind.str, (self._rows,)) as file:
            shutil.copyfileobj(self._file, file, 2**20)
