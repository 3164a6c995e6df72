"""The same life under other parameters: every working memory of a store, stepped anew."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Final

from memoria.config import MemoriaConfig
from memoria.errors import ConfigError, InputError
from memoria.io.inputs import WorkingMemory
from memoria.io.progress import Progress
from memoria.store.memory_files import MemoryFiles
from memoria.store.payloads import decode_revision
from memoria.store.reading import open_files
from memoria.store.replay.steps import logged_steps
from memoria.store.schema import EventColumn
from memoria.store.store import MemoryStore
from memoria.timeline.log import ENDINGS, EventKind

CHANGEABLE: Final = (
    "num_reminded_stm",
    "stm_capacity",
    "ltm_search_depth",
    "initial_lifespan",
    "num_final_ltms",
    "random_entries",
    "tie_break",
    "seed",
    "rule",
    "layout",
)


@dataclass(frozen=True)
class Rerun:
    """What came of it. ``skipped_events`` were done to engrams that did not live in this life."""

    path: str
    steps: int
    engrams: int
    skipped_events: int
    digest: str

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def changed_config(config: MemoriaConfig, changes: Mapping[str, Any]) -> MemoriaConfig:
    """``config`` with other parameters. Raises `ConfigError` for what inputs depend on."""
    for name in changes:
        if name not in CHANGEABLE:
            raise ConfigError(f"--set {name}: not a parameter of a life", ", ".join(CHANGEABLE))
    return MemoriaConfig.from_values({**config.model_dump(), **changes})


def rerun(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    changes: Mapping[str, Any],
    at: int | str | None = None,
    progress: Progress | bool = False,
) -> Rerun:
    """Step through all inputs of the store at ``path`` into a new one at ``out``.

    Same vectors, texts and places, in the same steps, with ``changes`` to the configuration; every
    step gains by its rule. What was done by hand is done again, where the engram lives. Steps are
    committed as they go, so that what was done stays after an interruption. Raises `InputError`
    where compaction has removed the beginning.
    """
    with closing(open_files(path, at)) as files:
        config = changed_config(files.config, changes)
        if files.attributes.era.step:
            raise InputError(
                f"{files.path}: compaction has removed steps 1 to {files.attributes.era.step}",
                "replay a copy from before it",
            )
        total, skipped = files.rows("log/steps"), 0
        with MemoryStore.create(out, config) as store:

            def memories() -> Iterator[WorkingMemory]:
                nonlocal skipped
                for step in logged_steps(files, 1, total, with_texts=True):
                    for number in range(*step.happened):
                        skipped += not _done_again(store, files, number)
                    yield step.memory

            store.step_stream(memories(), progress=progress, total=total)
            return Rerun(str(store.path), store.timestep, files.created, skipped, store.digest())


def _done_again(store: MemoryStore, files: MemoryFiles, number: int) -> bool:
    """Do to the engram what event ``number`` did; False where it cannot be done."""
    event = files.event_rows(number, number + 1)[0]
    kind, engram = EventKind(int(event[EventColumn.KIND])), int(event[EventColumn.ENGRAM])
    try:
        if kind in ENDINGS:
            store.forget([engram])
        elif kind == EventKind.PIN:
            store.pin([engram])
        elif kind == EventKind.UNPIN:
            store.unpin([engram])
        elif kind == EventKind.RECALL:
            store.recall([engram], float(files.event_values(number, number + 1)[0]))
        elif kind == EventKind.EDIT:
            store.edit(engram, **decode_revision(files.event_payload(number), files.config))
    except InputError:
        return False
    return kind != EventKind.CONFIRM
