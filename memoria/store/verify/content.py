"""Every byte of every chunk file, and the numbers in them that can never be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.chunkstore.codec import CRC_BYTES, ChunkFile
from memoria.chunkstore.root import Root
from memoria.chunkstore.sources.local import FileReplacedError, NotAFileError, Source
from memoria.chunkstore.spec import ArraySpec
from memoria.errors import DamageError
from memoria.store.verify.damaged import Damage
from memoria.store.verify.root_check import said
from memoria.store.verify.tree import Tree

_TRIES: Final = 16
_AT_ONCE: Final = 2**24  # bytes of a file that is read in one go
_MOST_CHUNK: Final = 2**26  # bytes; no array of the format has greater ones


def read_all(source: Source, root: Root, tree: Tree, show: Callable[[int], None]) -> list[Damage]:
    """Read and verify every chunk of every file that is there; ``show`` gets the bytes read."""
    damages: list[Damage] = []
    for name, (spec, rows) in root.arrays.items():
        if spec.chunk_bytes > _MOST_CHUNK:
            message = f"has chunks of {spec.chunk_bytes} bytes, which none of this format has"
            damages.append(Damage("metadata", name, name, 0, rows, message))
            continue
        for number, size in sorted(tree.present.get(name, {}).items()):
            found = None
            for _ in range(_TRIES):  # a writer may replace the last file while it is read
                found = _file(source, spec, rows, number) if found is None else found
            damages += found or []
            show(size)
    return damages


def _file(source: Source, spec: ArraySpec, rows: int, number: int) -> list[Damage] | None:
    """What is wrong with one chunk file; None where it was replaced meanwhile."""
    place = f"{spec.name}/{spec.file_name(number)}"
    first = number * spec.file_rows
    last = max(first, min(rows, first + spec.file_rows))
    out: list[Damage] = []

    def bad(kind: str, message: str, a: int = first, b: int = last) -> None:
        out.append(Damage(kind, place, spec.name, min(a, last), min(b, last), message))

    try:
        opened = _opened(source, spec, place)
        needed = -(-(last - first) // spec.chunk_rows)
        if opened.chunks < needed:
            begin = first + opened.chunks * spec.chunk_rows
            message = f"holds {opened.chunks} chunks, the committed rows need {needed}"
            bad("size", message, begin)
        try:
            opened.check_index()
        except DamageError as error:
            bad("checksum", _words(error, source.place(place), spec))
        content = opened.file.read(0, opened.file.size) if opened.file.size <= _AT_ONCE else None
        for chunk in range(opened.chunks):
            begin = first + chunk * spec.chunk_rows
            try:
                values = _chunk(opened, spec, chunk, content)
            except DamageError as error:
                words = _words(error, source.place(place), spec)
                if begin >= last:
                    words += ", where no committed row lies"
                bad("checksum", words, begin, begin + spec.chunk_rows)
            else:
                for row in _unlawful(spec, values[: max(0, last - begin)]):
                    bad("vector", "holds a number that is not finite", begin + row, begin + row)
        opened.file.close()
    except DamageError as error:
        kind = "checksum" if "checksum" in error.message else "size"
        bad(kind, _words(error, source.place(place), spec))
    except NotAFileError as error:
        bad("missing", f"is {error.strerror}")
    except FileNotFoundError:
        bad("missing", "missing")
    except FileReplacedError:
        return None
    except OSError as error:
        bad("unreadable", said(error, source.place(place)))
    return out


def _opened(source: Source, spec: ArraySpec, place: str) -> ChunkFile:
    file = ChunkFile(source.open(place), spec, source.place(place))
    span = file.index_span()
    if span is not None:
        file.take_index(file.file.read(*span[1:]))
    return file


def _chunk(
    file: ChunkFile, spec: ArraySpec, number: int, content: bytes | None
) -> npt.NDArray[Any]:
    """The rows of one chunk, verified; out of the file's ``content`` where that is known."""
    offset, length = file.offset(number), spec.chunk_bytes + CRC_BYTES
    data = file.file.read(offset, length) if content is None else content[offset : offset + length]
    file.check(number, data)
    size = spec.chunk_bytes // spec.np_dtype.itemsize
    return np.frombuffer(data, spec.np_dtype, size).reshape(spec.chunk_rows, *spec.row_shape)


def _unlawful(spec: ArraySpec, values: npt.NDArray[Any]) -> list[int]:
    """Rows of vectors, or of their scales, with numbers that none can have."""
    if spec.name.rpartition("/")[2] not in ("vectors", "scales"):
        return []
    lawful = values != spec.fill if spec.dtype == "i1" else np.isfinite(values)
    if spec.dtype == "f4" and not spec.row_shape:
        lawful &= values >= 0
    if lawful.all():
        return []
    wrong: list[int] = np.flatnonzero(~lawful.reshape(len(values), -1).all(axis=1)).tolist()
    return wrong


def _words(error: DamageError, place: str, spec: ArraySpec) -> str:
    return said(error, place).removesuffix(f" (array '{spec.name}')")
