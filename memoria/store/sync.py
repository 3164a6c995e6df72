"""Memories that travel: `push` a store to object storage, `pull` it from there.

What is there already is not sent again: the full files of what both have in common by their
digests, and whatever an interrupted push has left. The root goes last and only if it is still
the one that was read, so that a place always holds one whole memory, the old one or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from memoria.chunkstore.commit import store_files
from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.root import ROOT_NAME, Root, encode_attributes
from memoria.chunkstore.sources.buckets import Bucket, ChangedError
from memoria.chunkstore.sources.s3 import ObjectSource
from memoria.chunkstore.staged import LazyRows, counted_rows
from memoria.errors import MemoriaError, StateError, StorageError
from memoria.io.progress import Progress, progress_bar
from memoria.store.claims import Claim
from memoria.store.compacting import next_generations, switch_to
from memoria.store.copying import contents
from memoria.store.digest import common_steps, contains
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import open_files
from memoria.store.schema import ERA_GROUP, STATE_GROUP, expected_specs

_UPLOADS: Final = 8  # at a time
_WAIT: Final = 5.0  # seconds after which the claim is looked at


class DivergedError(MemoriaError):
    """Two copies of a memory have gone different ways."""


def push(
    store: str | os.PathLike[str],
    url: str,
    force: bool = False,
    progress: Progress | bool = False,
) -> dict[str, Any]:
    """Make what is committed in ``store`` the memory at ``url``, sending only what lacks there.

    Raises `DivergedError` where the memory there holds what ``store`` does not, unless ``force``,
    and `StoreLockedError` while another push goes on. Going on after an interrupted push sends
    the rest. Returns ``path``, ``url``, ``step``, ``digest``, ``files``, ``bytes`` (both as sent),
    ``up_to_date``, ``replaced_step``: the step of what was there, None if nothing was, and
    ``dropped_steps``: how many of its steps ``force`` has dropped.
    """
    bucket = Bucket(url)
    with (
        closing(open_files(store)) as local,
        Claim(bucket) as claim,
        progress_bar(progress, "pushing", "files") as show,
    ):
        source = ObjectSource(bucket)
        there = open_files(source) if ROOT_NAME in source.objects else None
        with closing(there) if there is not None else nullcontext():
            report = {
                "path": local.name,
                "url": bucket.url,
                "step": local.attributes.step,
                "digest": local.attributes.digest,
                "replaced_step": None if there is None else there.attributes.step,
                "dropped_steps": 0,
            }
            base = None if there is None else there.store.root
            skipped = {}
            if there is None or contains(local, there):
                root, origin = _fit_root(local.store.root, base)
                rows = {
                    new: LazyRows(local.store.rows(old), partial(local.store.read, old))
                    for new, old in origin.items()
                }
                for name, (spec, count) in {} if base is None else base.arrays.items():
                    if name in root.arrays and root.arrays[name][0] == spec:
                        skipped[name] = count // spec.file_rows
            else:
                if not force:
                    raise _refused(local, there)
                now = there.attributes
                report["dropped_steps"] = now.step - common_steps(local, there)
                held = contents(local, None, *next_generations(now))
                root, rows = held.root(), held.values()
            if root == base:
                return {**report, "files": 0, "bytes": 0, "up_to_date": True}
            files, size = _upload(claim, source, root, rows, skipped, show)
            claim.renew(now=True)
            tag = source.objects[ROOT_NAME].tag if ROOT_NAME in source.objects else None
            try:
                bucket.put_if(ROOT_NAME, root.encode(), tag)
            except ChangedError:
                raise _overtaken(bucket) from None
            _remove_old(source, root, base)
    return {**report, "files": files + 1, "bytes": size + len(root.encode()), "up_to_date": False}


def pull(
    url: str, store: str | os.PathLike[str], progress: Progress | bool = False
) -> dict[str, Any]:
    """Make the memory at ``url`` the one in ``store``, a new directory or an older copy of it.

    Every chunk is verified when it arrives, and ``store`` is there as a whole or as it was.
    Raises `DivergedError` where ``store`` holds what the memory at ``url`` does not. Returns
    ``path``, ``url``, ``step``, ``digest``, ``replaced_step`` and ``up_to_date``.
    """
    place = Path(os.path.abspath(store))
    with closing(open_files(url)) as there, progress_bar(progress, "pulling", "bytes") as show:
        fresh = not place.exists() or (place.is_dir() and not any(place.iterdir()))
        before = None if fresh else _pull_into(place, there, show)
        if fresh:
            root = there.store.root
            whole = {
                name: (spec, _rows_from(there.store, name, 0))
                for name, (spec, _) in root.arrays.items()
            }
            rows = counted_rows(whole, show)
            specs = [spec for spec, _ in root.arrays.values()]
            StoreFiles.create(place, specs, there.store.attributes, values=rows).close()
        return {
            "path": str(place),
            "url": there.name,
            "step": there.attributes.step,
            "digest": there.attributes.digest,
            "replaced_step": None if before is None else before[0],
            "up_to_date": before is not None and before[1],
        }


def _pull_into(place: Path, there: MemoryFiles, progress: Progress) -> tuple[int, bool]:
    """(the step that the store at ``place`` had, whether there was nothing to do)."""
    target = StoreFiles.open(place, "r+", expected_specs)
    with closing(target), closing(open_files(place)) as local:
        step = local.attributes.step
        if contains(local, there):
            if contains(there, local):
                return step, True
            raise StateError(
                f"{place} goes on from {there.name}: there is nothing to pull",
                "`memoria push` sends what it has more",
            )
        if not contains(there, local):
            raise _diverged(
                local, there, "pull into a new directory, or `memoria diff` shows how they differ"
            )
        ours, theirs = local.attributes, there.attributes
        if ours.era != theirs.era:
            switch_to(local, target, contents(there, None, *next_generations(ours)))
            return step, False
        root, origin = _fit_root(there.store.root, target.root)
        lacking = {}
        for name, (spec, _) in root.arrays.items():
            old, first = origin[name], target.rows(name) if name in target.names() else 0
            lacking[name] = spec, _rows_from(there.store, old, first)
        _append(target, root, counted_rows(lacking, progress))
    return step, False


def _rows_from(source: StoreFiles, name: str, first: int) -> LazyRows:
    return LazyRows(
        source.rows(name) - first,
        lambda start, stop: source.read(name, first + start, first + stop),
    )


def _append(target: StoreFiles, root: Root, rows: Mapping[str, LazyRows]) -> None:
    """Commit ``root`` with ``rows``: what ``target`` lacks of each of its arrays."""
    attributes = json.loads(root.attributes)
    state = attributes[STATE_GROUP]
    prefix = f"{STATE_GROUP}/{state['generation']}"
    if state["generation"] is None:
        attributes[STATE_GROUP] = target.attributes[STATE_GROUP]  # older, and still right
    elif state != target.attributes[STATE_GROUP]:
        written = [(root.arrays[n][0], rows[n]) for n in root.arrays if n.startswith(prefix + "/")]
        target.replace_group(prefix, written)
    for name, more in rows.items():
        if not name.startswith(STATE_GROUP + "/"):
            target.append(name, more)
    target.commit(attributes)


def _upload(
    claim: Claim,
    source: ObjectSource,
    root: Root,
    rows: Mapping[str, Any],
    skipped: Mapping[str, int],
    progress: Progress,
) -> tuple[int, int]:
    """Send every file but the root that is not there as it must be: (files, bytes) sent."""
    names = root.file_names()
    whole = sum(min(n, spec.file_count(count)) for spec, count, n in _known(root, skipped))
    total, done, files, size = len(names) - 1 - whole, 0, 0, 0
    running: set[Future[None]] = set()
    with ThreadPoolExecutor(_UPLOADS) as pool:
        try:
            for path, encode in store_files(root, rows, skipped):
                data = b"".join(memoryview(part).cast("B") for part in encode() if len(part))
                there = source.objects.get(path)
                tag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
                if there is None or (there.size, there.tag) != (len(data), tag):
                    expected = None if there is None else there.tag
                    running.add(pool.submit(source.bucket.put_if, path, data, expected))
                    files, size = files + 1, size + len(data)
                done += 1
                while len(running) >= _UPLOADS:
                    running = _waited(running, claim)
                progress(done - len(running), total)
            while running:
                running = _waited(running, claim)
                progress(done - len(running), total)
        except BaseException as error:
            pool.shutdown(cancel_futures=True)
            if isinstance(error, ChangedError):
                raise _overtaken(source.bucket) from None
            raise
    return files, size


def _waited(running: set[Future[None]], claim: Claim) -> set[Future[None]]:
    ready, rest = wait(running, _WAIT, FIRST_COMPLETED)
    for one in ready:
        one.result()
    claim.renew()
    return rest


def _known(root: Root, skipped: Mapping[str, int]) -> Iterator[tuple[Any, int, int]]:
    return ((*root.arrays[name], count) for name, count in skipped.items())


def _remove_old(source: ObjectSource, root: Root, before: Root | None) -> None:
    """Remove what neither the new root names nor, for those who read it still, the one before."""
    needed = root.file_names() | (set() if before is None else before.file_names())
    tops = {name.partition("/")[0] for name in (*root.arrays, ERA_GROUP, STATE_GROUP)}
    source.bucket.delete(
        path
        for path in source.objects
        if "/" in path and path.partition("/")[0] in tops and path not in needed
    )


def _refused(local: MemoryFiles, there: MemoryFiles) -> MemoriaError:
    if contains(there, local):
        return DivergedError(
            f"{there.name} is at step {there.attributes.step} and goes on from "
            f"{local.name}, which is at step {local.attributes.step}",
            f"`memoria pull` brings it here; {_lost(local, there)}",
        )
    hint = f"pull it into a new directory; {_lost(local, there)}"
    return _diverged(local, there, hint)


def _lost(local: MemoryFiles, there: MemoryFiles) -> str:
    steps = there.attributes.step - common_steps(local, there)
    return f"--force drops the {steps} steps that are only there"


def _diverged(local: MemoryFiles, there: MemoryFiles, hint: str) -> DivergedError:
    common = common_steps(local, there)
    if common == 0:
        return DivergedError(f"{there.name} holds another memory", hint)
    return DivergedError(
        f"the histories part after step {common}: {local.name} is at step "
        f"{local.attributes.step}, {there.name} at step {there.attributes.step}",
        hint,
    )


def _overtaken(bucket: Bucket) -> StorageError:
    return StorageError(f"{bucket.url}: another push was faster", "push again")


def _fit_root(sent: Root, there: Root | None) -> tuple[Root, dict[str, str]]:
    """``given`` as the next root where ``there`` is now, and where each array lies in ``given``.

    No name may stand for other bytes: each copy numbers state and era for itself, so that
    ``state/7`` may be something else on either side, and gets a number that neither has used.

    Snapshots that only ``there`` names stay, where the states they name are still known.
    """
    if there is None:
        return sent, {name: name for name in sent.arrays}
    ours: dict[str, Any] = json.loads(sent.attributes)
    theirs: dict[str, Any] = json.loads(there.attributes)
    moved: dict[str, str] = {}
    for group in (ERA_GROUP, STATE_GROUP):
        a, b = ours.get(group) or {}, theirs.get(group) or {}
        old, taken = a.get("generation"), b.get("generation")
        if old is not None and taken is not None and a != b and old <= taken:
            moved[f"{group}/{old}/"] = f"{group}/{taken + 1}/"
            ours[group] = {**a, "generation": taken + 1}
    _keep_snapshots(ours, theirs)
    arrays, origin = {}, {}
    for name, (spec, rows) in sent.arrays.items():
        new = _moved(name, moved)
        arrays[new] = (replace(spec, name=new), rows)
        origin[new] = name
    return Root(encode_attributes(ours), arrays), origin


def _moved(name: str, moved: Mapping[str, str]) -> str:
    for old, new in moved.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _keep_snapshots(ours: dict[str, Any], theirs: Mapping[str, Any]) -> None:
    if "snapshots" not in ours:
        return
    era = ours.get(ERA_GROUP) or {}
    for name, one in (theirs.get("snapshots") or {}).items():
        is_known = one["step"] >= era.get("step", 0) or one["step"] in era.get("steps", ())
        if is_known and name not in ours["snapshots"]:
            ours["snapshots"][name] = one
