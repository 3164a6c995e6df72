"""`memoria import`: a store from an archive that `memoria export` made."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from memoria_cli.options import Json, epilog
from memoria_cli.terminal import output

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria import notes.memoria.zip copy",
    "memoria import notes.memoria.zip elsewhere --json",
)


def _import(
    archive: Annotated[
        str, typer.Argument(metavar="ARCHIVE", help="The file.", show_default=False)
    ],
    store: Annotated[
        str,
        typer.Argument(metavar="STORE", help="The store to make.", show_default=False),
    ],
    json: Json = False,
) -> None:
    """Make the memory in an archive a store again, every chunk of it verified.

    It goes on step for step as the original would. The store is there as a whole or not at all;
    an existing one is refused.
    """
    from memoria.store.archive import import_archive

    document = import_archive(archive, store)
    human = f"{document['path']}: {document['engrams']} engrams at step {document['step']}"
    output.result(document, [human], json)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("import", epilog=epilog(EXAMPLES))(_import)
