"""`memoria verify`: is a store what was committed, and what of it can be saved?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from memoria.errors import DamageError, UsageError
from memoria_cli.options import Json, option
from memoria_cli.stores import Store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_bytes, format_count
from memoria_cli.verbs import verb

if TYPE_CHECKING:
    from memoria.store.verify import Repaired, Report


_LIST: Final = 50  # findings for people
_COLUMNS: Final[Mapping[str, output.Column]] = {
    "kind": attrgetter("kind"),
    "file": attrgetter("path"),
    "lane": attrgetter("lane"),
    "step": attrgetter("step"),
    "what": attrgetter("message"),
}


@verb(
    "verify",
    "memoria verify notes",
    "memoria verify notes --json",
    "memoria verify notes --repair -o saved",
)
def verify(
    store: Store,
    repair: Annotated[
        bool, option("--repair", "Write what is sound as a new store, to --output.")
    ] = False,
    out: Annotated[
        Path | None,
        option(
            "--output -o", "Where the repaired store goes. The damaged one stays as it is.", "NEW"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Read every byte of a store and check it, or repair it with -o.

    Checks it against the log, the digests and every rule. Names file, array, lane and step of
    everything that is wrong, and exits with 3 if anything is. Changes nothing. --repair cuts back
    to the last sound step, in a new store.
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
    human = _describe(report)
    if repair:
        human.append(_describe_repair(repaired))
    output.result(document, human, json)
    if not report.sound:
        raise typer.Exit(DamageError.exit_code)


def _describe(report: Report) -> list[output.Part]:
    size = f"{format_count(report.files, 'file')}, {format_bytes(report.bytes)}"
    parts: list[output.Part] = []
    if report.sound:
        parts.append(f"{report.path}: sound: {format_count(report.step, 'step')}, {size}")
    else:
        count = len(report.findings) + report.more
        parts.append(f"{report.path}: damaged: {format_count(count, 'finding')} in {size}")
        parts.append(output.table("findings", report.findings[:_LIST], _COLUMNS))
        if report.more or len(report.findings) > _LIST:
            parts.append(f"and {count - min(_LIST, len(report.findings))} more")
        parts.append(f"sound up to step {report.sound_step} of {report.step}")
    if report.garbage["files"]:
        files = format_count(report.garbage["files"], "file")
        left = f"{files}, {format_bytes(report.garbage['bytes'])}"
        parts.append(f"left over by interrupted writers: {left}; the next writer removes them")
    parts += [f"note: {note.path} {note.message}" for note in report.notes]
    return parts


def _describe_repair(repaired: Repaired | None) -> str:
    if repaired is None:
        return "repaired: nothing, since no step is sound: restore the store from a copy"
    lost = format_count(repaired.lost_steps, "step") if repaired.lost_steps else "no step"
    begun = {None: "", True: ", the step begun kept", False: ", the step begun lost"}
    steps = format_count(repaired.step, "step")
    return f"repaired: {repaired.path} has {steps}, {lost} lost{begun[repaired.begun]}"
