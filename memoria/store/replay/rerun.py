"""The same life under other parameters: every working memory of a store, stepped anew.

With another backbone the texts are encoded anew, so that a memory outlives its encoder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from memoria.config import MemoriaConfig
from memoria.errors import ConfigError, InputError
from memoria.io.atomic_write import atomic_write
from memoria.io.inputs import WorkingMemory
from memoria.io.progress import Progress
from memoria.io.units import flatten
from memoria.store.memory_files import MemoryFiles
from memoria.store.payloads import decode_revision
from memoria.store.reading import open_files
from memoria.store.replay.steps import LoggedStep, logged_steps
from memoria.store.schema import EventColumn
from memoria.store.store import MemoryStore
from memoria.timeline.log import EventKind

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
    "capacity",
    "lifespan_by",
)
_AT_ONCE: Final = 256  # texts that are encoded together, of several steps when these are short


class Encoder(Protocol):
    """What makes vectors of texts: a backbone."""

    name: str
    dimension: int
    options: dict[str, Any]
    fingerprint: str

    def encode(self, batch: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors [N, D] of N texts."""
        ...


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
    encoder: Encoder | None = None,
) -> Rerun:
    """Step through all inputs of the store at ``path`` into a new one at ``out``.

    Same vectors, texts and places, in the same steps, with ``changes`` to the configuration; every
    step gains by its rule. What was done by hand is done again, where the engram lives. With an
    ``encoder`` vectors are those that it makes of the texts; an edit of a vector alone is left
    out. The new store is there as a whole or not at all.

    Raises:
        StoreExistsError: something is at ``out`` already.
        InputError: compaction has removed the beginning, or an ``encoder`` meets an engram without
            a text.
    """
    with closing(open_files(path, at)) as files:
        config = changed_config(files.config, changes)
        if encoder is not None:
            config = config.replace(
                backbone=encoder.name,
                hidden_dim=encoder.dimension,
                backbone_options=dict(encoder.options),
                backbone_fingerprint=encoder.fingerprint,
            )
        if files.attributes.era.step:
            raise InputError(
                f"{files.path}: compaction has removed steps 1 to {files.attributes.era.step}",
                "replay a copy from before it",
            )
        total, skipped = files.rows("log/steps"), 0
        with atomic_write(out, None) as building, MemoryStore.create(building, config) as store:
            done = 0

            def memories() -> Iterator[WorkingMemory]:
                nonlocal skipped, done
                steps = logged_steps(files, 1, total, with_texts=True)
                for step in steps if encoder is None else _encoded(steps, encoder):
                    for number in range(*step.happened):
                        skipped += not _done_again(store, files, number, encoder)
                    done = step.happened[1]
                    yield step.memory

            store.step_stream(memories(), progress=progress, total=total)
            for number in range(done, files.events):  # after the last step
                skipped += not _done_again(store, files, number, encoder)
            store.commit()
            return Rerun(os.fspath(out), store.timestep, files.created, skipped, store.digest())


def _encoded(steps: Iterable[LoggedStep], encoder: Encoder) -> Iterator[LoggedStep]:
    """The steps with the vectors that the encoder makes of their texts."""
    waiting: list[LoggedStep] = []
    count = 0
    for step in steps:
        waiting.append(step)
        count += step.new.size
        if count >= _AT_ONCE:
            yield from _encoded_together(waiting, encoder)
            waiting, count = [], 0
    yield from _encoded_together(waiting, encoder)


def _encoded_together(steps: Sequence[LoggedStep], encoder: Encoder) -> Iterator[LoggedStep]:
    texts = []
    for step in steps:
        for ids, lane in zip(step.new.tolist(), step.memory.texts, strict=True):
            for engram, text in zip(ids, lane, strict=True):
                if text is None:
                    raise InputError(
                        f"engram {engram} has no text, so {encoder.name!r} has nothing to encode",
                        "encode its input anew into a store of its own",
                    )
                texts.append(flatten(text))
    vectors = encoder.encode(texts) if texts else np.zeros((0, encoder.dimension), np.float32)
    start = 0
    for step in steps:
        part = vectors[start : start + step.new.size]
        data = part.reshape(*step.new.shape, encoder.dimension)
        yield replace(step, memory=replace(step.memory, data=data))
        start += step.new.size


def _done_again(
    store: MemoryStore, files: MemoryFiles, number: int, encoder: Encoder | None
) -> bool:
    """Do to the engram what event ``number`` did; False where it cannot be done."""
    event = files.event_rows(number, number + 1)[0]
    kind, engram = EventKind(int(event[EventColumn.KIND])), int(event[EventColumn.ENGRAM])
    try:
        if kind == EventKind.FORGET:
            store.forget([engram])
        elif kind == EventKind.PIN:
            store.pin([engram])
        elif kind == EventKind.UNPIN:
            store.unpin([engram])
        elif kind == EventKind.RECALL:
            store.recall([engram], float(files.event_values(number, number + 1)[0]))
        elif kind == EventKind.EDIT:
            changed = decode_revision(files.event_payload(number), files.config)
            if encoder is not None:
                changed.pop("vector", None)
                if "text" in changed:
                    changed["vector"] = encoder.encode([flatten(changed["text"])])[0]
            store.edit(engram, **changed)
    except InputError:
        return False
    return kind != EventKind.CONFIRM  # a displaced engram goes by the capacity of this life
