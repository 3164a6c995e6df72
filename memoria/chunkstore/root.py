"""The root ``zarr.json``: what is committed, in one file that one rename switches.

``attributes["memoria"]`` holds the caller's attributes, ``format`` and ``checksum``: the
crc32c of the whole document as canonical JSON (sorted keys, no spaces) without the checksum.
The inline consolidated metadata holds every group, and every array with its committed shape.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from memoria.chunkstore.codec import DAMAGE_HINT, crc32c
from memoria.chunkstore.sources.local import NotAFileError, Source
from memoria.chunkstore.spec import (
    ArraySpec,
    canonical,
    check_names,
    empty_group,
    parent_groups,
    parse_array,
)
from memoria.errors import (
    ConfigError,
    DamageError,
    InputError,
    MemoriaError,
    OtherFormatError,
    StorageError,
    StoreNotFoundError,
)
from memoria.io.bounds import MOST_VALUES, parse_json, too_many_values

FORMAT: Final = 1
MAX_ROOT_BYTES: Final = 64 * 2**20
ROOT_NAME: Final = "zarr.json"
LOCK_NAME: Final = ".lock"
LEASE_NAME: Final = ".lease"
_RESERVED: Final = ("checksum", "format", "format_version")  # the last is of older programs

Expected = Callable[[dict[str, Any]], Sequence[ArraySpec]]


@dataclass(frozen=True)
class Root:
    """One committed state: the caller's attributes (JSON text) and each array's spec and rows."""

    attributes: str
    arrays: Mapping[str, tuple[ArraySpec, int]]

    def encode(self) -> bytes:
        """The document's bytes. `InputError` where no reader would take it back."""
        own = {**json.loads(self.attributes), "format": FORMAT}
        own["checksum"] = _checksum(self.text(own))
        payload = self.text(own).encode()
        if len(payload) > MAX_ROOT_BYTES:
            raise InputError(
                f"attributes make a {ROOT_NAME} of {len(payload)} bytes",
                f"at most {MAX_ROOT_BYTES} are allowed",
            )
        if too_many_values(payload):
            raise InputError(
                f"attributes make a {ROOT_NAME} of more than {MOST_VALUES} values",
                "no reader would take it back",
            )
        return payload

    def groups(self) -> Sequence[str]:
        """Every group but the root, parents first."""
        return self._groups

    def file_names(self) -> set[str]:
        """The paths of all files that this root needs, the root itself among them."""
        names = {ROOT_NAME, *(f"{name}/{ROOT_NAME}" for name in (*self.groups(), *self.arrays))}
        for name, (spec, count) in self.arrays.items():
            names |= {f"{name}/{spec.file_name(index)}" for index in range(spec.file_count(count))}
        return names

    def text(self, attributes: Mapping[str, Any]) -> str:
        """The canonical document with ``attributes`` as those of the store."""
        before, after = self._around
        return f"{before}{canonical(attributes)}{after}"

    @cached_property
    def _groups(self) -> tuple[str, ...]:
        return tuple(parent_groups(self.arrays))

    @cached_property
    def _around(self) -> tuple[str, str]:
        """What stands before and after the store's attributes. Names need no escapes."""
        group = canonical(empty_group())
        parts = dict.fromkeys(self.groups(), group)
        parts |= {name: spec.metadata_text(rows) for name, (spec, rows) in self.arrays.items()}
        metadata = ",".join(f'"{name}":{parts[name]}' for name in sorted(parts))
        consolidated = f'{{"kind":"inline","metadata":{{{metadata}}},"must_understand":false}}'
        rest = f'"consolidated_metadata":{consolidated},"node_type":"group","zarr_format":3}}'
        return '{"attributes":{"memoria":', f"}},{rest}"


def encode_attributes(attributes: Mapping[str, Any]) -> str:
    """The caller's attributes as JSON text. `InputError` for what JSON cannot hold."""
    for name in _RESERVED:
        if name in attributes:
            raise InputError(f"attribute {name!r} is the store's own", "choose another name")
    try:
        return canonical(dict(attributes))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"attributes are not JSON: {error}") from None


def is_store(path: Path) -> bool:
    """Whether a store, sound or not, lies at ``path``."""
    return os.path.lexists(path / LEASE_NAME) or os.path.lexists(path / ROOT_NAME)


def conflict_copies(path: str | os.PathLike[str]) -> list[str]:
    """Names beside the root that programs which synchronise folders give to a second one of it.

    Such as ``zarr (Ada's conflicted copy).json`` and ``zarr.sync-conflict-20260101-1.json``.
    """
    try:
        names = os.listdir(path)
    except OSError:
        return []
    start, end = os.path.splitext(ROOT_NAME)
    return sorted(
        name
        for name in names
        if name.startswith(start) and name.endswith(end) and name != ROOT_NAME
    )


