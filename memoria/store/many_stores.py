"""Many stores, each stepped through inputs of its own by a task, here or on a Ray cluster.

Every store is told apart from the others, so that its steps are those of one process alone. What a
store has remembered of an input before is passed over: the same call goes on after a kill, and does
nothing where all is done.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from memoria.backbones import speed_options
from memoria.engines import Stopping, Task, run_tasks, stoppable
from memoria.errors import InputError
from memoria.io.bounds import open_regular, parse_json
from memoria.io.files import reading
from memoria.io.progress import Progress
from memoria.store.asking import bring_up_index
from memoria.store.file_reading import FileReading
from memoria.store.lane_texts import LEAST_SAVED
from memoria.store.reading import open_files
from memoria.store.store import MemoryStore
from memoria.timeline.gain import parse_rule

_TASK: Final = "memoria.store.many_stores:step_store"
_HINT: Final = 'write {"store": PATH, "inputs": [PATH, ...]} on each line'


@dataclass(frozen=True)
class StoreInputs:
    """A store and what it is stepped through: files in order, then texts themselves."""

    store: str
    inputs: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def read_store_list(path: str | os.PathLike[str]) -> list[StoreInputs]:
    """The stores of a file of JSON lines, ``{"store", "inputs", "texts"}`` each.

    Paths are relative to the working directory, as on a command line.

    Raises:
        InputError: a line is no such object, names no input or standard input, or names a store
            that another line names.
        StorageError: the system refuses to read.
    """
    name = os.fspath(path)
    found: dict[str, StoreInputs] = {}
    with reading(name), open(open_regular(name), "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{name}: line {number}"
            one = _parse(line, where)
            place = os.path.realpath(one.store)
            if place in found:
                raise InputError(f"{where}: {one.store} is named before", "give it all inputs once")
            found[place] = one
    if not found:
        raise InputError(f"{name}: names no store", _HINT)
    return list(found.values())


def step_stores(
    stores: Sequence[StoreInputs],
    *,
    rule: str | None = None,
    unit: str | None = None,
    wm_length: int | None = None,
    commit_every: float = 0.25,
    backbone: str | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    engine: str = "local",
    jobs: int | None = None,
    address: str | None = None,
    progress: Progress | bool = False,
) -> list[dict[str, Any]]:
    """Step through the inputs of many stores; one that fails does not stop the others.

    Args:
        stores: the stores with their inputs.
        rule, unit, wm_length, commit_every, backbone: as `MemoryStore.step_stream` and
            `InputStream` take them, for all stores.
        batch_size, device: as the stores' backbones take them.
        engine, jobs, address, progress: as `run_tasks` takes them.

    Returns:
        For each store in order ``path``, ``status`` ("done" or "failed"), ``error`` (None, or its
        type, message and hint), and of a store that is done what `ReadingRecorder.document` says
        and ``notices`` for the user.

    Raises:
        ConfigError: a faulty rule, engine or address.
        MissingExtraError: Ray is not installed.
    """
    if rule is not None:
        parse_rule(rule)
    common = {
        "rule": rule,
        "unit": unit,
        "wm_length": wm_length,
        "commit_every": commit_every,
        "backbone": backbone,
        "batch_size": batch_size,
        "device": device,
    }
    tasks = [
        Task(_TASK, {"store": o.store, "inputs": [*o.inputs], "texts": [*o.texts], **common})
        for o in stores
    ]
    outcomes = run_tasks(tasks, engine=engine, jobs=jobs, address=address, progress=progress)
    return [
        {
            "path": os.path.abspath(one.store),
            "status": "done" if outcome.error is None else "failed",
            "error": outcome.error,
            **outcome.document,
        }
        for one, outcome in zip(stores, outcomes, strict=True)
    ]


def step_store(
    document: Mapping[str, Any], progress: Progress, stopping: Stopping
) -> dict[str, Any]:
    """Step one store through what it has not remembered yet: the function of its task."""
    path = document["store"]
    with closing(open_files(path, mode="r+")) as files:
        options = {name: document[name] for name in speed_options(files.config.backbone)}
        with MemoryStore(files, document["device"]) as store:
            store.begin_command("step")
            reading = FileReading(
                store,
                document["inputs"],
                "keep",
                texts=document["texts"],
                knows_texts=True,
                unit=document["unit"],
                wm_length=document["wm_length"],
                backbone=document["backbone"],
                **{name: value for name, value in options.items() if value is not None},
            )
            total = reading.begin()
            reading.step(
                document["rule"],
                progress=stoppable(progress, stopping),
                total=total,
                commit_every=document["commit_every"],
            )
            reading.finish()
            done = reading.recorder.document()
    stream = reading.stream
    if done["engrams_added"] >= LEAST_SAVED and stream.backbone is not None:
        bring_up_index(path, stream.backbone)
    return {**done, "notices": stream.notices}


def _parse(line: bytes, where: str) -> StoreInputs:
    try:
        record = parse_json(line)
    except ValueError:
        raise InputError(f"{where}: is no JSON", _HINT) from None
    if not isinstance(record, dict) or not isinstance(record.get("store"), str):
        raise InputError(f"{where}: names no store", _HINT)
    unknown = sorted(record.keys() - {"store", "inputs", "texts"})
    if unknown:
        raise InputError(f"{where}: {unknown[0]!r} is unknown", "it takes store, inputs, texts")
    lists = {key: record.get(key, []) for key in ("inputs", "texts")}
    for key, words in lists.items():
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError(f"{where}: {key} is no list of texts", _HINT)
    if "-" in lists["inputs"]:
        raise InputError(f"{where}: standard input cannot be shared", "name a file")
    if not any(lists.values()):
        raise InputError(f"{where}: {record['store']} gets no input", _HINT)
    return StoreInputs(record["store"], *map(tuple, lists.values()))
