"""Files below folders and patterns: which of them are read, and which are passed over.

Hidden files and folders are passed over, links to folders are not followed, and ``.memoriaignore``
in a folder says in git's form what else is left out below it.
"""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from memoria.errors import InputError, MemoriaError, StorageError
from memoria.io.bounds import open_regular
from memoria.io.files import (
    Kind,
    check_name,
    classify,
    is_stream,
    is_zarr_folder,
    reading,
    shown_name,
    split_key,
)

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE: Final = ".memoriaignore"
_IGNORE_BYTES: Final = 2**20
_MEMORY: Final = b'"memoria"'  # in the root of a store
_ROOT_BYTES: Final = 64


@dataclass(frozen=True)
class FoundInput:
    """An input by its name.

    Attributes:
        name: as it was given, or below the folder as that was given.
        path: its real path; "" of what is no file: standard input, a pipe.
        key: what follows the path in ``FILE.npz:KEY``; "" where nothing does.
        listed: it was found below a folder or by a pattern, and not named itself.
    """

    name: str
    path: str
    key: str = ""
    listed: bool = False

    @property
    def resolved(self) -> str:
        """The real path, with the key."""
        return f"{self.path}:{self.key}" if self.key else self.path


@dataclass(frozen=True)
class Scope:
    """What a folder or a pattern, as named, stands for: what is below ``root`` and fits."""

    root: str
    pattern: str = ""
    name: str = ""

    def holds(self, path: str) -> bool:
        """Whether the file at this real path is, or was, one that it stands for."""
        if not path.startswith(self.root):
            return False
        return not self.pattern or _fits(self.pattern, path[len(self.root) :])


@dataclass
class Listing:
    """What inputs stand for.

    Attributes:
        inputs: the files and other inputs in order, each once.
        scopes: the folders and patterns among what was named.
        unlisted: real paths of folders that could not be listed.
        faults: what was found and cannot be read, by its name: folders, links that lead nowhere,
            and files of a name that is not UTF-8.
        others: names of files that were found and are of no kind that is wanted.
    """

    inputs: list[FoundInput] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    unlisted: set[str] = field(default_factory=set)
    faults: dict[str, MemoriaError] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def keep_kinds(self, kinds: Collection[Kind]) -> None:
        """Leave out what was found and is of another kind, or has a name that none can keep.

        What was named itself stays.
        """
        found, self.inputs = self.inputs, []
        for one in found:
            if one.listed and not is_of(one.name, kinds):
                self.others.append(shown_name(one.name))
                continue
            try:
                if one.listed:
                    check_name(one.name)
            except InputError as error:
                self.faults[shown_name(one.name)] = error
            else:
                self.inputs.append(one)

    def empty_folders(self) -> list[str]:
        """The folders that were named and hold no input, and no fault that is to be told."""

        def has_input(scope: Scope) -> bool:
            below = os.path.join(os.path.normpath(scope.name), "")
            return any(
                one.path.startswith(scope.root) or one.name.startswith(below) for one in self.inputs
            )

        folders = [scope for scope in self.scopes if not (scope.pattern or self.faults)]
        return [scope.name for scope in folders if not has_input(scope)]

    def holds(self, path: str) -> bool:
        """Whether a file at this real path would have been found."""
        if any(path.startswith(folder + os.sep) for folder in self.unlisted):
            return False
        return any(scope.holds(path) for scope in self.scopes)


def list_inputs(
    names: Sequence[str], without: str | None = None, each_once: bool = False
) -> Listing:
    """The inputs that ``names`` stand for: files themselves, folders and patterns what they hold.

    What is found is an input once, whatever else stands for it; with ``each_once`` what is named
    too.

    A pattern has ``*``, ``?`` or ``[``, and ``**`` for any number of folders; a file of that very
    name comes first. The folder ``without``, such as the store, and other stores are left out.

    Raises:
        InputError: a pattern fits nothing.
        StorageError: a folder that was named cannot be listed.
    """
    found = Listing()
    avoided = None if without is None else os.path.realpath(without)
    seen: set[str] = set()
    for name in names:
        for one in _expand(name, found, avoided):
            if (one.listed or each_once) and one.path and one.resolved in seen:
                continue
            seen.add(one.resolved)
            found.inputs.append(one)
    return found


def find_input(name: str, listed: bool = False) -> FoundInput:
    """The input of this name, whether it is there or not."""
    if is_stream(name):
        return FoundInput(name, "", listed=listed)
    path, key = split_key(name)
    real = os.path.realpath(path)
    is_file = not os.path.exists(real) or os.path.isfile(real) or os.path.isdir(real)
    return FoundInput(name, real if is_file else "", key or "", listed)


