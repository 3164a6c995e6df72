"""`memoria adjust`: ends the step."""

from __future__ import annotations

import math
from contextlib import closing
from typing import Annotated, Any

from memoria.errors import InputError, UsageError
from memoria.timeline.gain import parse_rule
from memoria_cli.options import Json, Rule, option
from memoria_cli.stores import Store, load_memory_store
from memoria_cli.terminal import output
from memoria_cli.verbs import verb


@verb("adjust", "memoria adjust notes", "memoria adjust vectors --delta 5 --json")
def adjust(
    store: Store,
    delta: Annotated[
        float | None, option("--delta", "Every reminded engram gains X steps.", "X")
    ] = None,
    delta_from: Annotated[
        str | None,
        option(
            "--delta-from",
            "Each gains its own number of an array [B, R], aligned with the ids of remind.",
            "FILE.npy",
        ),
    ] = None,
    rule: Rule = None,
    json: Json = False,
) -> None:
    """Give lifespan to what was reminded and end the step.

    Everything else ages by one step; the oldest of short-term memory becomes long-term, and what
    has no lifespan left is forgotten.
    """
    from memoria.store.reading import open_files

    if sum(value is not None for value in (delta, delta_from, rule)) > 1:
        raise UsageError("--delta, --delta-from and --rule exclude each other", "give one of them")
    if delta is not None and not math.isfinite(delta):
        raise InputError(f"--delta {delta}: must be a finite number")
    with closing(open_files(store, mode="r+")) as files:
        applied = None
        gains: Any = delta
        if delta_from is not None:
            from memoria.io.arrays import read_array

            gains = read_array(delta_from)
        elif delta is None:
            gains = applied = rule or files.config.rule
            parse_rule(applied)
        with load_memory_store(files, "adjust") as opened:
            opened.adjust(gains)
            opened.commit()
            document = {
                "path": str(opened.path),
                "step": opened.timestep,
                "phase": opened.phase,
                "rule": applied,
                "digest": opened.digest(),
            }
    output.result(document, [f"adjusted: step {document['step']} is done"], json)
