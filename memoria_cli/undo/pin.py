"""`memoria pin` and `memoria unpin`: engrams that never age, and that age again."""

from __future__ import annotations

from contextlib import closing
from typing import Literal

from memoria_cli.options import Json, NamedEngrams
from memoria_cli.stores import Store, load_memory_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_engrams
from memoria_cli.verbs import verb


@verb("pin", "memoria pin notes 8", "memoria pin notes 8 9 --json")
def pin(store: Store, ids: NamedEngrams, json: Json = False) -> None:
    """Let engrams lose no lifespan until `memoria unpin`.

    Only between steps. Their lifespan is rounded up to whole steps. They still fire, gain and
    become long-term memory.
    """
    _change(store, ids, "pin", "were pinned already", json)


@verb("unpin", "memoria unpin notes 8", "memoria unpin notes 8 9 --json")
def unpin(store: Store, ids: NamedEngrams, json: Json = False) -> None:
    """Let pinned engrams age again, from the lifespan they have.

    Only between steps.
    """
    _change(store, ids, "unpin", "were not pinned", json)


def _change(
    store: str, ids: list[int], what: Literal["pin", "unpin"], unchanged: str, json: bool
) -> None:
    from memoria.store.reading import open_files

    with closing(open_files(store, mode="r+")) as files, load_memory_store(files, what) as opened:
        changed = (opened.pin(ids) if what == "pin" else opened.unpin(ids)).tolist()
        document = {"step": opened.timestep, f"{what}ned": changed}
    before = len(ids) - len(changed)
    more = f"; {before:,} {unchanged}" if before else ""
    output.result(document, [f"{what}ned: {format_engrams(changed)}{more}"], json)
