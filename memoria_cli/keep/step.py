"""`memoria step`: add, remind and adjust over a whole stream."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

from memoria.errors import UsageError
from memoria.timeline.gain import parse_rule
from memoria_cli.options import (
    ENGINE_PANEL,
    Address,
    BatchSize,
    Device,
    Engine,
    Inputs,
    Jobs,
    Json,
    RequiredBackbone,
    Rule,
    SkipBad,
    TextField,
    Texts,
    TimeField,
    Unit,
    WmLength,
    option,
    refuse_engine,
    speed_options,
)
from memoria_cli.options import limit as limit_option
from memoria_cli.stores import OptionalStore, keep_place, load_memory_store
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
    "memoria step --each stores.jsonl --jobs 2",
)
def step(
    store: OptionalStore = None,
    inputs: Inputs = None,
    text: Texts = None,
    unit: Unit = None,
    text_field: TextField = None,
    time_field: TimeField = None,
    skip_bad: SkipBad = False,
    wm_length: WmLength = None,
    rule: Rule = None,
    limit: Annotated[int | None, limit_option("Steps at most")] = None,
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
    each: Annotated[
        str | None,
        option(
            "--each",
            'Many stores, one a line: {"store": PATH, "inputs": [PATH, ...]}. '
            "What they have remembered before is passed over.",
            "FILE.jsonl",
            rich_help_panel=ENGINE_PANEL,
        ),
    ] = None,
    engine: Engine = "local",
    address: Address = None,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Read inputs step by step: add, remind and adjust each time.

    A step takes one working memory. With one lane, inputs are read one after another; with several,
    lane i reads input i until the shortest ends. Ctrl-C ends it between two steps, and --resume
    goes on from there.

    With --each many stores get inputs of their own, some at a time, here or on Ray. A store that
    fails does not stop the others; the same command does what is left.
    """
    if not math.isfinite(commit_every):
        raise UsageError(f"--commit-every {commit_every}: must be a finite number of seconds")
    if each is not None:
        from memoria_cli.keep.step_each import step_each

        refused = {"STORE": store, "--text": text, "--limit": limit, "--watch": watch or None}
        for name, value in refused.items():
            if value is not None:
                raise UsageError(f"{name}: not with --each", "its file names stores and inputs")
        step_each(
            each,
            {
                "rule": rule,
                "unit": unit,
                "wm_length": wm_length,
                "commit_every": commit_every,
                "backbone": backbone,
                "batch_size": batch_size,
                "device": device,
            },
            {"engine": engine, "address": address, "jobs": jobs},
            json,
        )
        return
    if store is None:
        raise UsageError("no STORE is named", "name it first, or many with --each FILE.jsonl")
    refuse_engine(engine, address, jobs, "--each")
    from memoria.backbones.streams import InputStream
    from memoria.io.read_options import ReadOptions
    from memoria.store.asking import bring_up_index
    from memoria.store.lane_texts import LEAST_SAVED
    from memoria.store.reading import open_files
    from memoria.store.reading_recorder import ReadingRecorder

    with closing(open_files(store, mode="r+")) as files:
        if rule is not None:
            parse_rule(rule)
        if watch:
            from memoria_cli.terminal.screen import check_terminal

            check_terminal("--watch")
        with load_memory_store(files, "step", device) as opened:
            keep_place(opened, backbone)
            stream = InputStream(
                files.config,
                inputs or (),
                texts=text or (),
                unit=ReadOptions(unit or files.config.unit, text_field, time_field, skip_bad),
                wm_length=wm_length,
                limit=limit or None,
                last_offset=opened.last_offset if resume else None,
                backbone=backbone,
                place=files.attributes.settings.backbone,
                **speed_options(files.config.backbone, batch_size, device),
            )
            begun = opened.timestep
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
            document = readings.document()
    for line in stream.notices:
        output.note(line)
    if quit:
        output.note("ended by q: the same command with --resume goes on from there")
    passed = f"; {format_count(stream.skipped, 'unit')} remembered before" if stream.skipped else ""
    added = document["engrams_added"]
    taken = f"{format_count(document['steps'], 'step')}, {format_count(added, 'engram')} added"
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
