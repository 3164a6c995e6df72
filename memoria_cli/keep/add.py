"""`memoria add`: one working memory for every lane."""

from __future__ import annotations

from typing import Final

import typer

from memoria_cli.backbone_options import run_options
from memoria_cli.options import (
    AskedBackbone,
    BatchSize,
    Device,
    Inputs,
    Json,
    Store,
    Texts,
    Unit,
    WmLength,
    epilog,
)
from memoria_cli.terminal import output

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    'memoria add notes --text "The cat sat on the mat. The dog barked."',
    "memoria add vectors a.npy --json",
)


def _add(
    store: Store,
    inputs: Inputs = None,
    text: Texts = None,
    unit: Unit = None,
    wm_length: WmLength = None,
    backbone: AskedBackbone = None,
    batch_size: BatchSize = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Make the inputs the working memory: the first part of a step.

    With one lane, all inputs together are one working memory. With several, give one input for
    each lane, or an array [B, W, D] of all. `memoria remind` comes next; for a whole stream of
    working memories there is `memoria step`.
    """
    from memoria.backbones.streams import InputStream
    from memoria.store import read_config

    config = read_config(store)
    stream = InputStream(
        config,
        inputs or (),
        texts=text or (),
        unit=unit,
        wm_length=wm_length,
        backbone=backbone,
        **run_options(config.backbone, batch_size, device),
    )
    memory = stream.single()
    from memoria.store import MemoryStore

    with MemoryStore.open(store, "r+") as opened:
        ids = opened.add(memory.data, texts=memory.texts, places=memory.places)
        opened.commit()
        document = {
            "path": str(opened.path),
            "step": opened.timestep,
            "phase": opened.phase,
            "engrams_added": int(ids.size),
            "lanes": [{"lane": lane, "added": row} for lane, row in enumerate(ids.tolist())],
            "digest": opened.digest(),
        }
    for line in stream.notices:
        output.note(line)
    each = "" if config.lanes == 1 else f", {ids.shape[1]} in each of {config.lanes} lanes"
    human = f"added {ids.size} engrams{each}; `memoria remind` comes next"
    output.result(document, [human], json)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("add", epilog=epilog(EXAMPLES))(_add)
