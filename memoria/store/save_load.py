"""A memory in tensors written as a store, and a store taken into memory.

A live memory keeps no more than the living (`Recorder`), so what it wrote looks like a store that
was compacted after its last step: vectors, log and connections of the living, and every id and
step counted. One that never forgot anything is written whole, and can be replayed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from memoria.chunkstore.files import StoreFiles
from memoria.config import MemoriaConfig
from memoria.core.memoria import Memoria, choose_ops
from memoria.core.memory_core import MemoryCore
from memoria.core.recorder import Recorder
from memoria.errors import InputError, StateError
from memoria.store.attributes import Pending, StoreAttributes
from memoria.store.digest import events_digest
from memoria.store.life import Life, StepTable, fold
from memoria.store.live_arrays import (
    digest_words,
    era_of,
    logs_of,
    rows_of,
    tables_of,
    vectors_of,
)
from memoria.store.loading import life_of_core, load_whole
from memoria.store.reading import open_files
from memoria.store.schema import EventColumn, array_specs, era_prefix
from memoria.store.state import written_state
from memoria.store.texts import encoded_texts
from memoria.store.vector_codec import encode_vectors

LaneTexts = Sequence[Mapping[int, str]]

_TOLD: Final = (  # what a memory does not run by
    "wm_length",
    "rule",
    "backbone",
    "backbone_fingerprint",
    "backbone_options",
    "vector_dtype",
    "unit",
)


def save_memory(
    memory: Memoria,
    path: str | os.PathLike[str],
    texts: LaneTexts | None = None,
    **settings: Any,
) -> None:
    """Write ``memory`` as a new store at ``path``, which is there as a whole or not at all.

    Stepped on with the same data, the store and the memory give the same ids, indices and
    lifespans. Of forgotten engrams only their number is left, as after compaction; where nothing
    was forgotten yet, the store is the one that would have come of the same steps, digest and all.
    All steps that the memory did itself are said to have ended now. A memory with a ``search`` of
    its own goes on in a store with the usual one.

    Args:
        memory: between two steps.
        path: where nothing is yet, or an empty directory.
        texts: texts of engrams by id (`Engrams.engram_ids`), [B].
        settings: of the configuration, such as ``rule``, ``backbone`` or ``vector_dtype`` (float32
            unless named); none of what the memory runs by.

    Raises:
        StateError: the memory is empty, within a step or has ``lane_ids``, or a store could not
            tell what was done: each step must have reminded once, and only what fired gained.
        StoreExistsError: something is at ``path``.
        StorageError: the system refuses.
    """
    core, log = _between_steps(memory)
    lanes, state = core.state.lanes, core.state
    tables = log.record(state)
    if len(tables.made) != core.step:
        raise StateError(
            f"of {core.step} steps the memory knows the last {len(tables.made)} only",
            "it came from a state without its log, and no store can begin in the middle",
        )
    working = int(np.diff(tables.made, prepend=0)[-1])
    config = _config(memory.config, core, working, settings)
    life = life_of_core(core)
    if len(life.ids) and int(life.ids[0]) // lanes < log.odd_until:
        raise StateError(
            f"engram {int(life.ids[0]) // lanes} lived through a step that is not one of a store",
            "remind once in every step, and let only the reminded gain lifespan",
        )
    if texts is not None:  # the steps had their digests without
        tables = replace(tables, digests=tables.digests[:0])
    values, unfrozen = StoreAttributes.of_config(config)
    stored = encode_vectors(vectors_of(core, life), config.vector_dtype)
    raw = encoded_texts(life.ids, tables.texts | _by_id(texts, lanes, life))
    words, is_same = digest_words(values, tables, life, stored, raw)
    chain = words[-1].astype(">i8").tobytes()
    late = tables.events[:, EventColumn.STEP] == life.step
    chain = events_digest(chain, tables.events[late], tables.values[late])
    era = era_of(tables, life, is_same, chain.hex())
    rows = rows_of(config, tables, life, words, raw) | stored
    logs = logs_of(tables, life)
    created, entries = life.next_id * lanes, int(tables.counts.sum())
    head, written = written_state(life, logs, 1, created, entries, len(tables.events))
    attributes = StoreAttributes(
        config=values,
        settings=unfrozen,
        step=life.step,
        pending=Pending(),
        digest=chain.hex(),
        state=head,
        era=era,
    ).document()
    specs = array_specs(config, era)
    held = {spec.name: rows[spec.name.removeprefix(era_prefix(era))] for spec in specs}
    held |= {spec.name: value for spec, value in written}
    specs += [spec for spec, _ in written]
    StoreFiles.create(path, specs, attributes, values=held).close()


def load_memory(
    path: str | os.PathLike[str],
    at: int | str | None = None,
    device: str | torch.device | None = None,
    track_age: bool = False,
    track_id: bool = False,
    keep_history: bool = False,
) -> Memoria:
    """The store at ``path`` as a memory in tensors, with all that lives in it.

    The store stays as it is; its sources and snapshots stay behind. Stepped on with the same data,
    both give the same ids, indices and lifespans.

    Args:
        path: the store.
        at: an earlier state: a snapshot by its name, a finished step by its number.
        device: where the memory lies; None: the CPU.
        track_age, track_id: as of `Memoria`.
        keep_history: keep a history, which begins with what the living lived.

    Raises:
        StateError: a step is under way.
        StoreNotFoundError: there is no store.
        DamageError: its files are not what the root says.
        OtherFormatError: another version made it.
        InputError: there is no such moment.
    """
    with closing(open_files(path, at)) as files:
        config = files.config
        if files.attributes.pending.phase != "idle":
            raise StateError(
                f"{files.name}: a step is under way ({files.attributes.pending.phase})",
                f"finish it, or take what is done with at={files.attributes.step}",
            )
        memory = Memoria(
            config.num_reminded_stm,
            config.stm_capacity,
            config.ltm_search_depth,
            config.initial_lifespan,
            config.num_final_ltms,
            track_age,
            track_id,
            keep_history,
            device=device,
            seed=config.seed,
            tie_break=config.tie_break,
            random_entries=config.random_entries,
            layout=config.layout,
        )
        where = memory.device or torch.device("cpu")
        steps = StepTable.read(files)
        if len(steps) == 0:
            memory.config = config
            return memory
        life = fold(files, config, steps)
        core = load_whole(files, config, life, choose_ops(where))
        log = Recorder(config.lanes, core.ops, tables_of(files, steps, life))
        memory.resume(config, core, log)
        return memory


def _between_steps(memory: Memoria) -> tuple[MemoryCore, Recorder]:
    core, log = memory.core, memory.log
    if core is None or log is None or core.step == 0:
        raise StateError("the memory has done no step yet", "a store begins with the first one")
    if core.working_positions().shape[1]:
        raise StateError(
            "there is working memory, so a step is under way",
            "end it with adjust_lifespan_and_memories() first",
        )
    if core.lane_ids.tolist() != list(range(core.state.lanes)):
        raise StateError(
            f"lane_ids = {core.lane_ids.tolist()}: the lanes of a store are 0 to its last",
            "make the memory without lane_ids",
        )
    return core, log


def _config(
    config: MemoriaConfig, core: MemoryCore, working: int, settings: Mapping[str, Any]
) -> MemoriaConfig:
    """The store's configuration; ``settings`` may only say what the memory knows nothing of."""
    state = core.state
    whole = config.replace(lanes=state.lanes, hidden_dim=state.vectors.dimension)
    if "backbone" not in config.model_fields_set:  # vectors that came as they are
        arrays = MemoriaConfig(backbone="array")
        whole = whole.replace(backbone=arrays.backbone, rule=arrays.rule, wm_length=max(1, working))
    whole = whole.replace(vector_dtype="float32")
    made = whole.replace(**settings)
    for name in _TOLD:
        whole = whole.replace(**{name: getattr(made, name)})
    if made != whole:
        wrong = [name for name in settings if getattr(made, name) != getattr(whole, name)]
        raise InputError(
            f"{wrong[0]} = {settings[wrong[0]]!r}: the memory runs by {getattr(whole, wrong[0])!r}",
            "it stays what it is",
        )
    return made


def _by_id(texts: LaneTexts | None, lanes: int, life: Life) -> dict[int, str]:
    """Texts by the store's ids."""
    if texts is None:
        return {}
    if len(texts) != lanes:
        raise InputError(f"texts of {len(texts)} lanes: the memory has {lanes}")
    found = {}
    for lane, of_lane in enumerate(texts):
        for local, text in of_lane.items():
            if not 0 <= local < life.next_id:
                raise InputError(f"text of engram {local} in lane {lane}: it never was")
            found[local * lanes + lane] = text
    return found
