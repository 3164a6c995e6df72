"""A memory as one file: a zip of its store, the same bytes for the same memory.

Entries are stored without compression, by name in ascending order, with one date, and hold what
is committed and nothing else, so that two archives of one state are equal, and reading verbs open
one where it lies.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, Final

from memoria.chunkstore.commit import Encoder, store_files
from memoria.chunkstore.root import ROOT_NAME
from memoria.errors import StoreNotFoundError
from memoria.io.atomic_write import atomic_write
from memoria.io.progress import Progress, progress_bar
from memoria.store.copying import Contents, contents, copy_memory, living_ids
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import open_files

ARCHIVE_SUFFIX: Final = ".memoria.zip"
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_MODE: Final = 0o100644 << 16
_PART: Final = 2**20


def write_archive(
    files: MemoryFiles,
    out: str | os.PathLike[str],
    history: bool = True,
    force: bool = False,
    progress: Progress | bool = False,
) -> dict[str, Any]:
    """Write the memory, now or in the past that ``files`` is a view of, to the file ``out``.

    Without ``history`` only what is alive goes along, without snapshots. ``out`` is there as a
    whole or not at all; an existing one raises `StoreExistsError` unless ``force``. ``progress``
    is called with (files done, files in all); True shows a bar. Returns
    ``path``, ``step``, ``digest``, ``engrams``, ``bytes`` and ``sha256``.
    """
    place = Path(os.path.abspath(out))
    alive = living_ids(files)
    held = contents(files) if history else contents(files, alive, snapshots={})
    with atomic_write(place, force) as temporary:
        with (
            open(temporary, "xb") as handle,
            progress_bar(progress, "exporting", "files") as show,
        ):
            _write_zip(handle, held, show)
        with open(temporary, "rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
            size = os.fstat(written.fileno()).st_size
    return {
        "path": str(place),
        "step": held.attributes.step,
        "digest": held.attributes.digest,
        "engrams": len(alive),
        "bytes": size,
        "sha256": sha256,
    }


def write_copy(
    files: MemoryFiles, out: str | os.PathLike[str], history: bool = True
) -> dict[str, Any]:
    """Write the memory as a store of its own at ``out``; otherwise as `write_archive`."""
    alive = living_ids(files)
    if history:
        copy_memory(files, out)
    else:
        copy_memory(files, out, alive, snapshots={})
    with closing(open_files(out)) as copy:
        return {
            "path": str(copy.path),
            "step": copy.attributes.step,
            "digest": copy.attributes.digest,
            "engrams": len(alive),
            "bytes": copy.stored_bytes(),
        }


def import_archive(
    archive: str | os.PathLike[str],
    path: str | os.PathLike[str],
    progress: Progress | bool = False,
) -> dict[str, Any]:
    """Make the memory in the file ``archive`` a store at ``path``, every chunk verified.

    Args:
        archive: a file that `write_archive` made.
        path: where nothing is yet; the store is there as a whole or not at all.
        progress: called with (bytes written, bytes of all); True shows a bar.

    Returns:
        ``path``, ``step``, ``digest`` and ``engrams``.

    Raises:
        StoreNotFoundError: there is no such file.
        DamageError: the archive is not sound.
        StoreExistsError: something is at ``path``.
    """
    if not Path(archive).is_file():
        raise StoreNotFoundError(f"{archive}: no archive", "name a file that export made")
    with closing(open_files(archive)) as files:
        alive = living_ids(files)  # before anything is written: it may not follow
        with progress_bar(progress, "importing", "bytes") as show:
            copy_memory(files, path, progress=show)
        return {
            "path": os.path.abspath(path),
            "step": files.attributes.step,
            "digest": files.attributes.digest,
            "engrams": len(alive),
        }


def _write_zip(handle: BinaryIO, held: Contents, progress: Progress) -> None:
    entries = sorted(_entries(held).items())
    with zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
        for done, (name, encode) in enumerate(entries, 1):
            parts = [memoryview(part).cast("B") for part in encode() if len(part)]
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = 3, _MODE
            entry.file_size = sum(len(part) for part in parts)
            with archive.open(entry, "w") as target:
                for part in parts:
                    target.write(part)
            progress(done, len(entries))


def _entries(held: Contents) -> dict[str, Encoder]:
    """Every file of the store, by its name in it."""
    root = held.root()
    return {ROOT_NAME: lambda: [root.encode()], **dict(store_files(root, held.values()))}
