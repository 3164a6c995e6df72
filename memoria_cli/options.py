"""Arguments and options that several verbs share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from memoria.errors import UsageError
from memoria_cli.terminal import output

__all__ = [
    "SPEED_PANEL",
    "AskedBackbone",
    "BatchSize",
    "Device",
    "Engrams",
    "Inputs",
    "Json",
    "NamedEngrams",
    "Store",
    "StoreAt",
    "Texts",
    "Unit",
    "WmLength",
    "Yes",
    "at_moment",
    "epilog",
    "present_only",
    "sure",
]

SPEED_PANEL: Final = "Speed"


def at_moment(store: str) -> tuple[str, int | str | None]:
    """A `StoreAt` argument as (path, at), for what opens with ``at=``: `Inspection.open`,
    `MemoryStore.open`, `memoria.store.reading.open_files`.

    ``STORE@NAME`` is a snapshot, ``STORE@STEP`` a finished step; ``at`` is None for the present,
    and for anything that exists under the whole text.
    """
    from memoria.store.reading import split_moment

    return split_moment(store)


def sure(plan: Sequence[str], question: str, yes: bool) -> None:
    """Say the ``plan`` and ask before what cannot be undone, unless ``yes``.

    Raises `UsageError` where no terminal is there to answer, and aborts at a no.
    """
    if yes:
        return
    answer = output.ask(plan, question)
    if answer is None:
        raise UsageError(f"{question} nobody is there to answer", "--yes goes ahead unasked")
    if not answer:
        raise typer.Abort


def present_only(store: str) -> str:
    """Refuse ``STORE@NAME`` and ``STORE@STEP`` where there is such a store."""
    if "@" in store:
        from memoria.chunkstore.root import is_store

        path, at = at_moment(store)
        if at is not None and os.path.isdir(path) and is_store(Path(path)):
            raise UsageError(
                f"{store}: the past can only be read",
                f"leave out @{at}, or make a store of it with `memoria snapshot restore`",
            )
    return store


# For what writes: it refuses the past by itself.
Store: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="STORE", help="The store's directory.", show_default=False, callback=present_only
    ),
]
# For what only reads: open `at_moment` of it.
StoreAt: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        help="The store's directory. STORE@NAME and STORE@STEP are its past: a snapshot, a step.",
        show_default=False,
    ),
]
Engrams: TypeAlias = Annotated[
    list[int] | None,
    typer.Argument(metavar="[ID]...", help="Engrams by id.", show_default=False),
]
NamedEngrams: TypeAlias = Annotated[
    list[int], typer.Argument(metavar="ID...", help="Engrams by id.", show_default=False)
]
Inputs: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[INPUT]...",
        help="Arrays (.npy .npz .pt .safetensors .zarr, FILE.npz:KEY for one of several), "
        "text (.txt .md .jsonl, FILE.jsonl:FIELD, - for standard input) or images.",
        show_default=False,
    ),
]
Texts: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="TEXT", help="A text itself, as one more input. Repeatable."),
]
Unit: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--unit",
        metavar="UNIT",
        help="What part of a text becomes one engram: sentence, paragraph, line, window:N.",
        show_default="the store's",
    ),
]
WmLength: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--wm-length",
        min=1,
        metavar="N",
        help="Units of a working memory.",
        show_default="the store's",
    ),
]
AskedBackbone: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="Refuse to go on unless the store was made with this backbone.",
        show_default=False,
    ),
]
BatchSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        min=1,
        metavar="N",
        help="Texts or images that a model takes at a time.",
        show_default="the backbone's",
        rich_help_panel=SPEED_PANEL,
    ),
]
Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="Where a model runs: cpu, cuda, cuda:1.",
        show_default="a GPU if there is one",
        rich_help_panel=SPEED_PANEL,
    ),
]
Yes: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Go ahead without asking; needed where nobody can be.")
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; errors too, on stderr.")
]


def epilog(examples: Sequence[str]) -> str:
    """The examples as the end of a verb's help, each on its line."""
    return "\n\n".join(["Examples:", *examples])
