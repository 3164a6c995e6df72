"""`memoria compact`: leaves behind what was forgotten."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

from memoria.errors import UsageError
from memoria_cli.options import DryRun, Json, Yes, confirm, option
from memoria_cli.stores import Store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_bytes, format_count
from memoria_cli.verbs import verb


@verb(
    "compact",
    "memoria compact notes --dry-run",
    "memoria compact notes --yes",
    "memoria compact notes --drop-snapshots --dry-run --json",
)
def compact(
    store: Store,
    dry_run: DryRun = False,
    keep: Annotated[
        list[str] | None,
        option(
            "--keep",
            "Keep this snapshot and drop those not named. Repeatable.",
            "NAME",
            show_default="all",
        ),
    ] = None,
    drop_snapshots: Annotated[bool, option("--drop-snapshots", "Drop every snapshot.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Reclaim the space of what was forgotten.

    The memory goes on as before: same ids, same results, same digests. Of the past, only what
    snapshots name can still be opened. Says what it will free and asks; readers go on meanwhile.
    """
    from memoria.store.compacting import compact

    if keep and drop_snapshots:
        raise UsageError("--keep and --drop-snapshots exclude each other", "give one of them")
    names = () if drop_snapshots else keep
    found = compact(store, dry_run=True, snapshots=names)
    if found.changes and not dry_run:
        confirm(_describe(found.record(), "will"), "Compact it?", yes)
        with output.progress("compacting", "bytes") as show:
            found = compact(store, snapshots=names, progress=show)
    record = found.record()
    document = {"path": os.path.abspath(store), "dry_run": dry_run, **record}
    human = ["nothing to free" + ("" if found.held_by else ": everything is needed")]
    if found.changes:
        human = _describe(record, "would" if dry_run else "has")
    if found.held_by:
        held = [f"{name} ({count:,})" for name, count in found.held_by.items()]
        human.append(
            f"forgotten engrams that snapshots need: {', '.join(held)}; --keep NAME, "
            "--drop-snapshots or `memoria snapshot delete` lets go of them"
        )
    output.result(document, human, json)


def _describe(record: Mapping[str, Any], tense: str) -> list[str]:
    """Say in words what is freed."""
    verb = {"has": "freed", "will": "will free", "would": "would free"}[tense]
    size = record["bytes_before"] - record["bytes_after"]
    engrams, entries = record["engrams_dropped"], record["entries_dropped"]
    counts = (
        f"{format_count(engrams, 'forgotten engram')} and "
        f"{format_count(entries, 'log entry', 'log entries')}"
    )
    if record["waiting"]:
        lines = [f"dropped {counts}; readers still hold their files, a later writer frees them"]
    else:
        about = "" if tense == "has" else "about "
        whole = format_bytes(record["bytes_before"])
        lines = [f"{verb} {about}{format_bytes(max(0, size))} of {whole}: {counts}"]
    if record["snapshots_dropped"]:
        lines.append(f"snapshots dropped: {', '.join(record['snapshots_dropped'])}")
    steps = ", ".join(map(str, record["steps_kept"]))
    lines.append(
        f"{format_count(record['engrams_kept'], 'engram')} kept; of the past, the steps {steps}"
    )
    return lines
