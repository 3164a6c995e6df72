"""Options that the verbs of `memoria experiment` share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

__all__ = ["Out", "Preset", "Seeds", "Settings"]

Preset: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="Settings to start from: small (minutes on two cores) or paper.",
        show_default="the file's, or small",
    ),
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another value for one setting of all runs: steps=200, models=memoria,none, "
        "settings.memoria.KEY=3. Repeatable; `memoria experiment list NAME` shows them all.",
    ),
]
Seeds: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="N|LIST",
        help="How many seeds, or which: 3, or 0,4,7.",
        show_default="the file's, or the preset's",
    ),
]
Out: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help="Where the runs go; those that are done there stay, others go on.",
        show_default="runs/NAME-PRESET, runs/FILE of a sweep",
    ),
]
