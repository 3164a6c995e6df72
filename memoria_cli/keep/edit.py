"""`memoria edit`: another text or meta for an engram."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

from memoria.errors import UsageError
from memoria_cli.options import Json, argument, option, parse_pairs
from memoria_cli.stores import Store, load_memory_store
from memoria_cli.terminal import output
from memoria_cli.verbs import verb


@verb(
    "edit",
    'memoria edit notes 8 --text "The cat sat on the roof."',
    "memoria edit notes 8 --meta speaker=Ann --meta sure=true --json",
)
def edit(
    store: Store,
    engram: Annotated[int, argument("ID", "The engram by id.", min=0)],
    text: Annotated[
        str | None, option("--text", "Its new text; its vector becomes that of the text.", "TEXT")
    ] = None,
    meta: Annotated[
        list[str] | None,
        option("--meta", "A key of its meta and the new value; others stay.", "KEY=VALUE"),
    ] = None,
    json: Json = False,
) -> None:
    """Give an engram another text or meta.

    Its id, lifespan and connections stay. Only between steps. Reads of the past see what was in
    force then; `memoria undo` takes it back.
    """
    from memoria.store.reading import open_files
    from memoria.store.remembering import edit as edit_engram

    if text is None and not meta:
        raise UsageError("nothing is edited", "give --text or --meta")
    with closing(open_files(store, mode="r+")) as files, load_memory_store(files, "edit") as opened:
        pairs = parse_pairs("--meta", meta or ())
        held = edit_engram(opened, engram, text, pairs)
        document = {"step": opened.timestep, "id": engram, "text": text, "meta": held}
    output.result(document, [f"edited: engram {engram}"], json)
