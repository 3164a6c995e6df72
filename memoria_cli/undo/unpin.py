"""`memoria unpin`: pinned engrams that age again."""

from __future__ import annotations

from typing import Final

import typer

from memoria_cli.options import Json, NamedEngrams, Store, epilog
from memoria_cli.terminal import output
from memoria_cli.terminal.wording import counted

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria unpin notes 8",
    "memoria unpin notes 8 9 --json",
)


def _unpin(store: Store, ids: NamedEngrams, json: Json = False) -> None:
    """Let pinned engrams age again, from the lifespan they have; only between steps."""
    from memoria.store import MemoryStore

    with MemoryStore.open(store, "r+") as opened:
        done = opened.unpin(ids).tolist()
        document = {"step": opened.timestep, "unpinned": done}
    before = len(ids) - len(done)
    told = f"; {before:,} were not pinned" if before else ""
    output.result(document, [f"unpinned: {counted(done)}{told}"], json)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("unpin", epilog=epilog(EXAMPLES))(_unpin)
