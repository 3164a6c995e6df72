"""`memoria pin`: engrams that never age."""

from __future__ import annotations

from typing import Final

import typer

from memoria_cli.options import Json, NamedEngrams, Store, epilog
from memoria_cli.terminal import output
from memoria_cli.terminal.wording import counted

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria pin notes 8",
    "memoria pin notes 8 9 --json",
)


def _pin(store: Store, ids: NamedEngrams, json: Json = False) -> None:
    """Let engrams lose no lifespan until `memoria unpin`; only between steps.

    Their lifespan is rounded up to whole steps. They still fire, gain and become long-term memory.
    """
    from memoria.store import MemoryStore

    with MemoryStore.open(store, "r+") as opened:
        done = opened.pin(ids).tolist()
        document = {"step": opened.timestep, "pinned": done}
    before = len(ids) - len(done)
    told = f"; {before:,} were pinned already" if before else ""
    output.result(document, [f"pinned: {counted(done)}{told}"], json)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("pin", epilog=epilog(EXAMPLES))(_pin)
