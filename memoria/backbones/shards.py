"""Inputs to vectors in several files, each made by a task, here or on a Ray cluster.

Shard i of N holds the i-th part of the batches, so that the rows of all shards, in order, are those
of one file, bit for bit. Beside each stands a JSON file with the hash of what it was made from: the
same call keeps what is done and makes the rest.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from memoria.backbones.base import Backbone, OptionValue
from memoria.backbones.encode import count_items, encode_inputs
from memoria.backbones.registry import load_backbone
from memoria.engines import Stopping, Task, run_tasks, stoppable
from memoria.errors import UsageError
from memoria.io.atomic_write import atomic_write
from memoria.io.files import reading, split_key
from memoria.io.outputs import check_output
from memoria.io.progress import Progress

_TASK: Final = "memoria.backbones.shards:encode_shard"


def encode_shards(
    paths: Sequence[str | os.PathLike[str]],
    backbone: Backbone,
    out: str | os.PathLike[str],
    shards: int,
    *,
    run_options: Mapping[str, OptionValue] = {},
    unit: str = "sentence",
    batch_size: int = 64,
    text: Sequence[str] = (),
    overwrite: bool = False,
    engine: str = "local",
    jobs: int | None = None,
    address: str | None = None,
    progress: Progress | bool = False,
) -> list[dict[str, Any]]:
    """Write the vectors of all inputs, in order, to ``shards`` files; each is there whole or not.

    Args:
        paths, unit, batch_size, text: as `encode_inputs` takes them; no standard input.
        backbone: what encodes; tasks load it anew by its name and options.
        out: ``NAME.zarr``, .npy or .safetensors; the shards are ``NAME-00000-of-00008.zarr`` ...
        shards: how many, at most one for each batch.
        run_options: options of the backbone that change its speed only.
        overwrite: whether shards of other inputs or settings may be replaced.
        engine, jobs, address, progress: as `run_tasks` takes them.

    Returns:
        For each shard in order ``path``, ``status`` ("done", "kept" if it was there, "failed"),
        ``error`` (None, or its type, message and hint), ``rows``, ``items``, ``dimension`` and,
        of one that was made now, ``notices`` for the user.

    Raises:
        UsageError: standard input, or more shards than batches.
        StoreExistsError: something else is at the place of a shard; and what reading the inputs
            and `run_tasks` raise.
    """
    names = [os.fspath(path) for path in paths]
    if "-" in names:
        raise UsageError("standard input cannot be shared by shards", "write it to a file first")
    if shards < 1 or batch_size < 1:
        raise UsageError(f"shards = {shards}, batch_size = {batch_size}: must be 1 or more")
    batches = math.ceil(count_items(names, text=text, unit=unit) / batch_size)
    if shards > batches:
        raise UsageError(
            f"{shards} shards: the inputs make {batches} batches of {batch_size}",
            "ask for fewer shards, or smaller batches",
        )
    content = _hash_inputs(names)
    documents = []
    for number in range(shards):
        document: dict[str, Any] = {
            "inputs": names,
            "text": [*text],
            "unit": unit,
            "batch_size": batch_size,
            "batches": [batches * number // shards, batches * (number + 1) // shards],
            "backbone": [backbone.name, backbone.dimension, dict(backbone.options)],
        }
        made_from = {**document, "content": content, "fingerprint": backbone.fingerprint}
        document |= {
            "out": str(_shard_path(Path(out), number, shards)),
            "key": hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest(),
            "run_options": dict(run_options),
            "overwrite": overwrite,
        }
        documents.append(document)
    return _make(documents, overwrite, engine=engine, jobs=jobs, address=address, progress=progress)


def encode_shard(
    document: Mapping[str, Any], progress: Progress, stopping: Stopping
) -> dict[str, Any]:
    """Write one shard, and beside it what it was made from: the function of its task."""
    name, dimension, options = document["backbone"]
    first, end = document["batches"]
    written = encode_inputs(
        document["inputs"],
        load_backbone(name, dimension, **options, **document["run_options"]),
        document["out"],
        unit=document["unit"],
        batch_size=document["batch_size"],
        progress=stoppable(progress, stopping),
        overwrite=document["overwrite"],
        text=document["text"],
        batches=(first, end),
    )
    said = {"rows": written.rows, "items": written.items, "dimension": written.dimension}
    with atomic_write(_note_path(document["out"]), overwrite=True) as temporary:
        temporary.write_text(json.dumps({"key": document["key"], **said}), encoding="utf-8")
    return {**said, "notices": written.notices}


def _make(
    documents: Sequence[Mapping[str, Any]], overwrite: bool, **where: Any
) -> list[dict[str, Any]]:
    """Do the tasks of ``documents`` that are not done, and say what came of all."""
    shards = [_kept(document) for document in documents]
    left = [number for number, shard in enumerate(shards) if shard is None]
    for number in left:
        check_output(documents[number]["out"], overwrite, streamed=True)
    outcomes = run_tasks([Task(_TASK, documents[number]) for number in left], **where)
    found = dict(zip(left, outcomes, strict=True))
    said = []
    for number, (document, shard) in enumerate(zip(documents, shards, strict=True)):
        status, error = "kept", None
        if shard is None:
            shard, error = found[number].document, found[number].error
            status = "done" if error is None else "failed"
        path = os.path.abspath(document["out"])
        said.append({"path": path, "status": status, "error": error, **shard})
    return said


def _kept(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """What stands beside a shard that is done, made from the same."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        said: dict[str, Any] = json.loads(_note_path(document["out"]).read_text("utf-8"))
        if said.pop("key") == document["key"] and os.path.exists(document["out"]):
            return said
    return None


def _shard_path(out: Path, number: int, shards: int) -> Path:
    return out.with_name(f"{out.stem}-{number:05}-of-{shards:05}{out.suffix}")


def _note_path(shard: str) -> Path:
    return Path(shard).with_suffix(".json")


def _hash_inputs(names: Sequence[str]) -> list[str]:
    """The sha256 of each input, of a folder that of all files in it."""
    return [_hash_input(Path(split_key(name)[0])) for name in names]


def _hash_input(path: Path) -> str:
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for one in files:
        with reading(str(one)), open(one, "rb") as file:
            total.update(f"{one.relative_to(path)}\0".encode())
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
