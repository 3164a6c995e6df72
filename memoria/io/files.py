"""Which kind of input a path names, and the system's refusals as our errors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias

from memoria.errors import InputError, StorageError
from memoria.io.bounds import open_regular
from memoria.io.forms.table import (
    BY_CONTENT,
    ENDINGS,
    HEAD,
    Form,
    form_by_content,
    form_by_name,
    is_image,
    told_by,
)

Kind: TypeAlias = Literal["array", "text", "image"]

_ARRAYS: Final = (".npy", ".npz", ".pt", ".safetensors", ".zarr")
_IMAGES: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(_ARRAYS, "array"),
    **dict.fromkeys(ENDINGS, "text"),
    **dict.fromkeys(_IMAGES, "image"),
}
_SHOWN: Final = (*_ARRAYS, *(one for one in ENDINGS if ENDINGS[one] != "code"), *_IMAGES)
_KEYED: Final = re.compile(
    r"(.*?\.(?:npz|pt|safetensors|zarr(?:\.zip)?|jsonl|ndjson|json|csv|tsv)/*):(.+)",
    re.DOTALL | re.IGNORECASE,
)
ZARR_MARKS: Final = ("zarr.json", ".zarray", ".zgroup")
_STREAM: Final = re.compile(r"/dev/fd/[0-9]+|/proc/self/fd/[0-9]+")


def split_key(spec: str) -> tuple[str, str | None]:
    """``"a.npz:x"`` -> ``("a.npz", "x")``; a path that exists as it stands has no key.

    A folder of zarr's may have any name, and so may a file of records.
    """
    if os.path.lexists(spec):
        return spec, None
    for colon in re.finditer(":", spec[:-1]):
        path = spec[: colon.start()]
        if is_zarr_folder(path) or _has_records(path):
            return path, spec[colon.end() :]
    match = _KEYED.fullmatch(spec)
    return (spec, None) if match is None else (match[1], match[2])


def extension(path: str) -> str:
    """The extension in lower case, ``".zarr"`` for all that zarr can open: folders, .zarr.zip."""
    if os.path.isdir(path):
        return ".zarr" if is_zarr_folder(path) else ""
    if path.lower().endswith(".zarr.zip"):
        return ".zarr"
    return os.path.splitext(path)[1].lower()


def is_zarr_folder(path: str) -> bool:
    return any(os.path.exists(os.path.join(path, mark)) for mark in ZARR_MARKS)


def _has_records(path: str) -> bool:
    """Whether a file is there whose name says nothing and whose content is records."""
    if extension(path) in _KINDS or not os.path.isfile(path):
        return False
    try:
        form = find_form(path)
    except (InputError, StorageError):
        return False
    return form is not None and form.has_records


def is_stream(spec: str) -> bool:
    """Whether it can be read once only: ``-``, or what ``<(command)`` of a shell stands for."""
    if spec == "-":
        return True
    return _STREAM.fullmatch(spec) is not None and not os.path.isfile(spec)


def classify(spec: str | os.PathLike[str]) -> Kind:
    """``"array"``, ``"text"`` or ``"image"``, by extension, else by content. ``-`` is text.

    Raises `InputError` when nothing is there, for a folder (other than zarr's) and for what is
    none of these, `StorageError` when the place cannot be looked at.
    """
    spec = os.fspath(spec)
    if is_stream(spec):
        return "text"
    path, key = split_key(spec)
    if any(sign.isspace() for sign in spec) and not os.path.lexists(path.replace("\0", "")):
        raise InputError(f"{spec}: no such file", "a text itself is given as --text TEXT")
    with reading(path):
        os.stat(path)
    ending = extension(path)
    if os.path.isdir(path) and ending != ".zarr":
        raise InputError(f"{path}: is a directory", "name the files in it")
    kind = _KINDS.get(ending)
    if kind is None:
        head = read_head(path)
        kind = "image" if is_image(head) else "text" if form_by_content(head) else None
        if kind is None or not head:
            what = told_by(head)
            raise InputError(
                f"{path}: unknown kind of file {ending!r}" + (f": {what}" if what else ""),
                f"known are {' '.join(_SHOWN)}, and all texts in UTF-8",
            )
    if key is not None and kind == "image":
        raise InputError(f"{spec}: an image has no parts", "leave out what follows the colon")
    return kind


def find_form(path: str) -> Form | None:
    """The form of a text file, by its name, else by its content; None for what is no text."""
    ending = os.path.splitext(path)[1].lower()
    form = form_by_name(path)
    if form is not None:
        return form
    if ending not in BY_CONTENT and ending in _KINDS:
        return None
    return form_by_content(read_head(path), is_log=ending == ".log")


def read_head(path: str) -> bytes:
    """The first bytes of a regular file."""
    with reading(path), open(open_regular(path), "rb") as file:
        return file.read(HEAD)


def check_name(name: str) -> None:
    """Refuse a name that no store can keep as the source of what it reads."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = shown_name(name)
        raise InputError(f"{shown}: a file name that is not UTF-8", "rename the file") from None


def shown_name(name: str) -> str:
    """A file's name; what of it is not UTF-8 is escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


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
