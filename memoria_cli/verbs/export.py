"""`memoria export`: a memory in other programs' formats."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from memoria.errors import UsageError
from memoria_cli import output
from memoria_cli.options import Json, StoreAt, at_moment, epilog
from memoria_cli.wording import byte_size

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria export notes notes.jsonl",
    "memoria export notes notes-tables --format parquet --forgotten --vectors",
    "memoria export notes notes.graphml --edges 8",
    "memoria export notes@2 second.npz --vectors --json",
)


class _Format(StrEnum):
    PARQUET = "parquet"
    JSONL = "jsonl"
    GRAPHML = "graphml"
    GEXF = "gexf"
    NPZ = "npz"


def _export(
    store: StoreAt,
    out: Annotated[
        str,
        typer.Argument(metavar="OUT", help="The file or folder to write.", show_default=False),
    ],
    style: Annotated[
        _Format | None,
        typer.Option(
            "--format",
            help="parquet (a folder of tables), jsonl (an engram a line), graphml or gexf (a "
            "graph), npz (arrays).",
            show_default="by OUT's extension",
        ),
    ] = None,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="The engrams' vectors too; not in a graph.")
    ] = False,
    forgotten: Annotated[
        bool, typer.Option("--forgotten", help="The forgotten engrams too.")
    ] = False,
    edges: Annotated[
        int,
        typer.Option(
            "--edges", min=0, metavar="N", help="Connections of each engram, the strongest."
        ),
    ] = 64,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    json: Json = False,
) -> None:
    """Write a memory as tables, lines, a graph or arrays, whole or at an earlier moment."""
    from memoria.exports import export_memory
    from memoria.store.inspection import Inspection

    form = _by_extension(out) if style is None else style
    with (
        Inspection.open(*at_moment(store)) as view,
        output.progress("exporting", "rows") as show,
    ):
        document = export_memory(
            view,
            out,
            form.value,
            force=force,
            vectors=vectors,
            forgotten=forgotten,
            edges=edges,
            told=show,
        )
    human = (
        f"{document['engrams']} engrams and {document['edges']} connections in {out}, "
        f"{byte_size(document['bytes'])}"
    )
    output.result(document, [human], json)


def _by_extension(out: str) -> _Format:
    for form in _Format:
        if out.lower().rstrip("/").endswith(f".{form.value}"):
            return form
    known = ", ".join(form.value for form in _Format)
    raise UsageError(f"{out}: the extension names no format", f"say --format, one of {known}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("export", epilog=epilog(EXAMPLES))(_export)
