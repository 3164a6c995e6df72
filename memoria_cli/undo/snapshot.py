"""`memoria snapshot`: names for states of a memory, and the way back to them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import typer

from memoria_cli.options import Json, Store, Yes, epilog, sure
from memoria_cli.terminal import output
from memoria_cli.terminal.wording import byte_size, minute

__all__ = ["EXAMPLES", "register"]

_CREATE: Final = (
    "memoria snapshot create notes first",
    'memoria snapshot create notes second --note "all of the diary" --json',
)
_LIST: Final = (
    "memoria snapshot list notes",
    "memoria snapshot list notes --json",
)
_SHOW: Final = (
    "memoria snapshot show notes first",
    "memoria snapshot show notes second --json",
)
_RESTORE: Final = (
    "memoria snapshot restore notes first -o notes-then",
    "memoria snapshot restore notes first --drop-later --yes",
)
_DELETE: Final = (
    "memoria snapshot delete notes first",
    "memoria snapshot delete notes second --json",
)
EXAMPLES: Final = (_CREATE[0], _LIST[0], _RESTORE[0])

Name: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="The snapshot's name.", show_default=False)
]


def _create(
    store: Store,
    name: Name,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What it is for.")] = "",
    json: Json = False,
) -> None:
    """Name what the last finished step left behind; it costs no space.

    STORE@NAME opens it from then on, read-only. A step that has been begun is no part of it.
    """
    from memoria.store.naming import create_snapshot, snapshot_record

    made = create_snapshot(store, name, note)
    document = {"path": os.path.abspath(store), **_dated(snapshot_record(name, made))}
    output.result(document, [f"snapshot {name}: step {made.step}, digest {made.digest}"], json)


def _list(store: Store, json: Json = False) -> None:
    """List the snapshots of a store, the earliest state first."""
    from memoria.store.naming import list_snapshots, snapshot_record

    records = [_dated(snapshot_record(name, one)) for name, one in list_snapshots(store).items()]
    columns = ("name", "step", "created", "digest", "note")
    rows = [
        (
            one["name"],
            str(one["step"]),
            minute(one["created"]),
            one["digest"][:12],
            " ".join(one["note"].split()),
        )
        for one in records
    ]
    table = output.Table("snapshots" if rows else "snapshots: none", columns, rows)
    output.result({"path": os.path.abspath(store), "snapshots": records}, [table], json)


def _show(store: Store, name: Name, json: Json = False) -> None:
    """Show one snapshot: what it names, and how much that holds."""
    from memoria.query.inspection import Inspection
    from memoria.store.naming import snapshot_record

    with Inspection.open(store, at=name) as view:
        record = _dated(snapshot_record(name, view.snapshots[name]))
        document = {**view.summary(), **record}
    kinds = ("shortterm", "longterm", "forgotten")
    counts = [f"{sum(lane[kind] for lane in document['lanes'])} {kind}" for kind in kinds]
    rows = [
        ("step", str(document["step"])),
        ("created", minute(document["created"])),
        ("engrams", f"{document['engrams']:,} ({', '.join(counts)})"),
        ("takes", byte_size(document["bytes"])),
        ("digest", document["digest"]),
    ]
    if document["note"]:
        rows.append(("note", " ".join(document["note"].split())))
    title = f"{document['path']}@{name}"
    output.result(document, [output.Table(title, ("", ""), rows, framed=True)], json)


def _restore(
    store: Store,
    name: Name,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="NEW",
            help="Make a new store of it here, and leave this one alone.",
            show_default=False,
        ),
    ] = None,
    drop_later: Annotated[
        bool, typer.Option("--drop-later", help="Drop the snapshots of later states too.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Go back to a snapshot, or make a store of its own of it with -o.

    Going back drops all later steps and asks first. Later snapshots keep it from happening,
    unless --drop-later drops them.
    """
    from memoria.store.compacting import go_back
    from memoria.store.copying import copy_memory
    from memoria.store.reading import open_files

    if out is not None:
        files = open_files(store, at=name)
        try:
            copy_memory(files, out)
            made = {"step": files.attributes.step, "digest": files.attributes.digest}
        finally:
            files.close()
        document = {"path": os.path.abspath(out), "name": name, **made}
        output.result(document, [f"{document['path']}: a store at step {made['step']}"], json)
        return
    plan = go_back(store, name, drop_later, dry_run=True)
    sure([_loss(plan)], f"Go back to '{name}', step {plan['step']}?", yes)
    told = go_back(store, name, drop_later)
    human = f"back at '{name}', step {told['step']}; {_loss(told)}"
    output.result({"path": os.path.abspath(store), "name": name, **told}, [human], json)


def _delete(store: Store, name: Name, json: Json = False) -> None:
    """Take a name back. The state stays in the past until `memoria compact` drops it."""
    from memoria.store.naming import delete_snapshot, snapshot_record

    gone = _dated(snapshot_record(name, delete_snapshot(store, name)))
    human = f"snapshot {name} is deleted; it named step {gone['step']}"
    output.result({"path": os.path.abspath(store), **gone}, [human], json)


def _loss(told: Mapping[str, Any]) -> str:
    """What going back loses, in words."""
    parts = [f"{told['lost_steps']} later steps"]
    if told["lost_events"]:
        parts.append(f"{told['lost_events']} engrams pinned or forgotten by hand")
    if told["lost_begun"]:
        parts.append("the step begun")
    if told["lost_snapshots"]:
        parts.append(f"the snapshots {', '.join(told['lost_snapshots'])}")
    return f"lost: {', '.join(parts)}"


def _dated(record: dict[str, Any]) -> dict[str, Any]:
    """With the time as `memoria inspect` writes it."""
    from memoria.query.documents import iso_time

    return {**record, "created": iso_time(record["created"])}


def _main(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        text = context.get_help()  # with Rich it prints by itself and leaves nothing
        output.result({}, [text] if text else [], as_json=False)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        name="snapshot",
        help="Name states of a memory, open them as STORE@NAME, go back to them.",
        epilog=epilog(EXAMPLES),
        invoke_without_command=True,
        subcommand_metavar="VERB ...",
    )
    group.callback()(_main)
    for name, run, examples in (
        ("create", _create, _CREATE),
        ("list", _list, _LIST),
        ("show", _show, _SHOW),
        ("restore", _restore, _RESTORE),
        ("delete", _delete, _DELETE),
    ):
        group.command(name, epilog=epilog(examples))(run)
    app.add_typer(group)
