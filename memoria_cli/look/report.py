"""`memoria report`: a memory as a page to look at."""

from __future__ import annotations

from typing import Annotated

from memoria_cli.options import Force, Json, Lane, option
from memoria_cli.stores import StoreAt, split_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_bytes, format_count
from memoria_cli.terminal.piped import piped, shown_place
from memoria_cli.terminal.piped import report as tell
from memoria_cli.verbs import verb


@verb(
    "report",
    "memoria report notes -o report.html",
    "memoria report notes@2 -o then.html --most-engrams 100",
    "memoria report notes -o lane.html --lane 0 --force --json",
)
def report(
    store: StoreAt,
    out: Annotated[str, option("--output -o", "The file; - for standard output.", "FILE.html")],
    lane: Lane = None,
    most_engrams: Annotated[
        int,
        option(
            "--most-engrams",
            "Engrams in the graph: those that fire most often, and others of every time.",
            "N",
            min=1,
            max=2000,
        ),
    ] = 480,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a page about a memory, to look at in a browser.

    It has a summary, plots, and the engrams moving through the steps. One file that opens in any
    browser without a network, forgotten engrams included. Needs the extra `viz`. STORE@NAME and
    STORE@STEP are told of as they were.
    """
    from memoria.report import write_report

    path, at = split_store(store)
    with piped(out, ".html", json) as target, output.progress("report", "parts") as show:
        document = write_report(
            path, target, at=at, lane=lane, most_engrams=most_engrams, force=force, progress=show
        )
    human = (
        f"{document['shown']} of {format_count(document['engrams'], 'engram')} "
        f"at step {document['step']} in "
        f"{shown_place(out, document['path'])}, {format_bytes(document['bytes'])}"
    )
    tell(document, [human], json, out)