def _expand(name: str, found: Listing, avoided: str | None) -> Iterator[FoundInput]:
    if os.path.isdir(name) and not is_zarr_folder(name):
        with reading(name):
            os.listdir(name)
        real = os.path.realpath(name)
        found.scopes.append(Scope(os.path.join(real, ""), name=name))
        yield from _walk(name, real, found, avoided)
    elif glob.has_magic(name) and not os.path.lexists(split_key(name)[0]):
        yield from _expand_pattern(name, found, avoided)
    elif is_zarr_folder(name) and os.path.realpath(name) == avoided:
        raise InputError(f"{name}: is the memory itself, not an input", "name what it is to read")
    else:
        yield find_input(name)


def _expand_pattern(name: str, found: Listing, avoided: str | None) -> Iterator[FoundInput]:
    head = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), Path(name).parts))
    real = os.path.join(os.path.realpath(head), "")
    found.scopes.append(Scope(real, os.path.relpath(name, head)))
    paths = sorted(glob.glob(name, recursive=True))
    if not paths:
        raise InputError(f"{name}: nothing has such a name", "name a file, a folder or a pattern")
    for path in paths:
        if os.path.isdir(path) and not is_zarr_folder(path):
            if "**" not in name:
                yield from _walk(path, os.path.realpath(path), found, avoided)
        elif os.path.isfile(path) or os.path.isdir(path):
            yield find_input(path, listed=True)


def _walk(name: str, real: str, found: Listing, avoided: str | None) -> Iterator[FoundInput]:
    """The files below the folder ``name``, whose real path is ``real``, in the order of names."""
    ignoring: tuple[tuple[str, GitIgnoreSpec], ...] = ()
    stack = [(os.path.normpath(name), real, "", ignoring)]
    while stack:
        folder, place, below, ignoring = stack.pop()
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            found.unlisted.add(place)
            _tell(found, folder, error.strerror or str(error))
            continue
        if any(entry.name == IGNORE_FILE for entry in entries):
            ignoring = (*ignoring, (below, _read_ignored(os.path.join(place, IGNORE_FILE))))
        folders = []
        for entry in entries:
            path = below + entry.name
            if entry.name.startswith("."):
                continue
            named = entry.name if folder == os.curdir else os.path.join(folder, entry.name)
            if entry.is_dir(follow_symlinks=False):
                if is_zarr_folder(entry.path):
                    if not _is_store(entry.path) and not _is_ignored(path + "/", ignoring):
                        yield FoundInput(named, entry.path, listed=True)
                elif entry.path != avoided and not _is_ignored(path + "/", ignoring):
                    folders.append((named, entry.path, path + "/", ignoring))
            elif entry.is_file() and not _is_ignored(path, ignoring):
                target = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                yield FoundInput(named, target, listed=True)
            elif entry.is_symlink() and not entry.is_dir():
                _tell(found, named, "the link leads nowhere")
        stack += reversed(folders)


def _tell(found: Listing, name: str, fault: str) -> None:
    shown = shown_name(name)
    found.faults[shown] = StorageError(f"{shown}: cannot be read: {fault}")


def _is_ignored(path: str, ignoring: Sequence[tuple[str, GitIgnoreSpec]]) -> bool:
    """Whether the innermost pattern that fits ``path`` leaves it out; a folder ends in ``/``."""
    for below, spec in reversed(ignoring):
        said = spec.check_file(path[len(below) :]).include
        if said is not None:
            return said
    return False


def is_of(name: str, kinds: Collection[Kind]) -> bool:
    """Whether a file is of one of the kinds; True where that cannot be found out."""
    try:
        return classify(name) in kinds
    except InputError:
        return False
    except StorageError:
        return True


def _read_ignored(path: str) -> GitIgnoreSpec:
    """The patterns of a file. Raises `InputError` for one that is no UTF-8 text."""
    from pathspec import GitIgnoreSpec

    with reading(path), open(open_regular(path), "rb") as file:
        raw = file.read(_IGNORE_BYTES)
    try:
        return GitIgnoreSpec.from_lines(raw.decode("utf-8").splitlines())
    except ValueError as error:
        raise InputError(f"{path}: {error}", "write it in git's form, in UTF-8") from None


def _is_store(folder: str) -> bool:
    """Whether a Zarr folder is a memory: no input."""
    try:
        with open(open_regular(os.path.join(folder, "zarr.json")), "rb") as file:
            return _MEMORY in file.read(_ROOT_BYTES)
    except (OSError, ValueError):
        return False


def _fits(pattern: str, path: str) -> bool:
    """Whether a path below the pattern's first folder fits it, itself or a folder above it."""
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines([f"/{pattern}"]).match_file(path)
