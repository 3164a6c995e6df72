"""`memoria step`: add, remind and adjust over a whole stream."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

from memoria.errors import MemoriaError, UsageError
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
from memoria_cli.terminal.signals import DeferredSignals, StoppedError
from memoria_cli.verbs import verb

if TYPE_CHECKING:
    from memoria.backbones.streams import InputStream, WorkingMemory
    from memoria.store import MemoryStore


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
    from memoria.store.reading import open_files

    if not math.isfinite(commit_every):
        raise UsageError(f"--commit-every {commit_every}: must be a finite number of seconds")
    with (
        DeferredSignals() as signals,
        closing(open_files(store, mode="r+")) as files,
    ):
        if rule is not None:
            parse_rule(rule)
        if watch:
            from memoria_cli.terminal.screen import check_terminal

            check_terminal("--watch")
        with load_memory_store(files, "step") as opened:
            stream = InputStream(
                files.config,
                inputs or (),
                texts=text or (),
                unit=unit,
                wm_length=wm_length,
                limit=limit,
                last_offset=opened.last_place if resume else None,
                backbone=backbone,
                **speed_options(files.config.backbone, batch_size, device),
            )
            run = _Run(opened, rule, commit_every, signals, watch)
            run.through(stream)
            document = {
                "path": str(opened.path),
                "steps": run.done,
                "timestep": opened.timestep,
                "engrams_added": run.engrams,
                "skipped": stream.skipped,
                "digest": opened.digest(),
            }
    for line in stream.notices:
        output.note(line)
    if run.quit:
        output.note("ended by q: the same command with --resume goes on from there")
    passed = f"; {stream.skipped} units were remembered before" if stream.skipped else ""
    added = f"{format_count(run.done, 'step')}, {run.engrams} engrams added"
    output.result(document, [f"{added}, the store is at step {document['timestep']}{passed}"], json)


class _Run:
    """Steps through a stream, with a commit whenever ``every`` seconds have passed."""

    def __init__(
        self,
        store: MemoryStore,
        rule: str | None,
        every: float,
        signals: DeferredSignals,
        watch: bool,
    ) -> None:
        self._store, self._rule, self._every = store, rule, every
        self._signals, self._watch = signals, watch
        self._last_commit = time.monotonic()
        self._between_steps = True
        self.quit = False  # whether q ended it
        self.done = 0
        self.engrams = 0

    def through(self, stream: InputStream) -> None:
        """Step to the end and commit. Whatever stops it, finished steps are committed first."""
        try:
            total = stream.count()  # finds a faulty input before anything is remembered
            with self._progress(total) as go_on:
                for memory in stream:
                    with self._signals.deferred():
                        self._step(memory)
                    if not go_on():
                        self.quit = True
                        break
            with self._signals.deferred():
                self._commit()
        except KeyboardInterrupt:
            self._commit_finished()
            raise StoppedError(
                f"interrupted: {format_count(self.done, 'step')} committed, the store is at step "
                f"{self._store.timestep}",
                "the same command with --resume goes on from there",
            ) from None
        except MemoriaError:
            self._commit_finished()
            raise

    @contextmanager
    def _progress(self, total: int) -> Iterator[Callable[[], bool]]:
        """Yield what to call after each step: it shows the step and says whether to go on."""
        if self._watch:
            from memoria.store.replay.walk import Walk
            from memoria_cli.terminal.watch import FRAMES_A_SECOND, WatchView

            begun = self._store.timestep
            walk = Walk(self._store.files, begun + 1, None)
            with WatchView(walk, self._store.path.name, begun + total, FRAMES_A_SECOND) as view:
                yield view.draw_if_due
                view.draw_now()
            return
        with output.progress("stepping", "steps") as show:

            def go_on() -> bool:
                show(self.done, total)
                return True

            yield go_on

    def _step(self, memory: WorkingMemory) -> None:
        self._between_steps = False
        self._store.step(
            memory.data, self._rule, memory.texts, memory.places, memory.times, memory.meta
        )
        self.done += 1
        self.engrams += memory.data.shape[0] * memory.data.shape[1]
        if time.monotonic() - self._last_commit >= self._every:
            self._commit()
        self._between_steps = True

    def _commit(self) -> None:
        self._between_steps = False
        self._store.commit()
        self._between_steps = True
        self._last_commit = time.monotonic()

    def _commit_finished(self) -> None:
        """Commit the finished steps, unless the store itself has failed within a step."""
        if self._between_steps and self.done:
            with self._signals.deferred():
                self._commit()
