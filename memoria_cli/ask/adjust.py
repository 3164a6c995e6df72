"""`memoria adjust`: ends the step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from memoria.errors import InputError, UsageError
from memoria.timeline.gain import parse_rule
from memoria_cli.options import Json, Store, epilog
from memoria_cli.terminal import output

if TYPE_CHECKING:
    import numpy as np

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria adjust notes",
    "memoria adjust vectors --delta 5 --json",
)


def _adjust(
    store: Store,
    delta: Annotated[
        float | None,
        typer.Option("--delta", metavar="X", help="Every reminded engram gains X steps."),
    ] = None,
    delta_from: Annotated[
        str | None,
        typer.Option(
            "--delta-from",
            metavar="FILE.npy",
            help="Each gains its own number of an array [B, R], aligned with the ids of remind.",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            metavar="RULE",
            help="correlation[:ALPHA] shares ALPHA steps per engram by correlation, uniform:X.",
            show_default="the store's",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Give lifespan to what was reminded and end the step.

    Everything else ages by one step; the oldest of short-term memory becomes long-term, and what
    has no lifespan left is forgotten.
    """
    from memoria.store import read_config

    chosen = [value for value in (delta, delta_from, rule) if value is not None]
    if len(chosen) > 1:
        raise UsageError("--delta, --delta-from and --rule exclude each other", "give one of them")
    if delta is not None and not math.isfinite(delta):
        raise InputError(f"--delta {delta}: must be a finite number")
    config = read_config(store)
    if rule is not None:
        parse_rule(rule)
    gains = _array(delta_from) if delta_from is not None else delta
    from memoria.store import MemoryStore

    with MemoryStore.open(store, "r+") as opened:
        opened.adjust(rule or config.rule if gains is None else gains)
        opened.commit()
        document = {
            "path": str(opened.path),
            "step": opened.timestep,
            "phase": opened.phase,
            "rule": (rule or config.rule) if gains is None else None,
            "digest": opened.digest(),
        }
    output.result(document, [f"adjusted: step {document['step']} is done"], json)


def _array(path: str) -> np.ndarray[Any, Any]:
    from memoria.io.inputs import read_array

    return read_array(path)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("adjust", epilog=epilog(EXAMPLES))(_adjust)
