"""`memoria step`: add, remind and adjust over a whole stream."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

from memoria.errors import UsageError
from memoria.timeline.gain import parse_rule
from memoria_cli.options import (
    BatchSize,
    Device,
    Inputs,
    Json,
    RequiredBackbone,
    Rule,
    Texts,
    Unit,
    WmLength,
    option,
    speed_options,
)
from memoria_cli.stores import Store, load_memory_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_count
from memoria_cli.terminal.signals import StoppedError
from memoria_cli.verbs import verb

if TYPE_CHECKING:
    from memoria.io.inputs import WorkingMemory
    from memoria.store import MemoryStore
    from memoria.store.reading_recorder import ReadingRecorder


@verb(
    "step",
    "memoria step notes diary.txt",
    "memoria step vectors stream.npy --rule uniform:5 --limit 100 --json",
    "memoria step notes diary.txt --resume",
    "memoria step notes diary.txt --watch",
)
def step(
    store: Store,
    inputs: Inputs = None,
    text: Texts = None,
    unit: Unit = None,
    wm_length: WmLength = None,
    rule: Rule = None,
    limit: Annotated[int | None, option("--limit", "Stop after N steps.", "N", min=1)] = None,
    resume: Annotated[
        bool,
        option(
            "--resume",
            "Pass over what was remembered from each input before: go on after an "
            "interruption, or take in what a file has grown by.",
        ),
    ] = False,
    commit_every: Annotated[
        float,
        option(
            "--commit-every",
            "Make steps durable at least this often, when they come fast; 0 means each.",
            "SECONDS",
            min=0.0,
        ),
    ] = 0.25,
    backbone: RequiredBackbone = None,
    batch_size: BatchSize = None,
    device: Device = None,
    watch: Annotated[
        bool,
        option("--watch", "Look at the memory in the terminal meanwhile; q ends after a step."),
    ] = False,
    json: Json = False,
) -> None:
    """Step through the inputs: add, remind and adjust, one working memory after another.

    With one lane, inputs are read one after another; with several, lane i reads input i until the
    shortest ends. Ctrl-C ends it between two steps, and --resume goes on from there.
    """
    from memoria.backbones.streams import InputStream
    from memoria.store.asking import bring_up_index
    from memoria.store.lane_texts import LEAST_SAVED
    from memoria.store.reading import open_files
    from memoria.store.reading_recorder import ReadingRecorder

    if not math.isfinite(commit_every):
        raise UsageError(f"--commit-every {commit_every}: must be a finite number of seconds")
    with closing(open_files(store, mode="r+")) as files:
        if rule is not None:
            parse_rule(rule)
        if watch:
            from memoria_cli.terminal.screen import check_terminal

            check_terminal("--watch")
        with load_memory_store(files, "step", device) as opened:
            stream = InputStream(
                files.config,
                inputs or (),
                texts=text or (),
                unit=unit,
                wm_length=wm_length,
                limit=limit,
                last_offset=opened.last_offset if resume else None,
                backbone=backbone,
                **speed_options(files.config.backbone, batch_size, device),
            )
            begun, created = opened.timestep, opened.files.created
            quit = False
            readings = ReadingRecorder(opened, stream)
            try:
                total = stream.count()  # finds a faulty input before anything is remembered
                if watch:
                    quit = _step_watched(opened, readings, total, rule, commit_every)
                else:
                    with output.progress("stepping", "steps") as show:
                        opened.step_stream(
                            readings, rule, progress=show, total=total, commit_every=commit_every
                        )
                readings.finish()
            except KeyboardInterrupt:
                steps = format_count(opened.timestep - begun, "step")
                raise StoppedError(
                    f"interrupted: {steps} committed, the store is at step {opened.timestep}",
                    "the same command with --resume goes on from there",
                ) from None
            done = opened.timestep - begun
            added = opened.files.created - created
            document = {
                "path": str(opened.path),
                "steps": done,
                "timestep": opened.timestep,
                "engrams_added": added,
                "skipped": stream.skipped,
                "digest": opened.digest(),
            }
    for line in stream.notices:
        output.note(line)
    if quit:
        output.note("ended by q: the same command with --resume goes on from there")
    passed = f"; {stream.skipped} units were remembered before" if stream.skipped else ""
    taken = f"{format_count(done, 'step')}, {added} engrams added"
    output.result(document, [f"{taken}, the store is at step {document['timestep']}{passed}"], json)
    if added >= LEAST_SAVED and stream.backbone is not None:
        bring_up_index(store, stream.backbone)


def _step_watched(
    store: MemoryStore, stream: ReadingRecorder, total: int, rule: str | None, commit_every: float
) -> bool:
    """Step through ``stream`` and draw each step; return whether the user ended it."""
    from memoria.store.replay.walk import Walk
    from memoria_cli.terminal.watch import FRAMES_A_SECOND, WatchView

    quit = False

    def memories(view: WatchView) -> Iterator[WorkingMemory]:
        nonlocal quit
        for memory in stream:
            yield memory
            if quit := not view.draw_if_due():
                return

    begun = store.timestep
    walk = Walk(store.files, begun + 1, None)
    with WatchView(walk, store.path.name, begun + total, FRAMES_A_SECOND) as view:
        store.step_stream(memories(view), rule, commit_every=commit_every)
        view.draw_now()
    return quit