def read_root(source: Source, expected: Expected | None = None) -> Root:
    """The committed state of the store in ``source``, checked.

    Raises `StoreNotFoundError` (a Zarr group, but none of ours), `OtherFormatError`,
    `DamageError` and `StorageError`.
    """
    place = source.place(ROOT_NAME)
    document = _parse(source, place)
    attributes = document.get("attributes")
    ours = attributes.get("memoria") if isinstance(attributes, dict) else None
    if not isinstance(ours, dict):
        if _has_lease(source):
            raise _damage(place, "has lost the attributes of the store")
        raise StoreNotFoundError(
            f"{source.place('')}: a Zarr group, but not a memory", "create one with `memoria init`"
        )
    _check_format(source, ours)
    checksum = ours.pop("checksum", None)
    text = _text_or_damage(place, document)
    if checksum != _checksum(text):
        raise _damage(place, f"checksum {checksum!r} does not match")
    own = {name: value for name, value in ours.items() if name not in _RESERVED}
    root = Root(canonical(own), _parse_arrays(place, document))
    if root.text({**own, "format": FORMAT}) != text:
        raise _damage(place, "is not laid out as a store")
    if expected is not None:
        _compare(place, root, expected(own))
    return root


def _check_format(source: Source, ours: Mapping[str, Any]) -> None:
    """Raise unless the attributes ``ours`` say that the store has this program's format."""
    store, number = source.place(""), ours.get("format")
    if "format" not in ours and "format_version" in ours:
        raise OtherFormatError(
            f"{store}: written by an early version of memoria, before format {FORMAT}",
            "export it with the version that wrote it, and step that into a new store",
        )
    if type(number) is not int or number < 1:
        raise _damage(source.place(ROOT_NAME), f"format = {number!r}")
    if number != FORMAT:
        raise OtherFormatError(
            f"{store}: format {number}, this program reads and writes format {FORMAT}",
            "open it with the version of memoria that wrote it, or export it there and step "
            "that into a new store",
        )


def _parse(source: Source, path: str) -> dict[str, Any]:
    try:
        document = parse_json(read_root_bytes(source))
    except ValueError as error:
        raise _damage(path, f"is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _damage(path, "is not a Zarr group")
    return document


def read_root_bytes(source: Source) -> bytes:
    """The root file as it is. Raises `DamageError` and `StorageError`."""
    path = source.place(ROOT_NAME)
    try:
        file = source.open(ROOT_NAME)
        try:
            if file.size > MAX_ROOT_BYTES:
                raise _damage(path, f"is {file.size} bytes long, over {MAX_ROOT_BYTES}")
            return file.read(0, file.size)
        finally:
            file.close()
    except FileNotFoundError:
        raise _damage(path, "is missing") from None
    except NotAFileError as error:
        raise _damage(path, f"is {error.strerror}") from None
    except MemoriaError:
        raise
    except OSError as error:
        raise StorageError(f"{path}: cannot read: {error.strerror or error}") from None


def _has_lease(source: Source) -> bool:
    try:
        source.entry(LEASE_NAME)
    except FileNotFoundError:
        return False
    return True


def _parse_arrays(path: str, document: dict[str, Any]) -> dict[str, tuple[ArraySpec, int]]:
    arrays = {}
    try:
        for name, metadata in document["consolidated_metadata"]["metadata"].items():
            if metadata["node_type"] == "array":
                arrays[name] = parse_array(name, metadata)
        check_names({name: spec for name, (spec, _) in arrays.items()})
    except (KeyError, TypeError, AttributeError):
        raise _damage(path, "has no consolidated metadata of this format") from None
    except (ConfigError, ValueError) as error:
        raise _damage(path, f"array {name!r}: {error}") from None
    return arrays


def _compare(path: str, root: Root, expected: Sequence[ArraySpec]) -> None:
    specs = {spec.name: spec for spec in expected}
    for name in sorted(specs.keys() | root.arrays.keys()):
        if name not in root.arrays:
            raise _damage(path, f"array {name!r} is missing")
        if name not in specs:
            raise _damage(path, f"array {name!r} does not belong here")
        if root.arrays[name][0] != specs[name]:
            raise _damage(path, f"array {name!r} is not of the shape or type it must have")


def _checksum(text: str) -> str:
    return "crc32c:" + crc32c(text.encode())[::-1].hex()


def _text_or_damage(path: str, document: Any) -> str:
    try:
        return canonical(document)
    except (ValueError, RecursionError) as error:  # a number too long to print, too deep a nest
        raise _damage(path, f"is no document of this format: {error}") from None


def _damage(path: str, what: str) -> DamageError:
    return DamageError(f"{path}: {what}", DAMAGE_HINT)
