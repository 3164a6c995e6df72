"""`memoria step`: add, remind and adjust over a whole stream."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from memoria.errors import MemoriaError, UsageError
from memoria.timeline.gain import parse_rule
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
from memoria_cli.terminal.interrupts import Interrupts, StoppedError
from memoria_cli.terminal.threads import one_thread_unless_a_model_runs

if TYPE_CHECKING:
    from memoria.backbones.streams import InputStream, WorkingMemory
    from memoria.store import MemoryStore

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria step notes diary.txt",
    "memoria step vectors stream.npy --rule uniform:5 --limit 100 --json",
    "memoria step notes diary.txt --resume",
    "memoria step notes diary.txt --watch",
)


def _step(
    store: Store,
    inputs: Inputs = None,
    text: Texts = None,
    unit: Unit = None,
    wm_length: WmLength = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            metavar="RULE",
            help="Lifespan rule: correlation[:ALPHA] or uniform:X.",
            show_default="the store's",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Stop after N steps.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Pass over what was remembered from each input before: go on after an "
            "interruption, or take in what a file has grown by.",
        ),
    ] = False,
    commit_every: Annotated[
        float,
        typer.Option(
            "--commit-every",
            min=0.0,
            metavar="SECONDS",
            help="Make steps durable at least this often, when they come fast; 0 means each.",
        ),
    ] = 0.25,
    backbone: AskedBackbone = None,
    batch_size: BatchSize = None,
    device: Device = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Look at the memory in the terminal meanwhile; q ends after a step."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Step through the inputs: add, remind and adjust, one working memory after another.

    With one lane, inputs are read one after another; with several, lane i reads input i until the
    shortest ends. Ctrl-C ends it between two steps, and --resume goes on from there.
    """
    from memoria.backbones.streams import InputStream
    from memoria.store import read_config

    if not math.isfinite(commit_every):
        raise UsageError(f"--commit-every {commit_every}: must be a finite number of seconds")
    config = read_config(store)
    if rule is not None:
        parse_rule(rule)
    if watch:
        from memoria_cli.terminal.screen import check_terminal

        check_terminal("--watch")
    from memoria.store import MemoryStore

    one_thread_unless_a_model_runs(config.backbone)
    with Interrupts() as interrupts, MemoryStore.open(store, "r+") as opened:
        stream = InputStream(
            config,
            inputs or (),
            texts=text or (),
            unit=unit,
            wm_length=wm_length,
            limit=limit,
            last_place=opened.last_place if resume else None,
            backbone=backbone,
            **run_options(config.backbone, batch_size, device),
        )
        run = _Run(opened, rule, commit_every, interrupts, watch)
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
    human = f"{_steps(run.done)}, {run.engrams} engrams added, the store is at step "
    output.result(document, [f"{human}{document['timestep']}{passed}"], json)


class _Run:
    """One run over a stream, with a commit whenever ``every`` seconds have passed."""

    def __init__(
        self,
        store: MemoryStore,
        rule: str | None,
        every: float,
        interrupts: Interrupts,
        watch: bool,
    ) -> None:
        self._store, self._rule, self._every = store, rule, every
        self._interrupts, self._watch = interrupts, watch
        self.quit = False  # whether q ended it
        self._last = time.monotonic()
        self._between_steps = True
        self.done = 0
        self.engrams = 0

    def through(self, stream: InputStream) -> None:
        """Step to the end and commit. Whatever stops it, finished steps are committed first."""
        try:
            total = stream.count()  # finds a faulty input before anything is remembered
            with self._shown(total) as go_on:
                for memory in stream:
                    with self._interrupts.held():
                        self._one(memory)
                    if not go_on():
                        self.quit = True
                        break
            with self._interrupts.held():
                self._commit()
        except KeyboardInterrupt:
            self._keep_finished()
            raise StoppedError(
                f"interrupted: {_steps(self.done)} committed, the store is at step "
                f"{self._store.timestep}",
                "the same command with --resume goes on from there",
            ) from None
        except MemoriaError:
            self._keep_finished()
            raise

    @contextmanager
    def _shown(self, total: int | None) -> Iterator[Callable[[], bool]]:
        """Shows each step: what it yields is called after it, and says whether to go on."""
        if not self._watch:
            with output.progress("stepping", "steps") as show:

                def go_on() -> bool:
                    show(self.done, total or 0)
                    return True

                yield go_on
            return
        from memoria.store.replay.walk import Walk
        from memoria_cli.terminal.live import FRAMES_A_SECOND, LiveView

        begun = self._store.timestep
        walk = Walk(self._store.files, begun + 1, None)
        last = None if total is None else begun + total
        with LiveView(walk, self._store.path.name, last, FRAMES_A_SECOND) as view:
            yield view.tick
            view.finish()

    def _one(self, memory: WorkingMemory) -> None:
        self._between_steps = False
        self._store.step(memory.data, self._rule, memory.texts, memory.places)
        self.done += 1
        self.engrams += memory.data.shape[0] * memory.data.shape[1]
        if time.monotonic() - self._last >= self._every:
            self._commit()
        self._between_steps = True

    def _commit(self) -> None:
        self._between_steps = False
        self._store.commit()
        self._between_steps = True
        self._last = time.monotonic()

    def _keep_finished(self) -> None:
        """Commit what is finished, unless the store itself has failed within a step."""
        if self._between_steps and self.done:
            with self._interrupts.held():
                self._commit()


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("step", epilog=epilog(EXAMPLES))(_step)
