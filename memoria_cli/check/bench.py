"""`memoria bench`: how fast this machine and a store are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from memoria_cli.options import Json, epilog
from memoria_cli.terminal import output
from memoria_cli.terminal.threads import one_thread_unless_a_model_runs

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria bench --only commit --only encode",
    "memoria bench notes --only store --json",
)

_WITHOUT_TENSORS: Final = frozenset({"disk", "encode"})

_Document = Mapping[str, Any]


def _bench(
    store: Annotated[
        str | None,
        typer.Argument(
            metavar="[STORE]",
            help="A store to open and ask too; it is not changed.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="PART",
            help="Measure only this: disk, steps, commit, encode or store. Repeatable.",
        ),
    ] = None,
    directory: Annotated[
        str | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Measure the disk of this directory; nothing stays there.",
            show_default="that of temporary files",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Measure this machine in some seconds, and a store if one is named.

    The disk's fsync; steps of a memory in both layouts at two sizes, while nothing is forgotten;
    commits of one step; encoding of texts; opening the store and asking it. Other work on the
    machine slows all of them down.
    """
    from memoria.benchmark import PARTS, bench

    if not _WITHOUT_TENSORS.issuperset(only or PARTS):
        one_thread_unless_a_model_runs("hash")  # as the verbs that are measured
    with output.progress("measuring", "parts") as progress:
        document = bench(store, directory=directory, parts=only or (), progress=progress)
    output.result(document, [] if json else _tables(document), json)


def _tables(document: _Document) -> list[str | output.Table]:
    parts: list[str | output.Table] = [_machine(document["machine"])]
    times = []
    if "disk" in document:
        times.append(_times("fsync of 64 KiB", document["disk"]["fsync"]))
    for row in document.get("steps", ()):
        times.append(_times(f"step, {row['layout']}, {row['engrams']:,} engrams", row))
    if "commit" in document:
        times.append(_times("commit of one step", document["commit"]))
    if "store" in document:
        store = document["store"]
        times.append(_times("opening the store", store["open"]))
        times.append(("first question to it", _milliseconds(store["first_peek_seconds"]), "", "1"))
        times.append(_times("later questions", store["peek"]))
    if times:
        columns = ("", "median", "99 % within", "samples")
        parts.append(output.Table("times in ms", columns, times))
    if "commit" in document:
        parts.append(f"a commit takes {document['commit']['fsyncs_per_commit']:.1f} fsyncs")
    if document.get("encode") is not None:
        told = document["encode"]
        rate = f"{told['texts_per_second']:,.0f}"
        parts.append(f"backbone {told['backbone']} encodes {rate} sentences a second")
    return parts


def _machine(machine: _Document) -> output.Table:
    memory = machine["memory_bytes"]
    packages = machine["packages"].items()
    rows = [
        ("processor", f"{machine['cpu']}, {machine['cores']} cores"),
        ("memory", "unknown" if memory is None else f"{memory / 1e9:.1f} GB"),
        ("system", f"{machine['system']}, Python {machine['python']}"),
        ("packages", ", ".join(f"{name} {one}" for name, one in packages if one is not None)),
        ("load before", str(machine["load_average"][0])),
    ]
    return output.Table("this machine", ("", ""), rows, framed=True)


def _times(name: str, timing: _Document) -> tuple[str, str, str, str]:
    median, most = (_milliseconds(timing[key]) for key in ("median_seconds", "p99_seconds"))
    return name, median, most, str(timing["samples"])


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:,.3g}" if seconds < 1 else f"{1e3 * seconds:,.0f}"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("bench", epilog=epilog(EXAMPLES))(_bench)
