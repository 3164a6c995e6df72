"""What `memoria step` says of what it has read, or would read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_count

if TYPE_CHECKING:
    from memoria.store.file_reading import FileReading

_STATES: Final = ("changed", "unchanged")
_SHOWN: Final = 20  # files that a dry run names to people


def tell_outcome(reading: FileReading, document: Mapping[str, Any], json: bool) -> None:
    """Print what came of it, and note what could not be read."""
    for line in reading.stream.notices:
        output.note(line)
    for name, error in reading.faults.items():
        hint = f"; hint: {error.hint}" if error.hint else ""
        where = "" if name in error.message else f"{name}: "
        output.warn(f"not read: {where}{error.message}{hint}")
    added = document["engrams_added"]
    parts = [f"{format_count(document['steps'], 'step')}, {format_count(added, 'engram')} added"]
    if document.get("forgotten"):
        parts.append(f"{document['forgotten']} forgotten")
    files = document.get("files", {})
    told = {
        "unchanged": "file unchanged",
        "renamed": "file renamed",
        "vanished": "file gone",
    }
    for key, words in told.items():
        if files.get(key):
            one, _, rest = words.partition(" ")
            parts.append(f"{format_count(files[key], one)} {rest}")
    state = f"{', '.join(parts)}, the store is at step {document['timestep']}"
    before = document["skipped"] - document.get("duplicates", 0)
    passed = f"; {format_count(before, 'unit')} remembered before" if before else ""
    output.result(document, [f"{state}{passed}"], json)


def tell_plan(reading: FileReading, json: bool) -> None:
    """Print what would be read, and what would be found gone."""
    syncing = reading.syncing
    if syncing is None:
        files = [(one, "read") for one in reading.listing.inputs]
    else:
        files = [
            (file.found, "new" if file.source is None else _STATES[file.is_unchanged])
            for file in syncing.files
        ]
    told: list[dict[str, Any]] = [
        {"name": one.name, "state": state, "bytes": _size(one.path)} for one, state in files
    ]
    document: dict[str, Any] = {"dry_run": True, "files": told}
    if syncing is not None:
        document["unchanged"] = len(syncing.unchanged)
        document["renamed"] = [{"before": old, "name": new} for old, new in syncing.renamed]
        document["vanished"] = syncing.vanished
    document["other"] = reading.listing.others
    document["unreadable"] = [
        {"name": name, "error": error.message} for name, error in reading.faults.items()
    ]
    columns: dict[str, output.Column] = {"file": "name", "state": "state", "bytes": "bytes"}
    count = format_count(len(told), "file")
    total = sum(one["bytes"] or 0 for one in told)
    lines: list[Any] = [
        output.table(f"would read {count} of {total:,} bytes", told[:_SHOWN], columns)
    ]
    if len(told) > _SHOWN:
        lines.append(f"and {len(told) - _SHOWN:,} more")
    if syncing is not None:
        lines.append(f"unchanged: {len(syncing.unchanged)}")
        lines += [f"renamed: {old} to {new}" for old, new in syncing.renamed[:_SHOWN]]
        lines += [f"gone: {name}" for name in syncing.vanished[:_SHOWN]]
    if reading.listing.others:
        lines.append(f"of other kinds, not read: {len(reading.listing.others)}")
    output.result(document, lines, json)


def _size(path: str) -> int | None:
    """The size of a file in bytes; None of what is none."""
    try:
        return os.path.getsize(path) if os.path.isfile(path) else None
    except OSError:
        return None
