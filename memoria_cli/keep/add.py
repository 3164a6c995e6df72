"""`memoria add`: one working memory for every lane."""

from __future__ import annotations

from contextlib import closing

from memoria_cli.options import (
    BatchSize,
    Device,
    Inputs,
    Json,
    RequiredBackbone,
    SkipBad,
    TextField,
    Texts,
    TimeField,
    Unit,
    WmLength,
    speed_options,
)
from memoria_cli.stores import Store, keep_place, load_memory_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_count
from memoria_cli.verbs import verb


@verb(
    "add",
    'memoria add notes --text "The cat sat on the mat. The dog barked."',
    "memoria add vectors a.npy --json",
)
def add(
    store: Store,
    inputs: Inputs = None,
    text: Texts = None,
    unit: Unit = None,
    text_field: TextField = None,
    time_field: TimeField = None,
    skip_bad: SkipBad = False,
    wm_length: WmLength = None,
    backbone: RequiredBackbone = None,
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
    from memoria.io.read_options import ReadOptions
    from memoria.store.reading import open_files

    with closing(open_files(store, mode="r+")) as files:
        config = files.config
        stream = InputStream(
            config,
            inputs or (),
            texts=text or (),
            unit=ReadOptions(unit or config.unit, text_field, time_field, skip_bad),
            wm_length=wm_length,
            backbone=backbone,
            place=files.attributes.settings.backbone,
            **speed_options(config.backbone, batch_size, device),
        )
        memory = stream.single()
        with load_memory_store(files, "add") as opened:
            keep_place(opened, backbone)
            ids = opened.add(memory.data, memory.texts, memory.places, memory.times, memory.meta)
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
    output.result(
        document,
        [f"added {format_count(ids.size, 'engram')}{each}; `memoria remind` comes next"],
        json,
    )
