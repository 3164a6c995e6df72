"""`memoria serve`: a page and an API over a memory, on this machine."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from memoria_cli.options import Json, option
from memoria_cli.stores import Store
from memoria_cli.terminal import output
from memoria_cli.verbs import verb


@verb("serve", "memoria serve notes", "memoria serve notes --port 0 --json")
def serve(
    store: Store,
    host: Annotated[
        str, option("--host", "The address to listen on; others are reached only by name.", "HOST")
    ] = "127.0.0.1",
    port: Annotated[
        int, option("--port", "The port; 0 takes any that is free.", "N", min=0, max=65535)
    ] = 8377,
    allow_host: Annotated[
        list[str] | None,
        option(
            "--allow-host",
            "A further name by which browsers and programs may call it. Repeatable.",
            "NAME",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Serve a page to look at a memory and ask it, and a JSON API.

    It runs until Ctrl-C. Only this machine reaches it unless --host says otherwise. What changes
    the memory needs the token in the address that is printed, or in MEMORIA_TOKEN. Other commands
    work beside it.
    """
    from memoria import __version__
    from memoria.serving.running import Address
    from memoria.serving.running import serve as run

    def started(address: Address) -> None:
        page = f"{address.url}#token={address.token}"
        document = {
            "url": address.url,
            "api": f"{address.url}api",
            "page": page,
            "host": address.host,
            "port": address.port,
            "token": address.token,
        }
        lines = [f"{store} is at {page}", f"its API: {address.url}api; Ctrl-C ends it"]
        output.result(document, lines, json)

    with suppress(KeyboardInterrupt):  # which is how it ends
        run(store, host, port, allow_host or (), started, __version__)
