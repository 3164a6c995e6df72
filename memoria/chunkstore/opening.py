"""From what a user names a store by to the source that it is read from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from memoria.chunkstore.root import ROOT_NAME, is_store
from memoria.chunkstore.sources.buckets import SCHEME, Bucket
from memoria.chunkstore.sources.local import LocalSource, Source
from memoria.chunkstore.sources.s3 import ObjectSource
from memoria.chunkstore.sources.zip import ZipSource
from memoria.chunkstore.trouble import storage_error
from memoria.errors import StoreNotFoundError, UsageError

__all__ = ["source_at"]

_ZIP: Final = ".zip"


def source_at(path: str | os.PathLike[str], writable: bool) -> Source:
    """The store at ``path``: a directory, or, to be read only, a zip file or an s3:// URL.

    Raises `StoreNotFoundError` where there is none, `UsageError` for one that cannot be written.
    """
    if isinstance(path, str) and path.startswith(SCHEME):
        if writable:
            raise UsageError(
                f"{path}: a store on object storage is only read", "`memoria pull` brings it here"
            )
        remote = ObjectSource(Bucket(path))
        return _with_root(remote, f"{remote.place('')}: no store")
    place = Path(os.path.abspath(path))
    try:
        found = place.is_dir() and is_store(place)
        archive = not found and place.suffix.lower() == _ZIP and place.is_file()
    except OSError as error:
        raise storage_error(place, "cannot open the store", error) from None
    if found:
        return LocalSource(place)
    if not archive:
        raise StoreNotFoundError(f"{place}: no store", "create one with `memoria init`")
    if writable:
        raise UsageError(
            f"{place}: an archive is only read", "`memoria import` makes a store of it"
        )
    source = ZipSource(place)
    return _with_root(source, f"{place}: an archive, but not of a memory")


def _with_root(source: Source, otherwise: str) -> Source:
    try:
        source.entry(ROOT_NAME)
    except FileNotFoundError:
        source.close()
        raise StoreNotFoundError(otherwise) from None
    return source
