"""Which kind of input a path names, and the system's refusals as our errors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias

from memoria.errors import InputError, StorageError
from memoria.io.bounds import open_regular

Kind: TypeAlias = Literal["array", "text", "image"]

_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys((".npy", ".npz", ".pt", ".safetensors", ".zarr"), "array"),
    **dict.fromkeys((".txt", ".md", ".jsonl"), "text"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"), "image"),
}
_KEYED = re.compile(r"(.*?\.(?:npz|pt|safetensors|zarr|jsonl)/*):(.+)", re.DOTALL | re.IGNORECASE)
_ZARR_MARKS: Final = ("zarr.json", ".zarray", ".zgroup")


def split_key(spec: str) -> tuple[str, str | None]:
    """``"a.npz:x"`` -> ``("a.npz", "x")``; a path that exists as it stands has no key.

    A folder of zarr's may have any name.
    """
    if os.path.lexists(spec):
        return spec, None
    for colon in re.finditer(":", spec[:-1]):
        if _is_zarr_folder(spec[: colon.start()]):
            return spec[: colon.start()], spec[colon.end() :]
    match = _KEYED.fullmatch(spec)
    return (spec, None) if match is None else (match[1], match[2])


def extension(path: str) -> str:
    """The extension in lower case, ``".zarr"`` for any folder that zarr can open."""
    if os.path.isdir(path):
        return ".zarr" if _is_zarr_folder(path) else ""
    return os.path.splitext(path)[1].lower()


def _is_zarr_folder(path: str) -> bool:
    return any(os.path.exists(os.path.join(path, mark)) for mark in _ZARR_MARKS)


def classify(spec: str | os.PathLike[str]) -> Kind:
    """``"array"``, ``"text"`` or ``"image"``, by extension. ``-`` is text.

    Raises `InputError` when nothing is there, for a folder (other than zarr's) and for an unknown
    extension, `StorageError` when the place cannot be looked at.
    """
    spec = os.fspath(spec)
    if spec == "-":
        return "text"
    path, key = split_key(spec)
    with reading(path):
        os.stat(path)
    ending = extension(path)
    if os.path.isdir(path) and ending != ".zarr":
        raise InputError(f"{path}: is a directory", "name the files in it")
    kind = _KINDS.get(ending)
    if kind is None:
        raise InputError(
            f"{path}: unknown kind of file {ending!r}", f"known are {' '.join(_KINDS)}"
        )
    if key is not None and kind == "image":
        raise InputError(f"{spec}: an image has no parts", "leave out what follows the colon")
    return kind


def check_file(path: str) -> int:
    """The size in bytes of a readable, regular file that is not empty; else raises."""
    with reading(path), open(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise InputError(f"{path}: is empty")
    return size


def printable(text: str) -> str:
    """Text from a file as one harmless line: what does not print is escaped, the rest cut off."""
    line = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return line if len(line) <= 200 else line[:200] + "..."


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn the system's errors into ours, with the path."""
    try:
        yield
    except (InputError, StorageError):
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory", "name the files in it") from None
    except ValueError as error:  # such as a zero byte in the name
        if "not a regular file" in str(error):
            raise InputError(f"{path}: is not a regular file") from None
        if "null" not in str(error):
            raise
        raise InputError(f"{path!r}: is no file name") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from None
