"""`memoria push` and `memoria pull`: a memory to object storage, and from it."""

from __future__ import annotations

from typing import Annotated

from memoria_cli.options import Json, argument, option
from memoria_cli.stores import Store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_bytes, format_count
from memoria_cli.verbs import verb


@verb(
    "push",
    "memoria push notes s3://memories/notes",
    "memoria push notes s3://memories/notes --json",
)
def push(
    store: Store,
    url: Annotated[str, argument("s3://BUCKET/NAME", "Where to.")],
    force: Annotated[
        bool, option("--force", "Where the histories have parted, drop what is only there.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring a memory at an S3-compatible place up to a store.

    Only what lacks there is sent, and an interrupted push goes on where it was. Reading verbs
    open the place as it is. Endpoint and credentials come from the environment:
    AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION.
    """
    from memoria.store.sync import push as push_store

    with output.progress("pushing", "files") as show:
        document = push_store(store, url, force, show)
    sent = f"{format_count(document['files'], 'file')}, {format_bytes(document['bytes'])} sent"
    what = "up to date" if document["up_to_date"] else sent
    human = [f"{document['url']}: step {document['step']}, {what}"]
    if document["dropped_steps"]:
        human.append(f"dropped there: {format_count(document['dropped_steps'], 'step')}")
    output.result(document, human, json)


@verb(
    "pull",
    "memoria pull s3://memories/notes notes",
    "memoria pull s3://memories/notes notes --json",
)
def pull(
    url: Annotated[str, argument("s3://BUCKET/NAME", "Where from.")],
    store: Annotated[str, argument("STORE", "A new store, or an older copy of it.")],
    json: Json = False,
) -> None:
    """Make the memory at an S3-compatible place a store here.

    An older copy of it is brought up to it.     Only what lacks is fetched, and every chunk
    verified. A store that holds what the place does not is refused and left as it is. Endpoint and
    credentials come from the environment: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY, AWS_REGION.
    """
    from memoria.store.sync import pull as pull_store

    with output.progress("pulling", "bytes") as show:
        document = pull_store(url, store, show)
    was = ", up to date" if document["up_to_date"] else ""
    if document["replaced_step"] is not None and not was:
        was = f", was at step {document['replaced_step']}"
    output.result(document, [f"{document['path']}: step {document['step']}{was}"], json)
