"""`memoria mcp`: a memory as tools of an agent."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Annotated

from memoria_cli.options import option
from memoria_cli.stores import Store
from memoria_cli.terminal import output
from memoria_cli.verbs import verb


@verb("mcp", "memoria mcp notes", "memoria mcp notes --json")
def mcp(
    store: Store,
    json: Annotated[
        bool, option("--json", "Only print what the configuration of a client needs.")
    ] = False,
) -> None:
    """Give an agent a memory: tools of the Model Context Protocol.

    They go through standard input and output. The client of the agent starts this command. The
    tools are remember, ask, used, recent, forget and edit; each write is committed at once, and
    other commands work beside it.
    """
    if json:
        from memoria.store.reading import read_config

        read_config(store)
        command = {"command": "memoria", "args": ["mcp", os.path.abspath(store)]}
        output.result({"mcpServers": {"memoria": command}}, [], as_json=True)
        return
    from memoria import __version__
    from memoria.serving.agent_tools import run_agent_server

    with suppress(KeyboardInterrupt):  # which is one way to end it
        run_agent_server(store, __version__)
