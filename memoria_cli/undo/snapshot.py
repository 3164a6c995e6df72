"""`memoria snapshot`: names for states of a memory, and the way back to them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from typing import Annotated, Any, TypeAlias

from memoria.errors import UsageError
from memoria_cli.options import DropLater, DryRun, Json, Yes, argument, confirm, option
from memoria_cli.stores import Store, StoreAt, split_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_bytes, format_count, format_minute
from memoria_cli.verbs import group, verb

Name: TypeAlias = Annotated[str, argument("NAME", "The snapshot's name.")]


@verb(
    "create",
    "memoria snapshot create notes first",
    'memoria snapshot create notes second --note "all of the diary" --json',
    "memoria snapshot create notes@2 early",
)
def create(
    store: StoreAt,
    name: Name,
    note: Annotated[str, option("--note", "What it is for.", "TEXT")] = "",
    json: Json = False,
) -> None:
    """Name a state of a memory; it costs no space.

    It is what the last finished step left behind, or with STORE@STEP that one. STORE@NAME opens it
    from then on, read-only. A step that has been begun is no part of it.
    """
    from memoria.store.snapshots import create_snapshot, snapshot_record

    path, at = split_store(store)
    made = create_snapshot(path, name, note, at)
    document = {"path": os.path.abspath(path), **_dated(snapshot_record(name, made))}
    output.result(document, [f"snapshot {name}: step {made.step}, digest {made.digest}"], json)


@verb(
    "list",
    "memoria snapshot list notes",
    "memoria snapshot list notes --json",
)
def list_(store: Store, json: Json = False) -> None:
    """List the snapshots of a store, the earliest state first."""
    from memoria.store.snapshots import list_snapshots, snapshot_record

    records = [_dated(snapshot_record(name, one)) for name, one in list_snapshots(store).items()]
    columns: dict[str, output.Column] = {
        "name": "name",
        "step": "step",
        "created": lambda one: format_minute(one["created"]),
        "digest": lambda one: one["digest"][:12],
        "note": lambda one: " ".join(one["note"].split()),
    }
    table = output.table("snapshots", records, columns)
    output.result({"path": os.path.abspath(store), "snapshots": records}, [table], json)


@verb(
    "show",
    "memoria snapshot show notes first",
    "memoria snapshot show notes second --json",
)
def show(store: Store, name: Name, json: Json = False) -> None:
    """Show one snapshot: what it names, and how much that holds."""
    from memoria.query.inspection import Inspection
    from memoria.store.snapshots import snapshot_record

    with Inspection.open(store, at=name) as view:
        record = _dated(snapshot_record(name, view.snapshots[name]))
        document = {**view.summary(), **record}
    kinds = ("shortterm", "longterm", "forgotten")
    counts = [f"{sum(lane[kind] for lane in document['lanes'])} {kind}" for kind in kinds]
    rows = [
        ("step", str(document["step"])),
        ("created", format_minute(document["created"])),
        ("engrams", f"{document['engrams']:,} ({', '.join(counts)})"),
        ("takes", format_bytes(document["bytes"])),
        ("digest", document["digest"]),
    ]
    if document["note"]:
        rows.append(("note", " ".join(document["note"].split())))
    title = f"{document['path']}@{name}"
    output.result(document, [output.Table(title, ("", ""), rows, framed=True)], json)


@verb(
    "restore",
    "memoria snapshot restore notes first -o notes-then",
    "memoria snapshot restore notes first --drop-later --yes",
    "memoria snapshot restore notes@2 -o notes-early",
)
def restore(
    store: StoreAt,
    name: Annotated[
        str | None, argument("[NAME]", "The snapshot's name; not where STORE@STEP names a state.")
    ] = None,
    out: Annotated[
        str | None,
        option("--output -o", "Make a new store of it here, and leave this one alone.", "NEW"),
    ] = None,
    drop_later: DropLater = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Go back to a snapshot or a step, or copy it with -o.

    Going back drops all later steps and asks first. Later snapshots keep it from happening,
    unless --drop-later drops them.
    """
    from memoria.store.compacting import go_back
    from memoria.store.copying import copy_memory
    from memoria.store.reading import open_files

    store, moment = split_store(store)
    at = name if moment is None else moment
    if at is None or (moment is not None and name is not None):
        raise UsageError("name one state to go back to", "STORE NAME, or STORE@STEP")
    if out is not None:
        if dry_run:
            raise UsageError("--dry-run is for going back", "-o changes no store that is there")
        with closing(open_files(store, at=at)) as files:
            copy_memory(files, out)
            made = {"step": files.attributes.step, "digest": files.attributes.digest}
        document = {"path": os.path.abspath(out), "name": at, **made}
        output.result(document, [f"{document['path']}: a store at step {made['step']}"], json)
        return
    gone = go_back(store, at, drop_later, dry_run=True)
    if not dry_run:
        confirm([describe_loss(gone)], f"Go back to '{at}', step {gone['step']}?", yes)
        gone = go_back(store, at, drop_later)
    back = "would be back" if dry_run else "back"
    human = f"{back} at '{at}', step {gone['step']}; {describe_loss(gone)}"
    document = {"path": os.path.abspath(store), "name": at, **gone, "dry_run": dry_run}
    output.result(document, [human], json)


@verb(
    "delete",
    "memoria snapshot delete notes first --yes",
    "memoria snapshot delete notes second --dry-run --json",
)
def delete(
    store: Store, name: Name, dry_run: DryRun = False, yes: Yes = False, json: Json = False
) -> None:
    """Delete a snapshot: its name goes, and asks first.

    The state stays in the past until `memoria compact` drops it.
    """
    from memoria.store.snapshots import delete_snapshot, list_snapshots, snapshot_record

    found = list_snapshots(store).get(name)
    if found is not None and not dry_run:
        confirm([f"snapshot {name} names step {found.step}"], "Delete this name?", yes)
    if found is None or not dry_run:
        found = delete_snapshot(store, name)  # which says what is there where it is not
    gone = _dated(snapshot_record(name, found))
    would = "would be" if dry_run else "is"
    human = f"snapshot {name} {would} deleted; it names step {gone['step']}"
    document = {"path": os.path.abspath(store), **gone, "dry_run": dry_run}
    output.result(document, [human], json)


def describe_loss(lost: Mapping[str, Any]) -> str:
    """Say in words what going back loses."""
    parts = [format_count(lost["lost_steps"], "later step")]
    if lost["lost_events"]:
        parts.append(
            format_count(lost["lost_events"], "change between steps", "changes between steps")
        )
    if lost["lost_begun"]:
        parts.append("the step begun")
    if lost["lost_snapshots"]:
        parts.append(f"the snapshots {', '.join(lost['lost_snapshots'])}")
    return f"lost: {', '.join(parts)}"


def _dated(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its time in ISO 8601."""
    from memoria.query.documents import iso_time

    return {**record, "created": iso_time(record["created"])}


snapshot = group(
    "snapshot",
    "Name states of a memory, open them as STORE@NAME, go back to them.",
    (
        "memoria snapshot create notes first",
        "memoria snapshot list notes",
        "memoria snapshot restore notes first -o notes-then",
    ),
    create,
    list_,
    show,
    restore,
    delete,
)
