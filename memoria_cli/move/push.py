"""`memoria push`: a memory to object storage."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from memoria_cli.options import Json, Store, epilog
from memoria_cli.terminal import output
from memoria_cli.terminal.wording import byte_size

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria push notes s3://memories/notes",
    "memoria push notes s3://memories/notes --json",
)


def _push(
    store: Store,
    url: Annotated[
        str, typer.Argument(metavar="s3://BUCKET/NAME", help="Where to.", show_default=False)
    ],
    force: Annotated[
        bool,
        typer.Option("--force", help="Where the histories have parted, drop what is only there."),
    ] = False,
    json: Json = False,
) -> None:
    """Make what is committed in a store the memory at an S3-compatible place.

    Only what lacks there is sent, and an interrupted push goes on where it was. Reading verbs
    open the place as it is. Endpoint and credentials come from the environment:
    AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION.
    """
    from memoria.store.sync import push

    with output.progress("pushing", "files") as show:
        document = push(store, url, force, show)
    sent = f"{document['files']} files, {byte_size(document['bytes'])} sent"
    human = [f"{document['url']}: step {document['step']}, {sent}"]
    if document["up_to_date"]:
        human = [f"{document['url']}: step {document['step']}, up to date"]
    if document["dropped_steps"]:
        human.append(f"dropped there: {document['dropped_steps']} steps")
    output.result(document, human, json)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("push", epilog=epilog(EXAMPLES))(_push)
