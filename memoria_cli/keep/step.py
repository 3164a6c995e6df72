"""`memoria step`: add, remind and adjust over a whole stream."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from memoria.errors import UsageError
from memoria.timeline.gain import parse_rule
from memoria_cli.keep.step_outcome import tell_outcome, tell_plan
from memoria_cli.options import (
    ENGINE_PANEL,
    READING_PANEL,
    Address,
    BatchSize,
    Device,
    DryRun,
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
    panel,
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
    from memoria.config import MemoriaConfig
    from memoria.io.inputs import WorkingMemory
    from memoria.store import MemoryStore
    from memoria.store.file_reading import FileReading

OnDelete = Literal["forget", "keep"]

_files: Final = panel("Files that change")


@verb(
    "step",
    "memoria step notes diary.txt",
    "memoria step vectors stream.npy --rule uniform:5 --limit 100 --json",
    "memoria step notes ./journal --sync",
    "memoria step notes 'logs/*.txt' --sync --on-delete keep --dry-run",
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
    dedup: Annotated[
        bool,
        option(
            "--dedup",
            "Pass over texts that repeat others, here or in the memory: the same but for capitals, "
            "white space and how letters are typed.",
            rich_help_panel=READING_PANEL,
        ),
    ] = False,
    dedup_near: Annotated[
        bool,
        option(
            "--dedup-near",
            "Pass over texts that are nearly the same, too.",
            rich_help_panel=READING_PANEL,
        ),
    ] = False,
    wm_length: WmLength = None,
    rule: Rule = None,
    limit: Annotated[int | None, limit_option("Steps at most")] = None,
    sync: Annotated[
        bool,
        _files(
            "--sync",
            "Read only what is new or has changed since the last time, and forget what is there "
            "no more: the store holds what the files hold.",
        ),
    ] = False,
    on_delete: Annotated[
        OnDelete | None,
        _files(
            "--on-delete",
            "With --sync, what becomes of what a file has no more: forget it, or keep it, as for "
            "logs that rotate.",
            "HOW",
            show_default="forget",
        ),
    ] = None,
    resume: Annotated[
        bool,
        _files(
            "--resume",
            "--sync --on-delete keep: go on after an interruption, or take in what a file has "
            "grown by.",
        ),
    ] = False,
    watch_folder: Annotated[
        bool,
        _files(
            "--watch-folder",
            "Sync now and whenever something changes, until Ctrl-C. Others may write meanwhile.",
        ),
    ] = False,
    dry_run: DryRun = False,
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

    A folder stands for the files below it, without hidden ones and those that its .memoriaignore
    names. One that cannot be read is told at the end, with exit code 1, and stops no other.

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
    from memoria.io.read_options import ReadOptions

    if resume and on_delete == "forget":
        raise UsageError("--resume: keeps what is there no more", "give --sync alone")
    if on_delete is not None and not (sync or resume or watch_folder):
        raise UsageError(f"--on-delete {on_delete}: goes with --sync")
    chosen: OnDelete | None = (on_delete or "forget") if sync and not resume else None
    chosen = "keep" if resume else chosen
    dedup_mode: Literal["exact", "near"] | None = (
        "near" if dedup_near else "exact" if dedup else None
    )
    if watch_folder:
        for name, value in {"--watch": watch, "--dry-run": dry_run, "--text": text}.items():
            if value:
                raise UsageError(f"{name}: not with --watch-folder")
        from memoria_cli.keep.watch_folder import watch_folders

        def options(config: MemoriaConfig) -> dict[str, Any]:
            return {
                "sync": chosen or on_delete or "forget",
                "unit": ReadOptions(unit or config.unit, text_field, time_field, skip_bad),
                "wm_length": wm_length,
                "dedup": dedup_mode,
                "backbone": backbone,
                **speed_options(config.backbone, batch_size, device),
            }

        stepping = {"rule": rule, "commit_every": commit_every}
        watch_folders(store, inputs or (), stepping, options, json)
        return
    from memoria.store.asking import bring_up_index
    from memoria.store.file_reading import FileReading
    from memoria.store.lane_texts import LEAST_SAVED
    from memoria.store.reading import open_files

    with closing(open_files(store, mode="r" if dry_run else "r+")) as files:
        if rule is not None:
            parse_rule(rule)
        if watch:
            from memoria_cli.terminal.screen import check_terminal

            check_terminal("--watch")
        with load_memory_store(files, None if dry_run else "step", device) as opened:
            if not dry_run:
                keep_place(opened, backbone)
            reading = FileReading(
                opened,
                inputs or (),
                chosen,
                texts=text or (),
                unit=ReadOptions(unit or files.config.unit, text_field, time_field, skip_bad),
                wm_length=wm_length,
                limit=limit or None,
                dedup=dedup_mode,
                backbone=backbone,
                **speed_options(files.config.backbone, batch_size, device),
            )
            if dry_run:
                tell_plan(reading, json)
                return
            begun = opened.timestep
            quit = False
            try:
                with output.progress("reading", "bytes") as show:
                    total = reading.begin(show)  # finds a faulty input before anything else
                if watch:
                    quit = _step_watched(opened, reading, total, rule, commit_every)
                else:
                    with output.progress("stepping", "steps") as show:
                        reading.step(rule, progress=show, total=total, commit_every=commit_every)
                reading.finish()
            except KeyboardInterrupt:
                steps = format_count(opened.timestep - begun, "step")
                raise StoppedError(
                    f"interrupted: {steps} committed, the store is at step {opened.timestep}",
                    "the same command with --resume goes on from there",
                ) from None
            document = reading.document()
    if quit:
        output.note("ended by q: the same command with --resume goes on from there")
    tell_outcome(reading, document, json)
    if document["engrams_added"] >= LEAST_SAVED and reading.stream.backbone is not None:
        bring_up_index(store, reading.stream.backbone)
    if reading.faults:
        raise typer.Exit(1)


def _step_watched(
    store: MemoryStore, reading: FileReading, total: int, rule: str | None, commit_every: float
) -> bool:
    """Step through what is read and draw each step; return whether the user ended it."""
    from memoria.store.replay.walk import Walk
    from memoria_cli.terminal.watch import FRAMES_A_SECOND, WatchView

    quit = False

    def memories(view: WatchView) -> Iterator[WorkingMemory]:
        nonlocal quit
        for memory in reading.recorder:
            yield memory
            if quit := not view.draw_if_due():
                return

    begun = store.timestep
    walk = Walk(store.files, begun + 1, None)
    with WatchView(walk, store.path.name, begun + total, FRAMES_A_SECOND) as view:
        store.step_stream(
            memories(view),
            rule,
            commit_every=commit_every,
            before_commit=reading.recorder.before_commit,
        )
        view.draw_now()
    return quit
