"""`memoria upgrade`: a store of an older format copied into the newest one."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from memoria_cli.options import Json, Store, epilog
from memoria_cli.terminal import output

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria upgrade old new",
    "memoria upgrade old newer --json",
)


def _upgrade(
    store: Store,
    new: Annotated[
        str,
        typer.Argument(
            metavar="NEW", help="Where the copy goes: a path that is free.", show_default=False
        ),
    ],
    json: Json = False,
) -> None:
    """Copy a store of an older format into the newest one, with the same ids and digest.

    The store itself stays as it is, and goes on working. The copy has what newer formats brought:
    snapshots, compaction, forgetting and pinning by hand.
    """
    from memoria.store.copying import upgrade

    made = upgrade(store, new)
    human = f"{made['new']}: format {made['to_version']}, step {made['step']}, the same digest"
    output.result(made, [human], json)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("upgrade", epilog=epilog(EXAMPLES))(_upgrade)
