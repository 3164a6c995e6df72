"""The root of a store: what is wrong with it, and as much of it as can be used all the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from memoria.chunkstore.root import (
    FORMAT,
    LEASE_NAME,
    ROOT_NAME,
    Root,
    encode_attributes,
    read_root,
    read_root_bytes,
)
from memoria.chunkstore.sources.local import Source
from memoria.chunkstore.spec import ArraySpec, check_names, parse_array
from memoria.errors import ConfigError, DamageError, MemoriaError, StoreNotFoundError
from memoria.store.attributes import StoreAttributes
from memoria.store.schema import ERA_GROUP, expected_specs
from memoria.store.verify.findings import Findings

_OURS: Final = ("vectors", "log", ERA_GROUP)  # a directory that has one of these was a store


@dataclass(frozen=True)
class FoundRoot:
    """``attributes`` is None where they cannot be used, ``whole`` says that no array is amiss."""

    root: Root
    attributes: StoreAttributes | None
    whole: bool


def read_what_there_is(source: Source, findings: Findings) -> FoundRoot | None:
    """The root of the store in ``source``; None where nothing of it can be used.

    Raises `StoreNotFoundError` where there never was a store, and `OtherFormatError`.
    """
    was_one = any(_kind(source, name) == "directory" for name in _OURS)
    there = _kind(source, ROOT_NAME)
    if not was_one and there is None and _kind(source, LEASE_NAME) is None:
        place = source.place("")
        raise StoreNotFoundError(f"{place}: no store", "create one with `memoria init`")
    content = b""
    try:
        root: Root | None
        root, content = _stable(source)
    except StoreNotFoundError:
        if not was_one:
            raise
        findings.add("root", ROOT_NAME, "has lost the attributes of the store")
        root = None
    except DamageError as error:
        kind = "missing" if there is None else "root"
        findings.add(kind, ROOT_NAME, said(error, source.place(ROOT_NAME)))
        root = None
    except OSError as error:
        findings.add("unreadable", ROOT_NAME, said(error, source.place(ROOT_NAME)))
        return None
    if root is None:
        root = _salvaged(source, findings)
    elif root.encode() != content:
        findings.add("root", ROOT_NAME, "is not written as canonical JSON")
    if root is None:
        return None
    try:
        attributes = StoreAttributes.parse(json.loads(root.attributes))
        specs = expected_specs(json.loads(root.attributes))
    except (MemoriaError, TypeError) as error:
        findings.add("attributes", ROOT_NAME, str(error))
        return FoundRoot(root, None, False)
    return FoundRoot(root, attributes, _compare(root, specs, findings))


def _stable(source: Source) -> tuple[Root, bytes]:
    """The root and its bytes, both of one moment though a writer may go on."""
    content = read_root_bytes(source)
    while True:
        root, before = read_root(source), content
        content = read_root_bytes(source)
        if before == content:
            return root, content


def said(error: OSError | MemoriaError, place: str) -> str:
    """The error's words without the file's name, which the finding has."""
    text = error.message if isinstance(error, MemoriaError) else error.strerror or str(error)
    return text.removeprefix(f"{place}: ")


def _kind(source: Source, path: str) -> str | None:
    """What lies at ``path``; None for nothing."""
    try:
        return source.entry(path).kind
    except OSError:
        return None


def _salvaged(source: Source, findings: Findings) -> Root | None:
    """What can be read of a root that is not sound."""
    try:
        document = json.loads(read_root_bytes(source))
        ours = document["attributes"]["memoria"]
        metadata = document["consolidated_metadata"]["metadata"]
        own = {name: ours[name] for name in ours.keys() - {"checksum", "format"}}
        attributes = encode_attributes(own)
        if ours["format"] != FORMAT:
            return None
        arrays = _salvaged_arrays(metadata, findings)
        check_names({name: spec for name, (spec, _) in arrays.items()})
    except (MemoriaError, OSError, ValueError, RecursionError):
        return None
    except (KeyError, TypeError, AttributeError):
        return None
    return Root(attributes, arrays)


def _salvaged_arrays(
    metadata: Mapping[str, Any], findings: Findings
) -> dict[str, tuple[ArraySpec, int]]:
    arrays = {}
    for name, one in metadata.items():
        if isinstance(one, dict) and one.get("node_type") == "group":
            continue
        try:
            arrays[name] = parse_array(name, one)
        except (ConfigError, ValueError) as error:
            findings.add("root", ROOT_NAME, f"array {name!r}: {error}", array=name)
    return arrays


def _compare(root: Root, expected: list[ArraySpec], findings: Findings) -> bool:
    """Whether all arrays are there; one that does not belong is a finding and no more."""
    specs = {spec.name: spec for spec in expected}
    whole = True
    for name in sorted(specs.keys() | root.arrays.keys()):
        if name not in root.arrays:
            findings.add("root", ROOT_NAME, f"array '{name}' is missing", array=name)
            whole = False
        elif name not in specs:
            findings.add("root", ROOT_NAME, f"array '{name}' does not belong here", array=name)
        elif root.arrays[name][0] != specs[name]:
            message = f"array '{name}' is not of the shape or type it must have"
            findings.add("root", ROOT_NAME, message, array=name)
            whole = False
    return whole
