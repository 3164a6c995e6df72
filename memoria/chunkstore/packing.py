"""The files of a store as bytes, made from its rows: for what ships a store by other means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from memoria.chunkstore.root import ROOT_NAME, Root
from memoria.chunkstore.sources.local import LocalSource
from memoria.chunkstore.spec import GROUP_METADATA, metadata_bytes
from memoria.chunkstore.staged import StoredArray

__all__ = ["Encoder", "file_names", "store_files"]

Encoder = Callable[[], Sequence[Any]]


def store_files(
    root: Root, rows: Mapping[str, Any], first: Mapping[str, int] | None = None
) -> Iterator[tuple[str, Encoder]]:
    """Every file but the root, with what makes its bytes: committed rows, nothing behind them.

    ``rows`` of each array, as `StoredArray.append` takes them; ``first``: the number of the file
    from which on an array's files are wanted.
    """
    for group in root.groups():
        yield f"{group}/{ROOT_NAME}", partial(_document, GROUP_METADATA)
    for name, (spec, count) in root.arrays.items():
        array = StoredArray(spec, LocalSource(Path()), 0, True)
        array.append(rows[name])
        yield f"{name}/{ROOT_NAME}", partial(_document, spec.metadata(count))
        for index in array.changed_files():
            if first is None or index >= first.get(name, 0):
                yield f"{name}/{spec.file_name(index)}", partial(array.encode, index)


def file_names(root: Root) -> set[str]:
    """The paths of all files that ``root`` needs, the root itself among them."""
    names = {ROOT_NAME, *(f"{group}/{ROOT_NAME}" for group in root.groups())}
    for name, (spec, count) in root.arrays.items():
        names.add(f"{name}/{ROOT_NAME}")
        names |= {f"{name}/{spec.file_name(index)}" for index in range(spec.file_count(count))}
    return names


def _document(document: Any) -> list[bytes]:
    return [metadata_bytes(document)]
