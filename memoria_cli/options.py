"""Arguments and options that several verbs share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

import typer

__all__ = [
    "SPEED_PANEL",
    "AskedBackbone",
    "BatchSize",
    "Device",
    "Inputs",
    "Json",
    "Store",
    "Texts",
    "Unit",
    "WmLength",
    "epilog",
]

SPEED_PANEL: Final = "Speed"

Store: TypeAlias = Annotated[
    str, typer.Argument(metavar="STORE", help="The store's directory.", show_default=False)
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
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; errors too, on stderr.")
]


def epilog(examples: Sequence[str]) -> str:
    """The examples as the end of a verb's help, each on its line."""
    return "\n\n".join(["Examples:", *examples])
