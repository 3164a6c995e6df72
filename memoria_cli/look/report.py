"""`memoria report`: a memory as a page to look at."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from memoria_cli.options import Json, StoreAt, at_moment, epilog
from memoria_cli.terminal import output
from memoria_cli.terminal.wording import byte_size

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria report notes -o report.html",
    "memoria report notes@2 -o then.html --most-engrams 100",
    "memoria report notes -o lane.html --lane 0 --force --json",
)


def _report(
    store: StoreAt,
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE.html", help="The file.", show_default=False),
    ],
    lane: Annotated[
        int | None, typer.Option("--lane", min=0, metavar="N", help="This lane only.")
    ] = None,
    most_engrams: Annotated[
        int,
        typer.Option(
            "--most-engrams",
            min=1,
            max=2000,
            metavar="N",
            help="Engrams in the graph: those that fire most often, and others of every time.",
        ),
    ] = 480,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    json: Json = False,
) -> None:
    """Write a page about a memory: summary, plots, and its engrams moving through the steps.

    One file that opens in any browser without a network, forgotten engrams included. Needs the
    extra `viz`. STORE@NAME and STORE@STEP are told of as they were.
    """
    from memoria.report import write_report

    path, at = at_moment(store)
    with output.progress("report", "parts") as show:
        document = write_report(
            path, out, at=at, lane=lane, most_engrams=most_engrams, force=force, progress=show
        )
    human = (
        f"{document['shown']} of {document['engrams']} engrams at step {document['step']} in "
        f"{document['path']}, {byte_size(document['bytes'])}"
    )
    output.result(document, [human], json)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report", epilog=epilog(EXAMPLES))(_report)
