"""`memoria pull`: a memory from object storage."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from memoria_cli.options import Json, epilog
from memoria_cli.terminal import output

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria pull s3://memories/notes notes",
    "memoria pull s3://memories/notes notes --json",
)


def _pull(
    url: Annotated[
        str, typer.Argument(metavar="s3://BUCKET/NAME", help="Where from.", show_default=False)
    ],
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE", help="A new store, or an older copy of it.", show_default=False
        ),
    ],
    json: Json = False,
) -> None:
    """Make the memory at an S3-compatible place a store here, or bring an older copy up to it.

    Only what lacks is fetched, and every chunk verified. A store that holds what the place does
    not is refused and left as it is. Endpoint and credentials come from the environment:
    AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION.
    """
    from memoria.store.sync import pull

    with output.progress("pulling", "bytes") as show:
        document = pull(url, store, show)
    was = ", up to date" if document["up_to_date"] else ""
    if document["replaced_step"] is not None and not was:
        was = f", was at step {document['replaced_step']}"
    output.result(document, [f"{document['path']}: step {document['step']}{was}"], json)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("pull", epilog=epilog(EXAMPLES))(_pull)
