"""`memoria verify`: is a store what was committed, and what of it can be saved?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from memoria.errors import DamageError, UsageError
from memoria_cli.options import Json, Store, epilog
from memoria_cli.terminal import output
from memoria_cli.terminal.wording import byte_size

if TYPE_CHECKING:
    from memoria.store.verify import Repaired, Report

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria verify notes",
    "memoria verify notes --json",
    "memoria verify notes --repair -o saved",
)

_LIST: Final = 50  # findings for people


def _verify(
    store: Store,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Write what is sound as a new store, to --output."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="NEW",
            help="Where the repaired store goes. The damaged one stays as it is.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Read every byte of a store and check it against the log, the digests and every rule.

    Names file, array, lane and step of everything that is wrong, and exits with 3 if anything
    is. Changes nothing. --repair cuts back to the last sound step, in a new store.
    """
    from memoria.store.verify import repair as repair_store
    from memoria.store.verify import verify

    if repair != (out is not None):
        raise UsageError("--repair and --output go together", "--repair -o NEW")
    repaired = None
    with output.progress("verifying", "bytes") as show:
        if out is not None:
            report, repaired = repair_store(store, out, show)
        else:
            report = verify(store, show)
    document = report.document()
    if repair:
        document["repaired"] = None if repaired is None else asdict(repaired)
    human = _told(report)
    if repair:
        human.append(_told_repaired(repaired))
    output.result(document, human, json)
    if not report.sound:
        raise typer.Exit(DamageError.exit_code)


def _told(report: Report) -> list[str | output.Table]:
    size = f"{report.files} files, {byte_size(report.bytes)}"
    parts: list[str | output.Table] = []
    if report.sound:
        parts.append(f"{report.path}: sound: {_steps(report.step)}, {size}")
    else:
        count = len(report.findings) + report.more
        found = f"{count} finding{'s' if count > 1 else ''}"
        parts.append(f"{report.path}: damaged: {found} in {size}")
        parts.append(_findings(report))
        if report.more or len(report.findings) > _LIST:
            parts.append(f"and {count - min(_LIST, len(report.findings))} more")
        parts.append(f"sound up to step {report.sound_step} of {report.step}")
    if report.garbage["files"]:
        left = f"{report.garbage['files']} files, {byte_size(report.garbage['bytes'])}"
        parts.append(f"left over by interrupted writers: {left}; the next writer removes them")
    return parts


def _told_repaired(repaired: Repaired | None) -> str:
    if repaired is None:
        return "repaired: nothing, since no step is sound: restore the store from a copy"
    lost = _steps(repaired.lost_steps) if repaired.lost_steps else "no step"
    begun = {None: "", True: ", the step begun kept", False: ", the step begun lost"}
    told = f"repaired: {repaired.path} has {_steps(repaired.step)}, {lost} lost"
    return told + begun[repaired.begun]


def _findings(report: Report) -> output.Table:
    columns = ("kind", "file", "lane", "step", "what")
    rows = [
        (
            one.kind,
            one.path,
            "" if one.lane is None else str(one.lane),
            "" if one.step is None else str(one.step),
            one.message,
        )
        for one in report.findings[:_LIST]
    ]
    return output.Table("findings", columns, rows)


def _steps(count: int) -> str:
    return f"{count} step{'' if count == 1 else 's'}"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("verify", epilog=epilog(EXAMPLES))(_verify)
