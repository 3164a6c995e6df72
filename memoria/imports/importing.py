"""From what another program left to the engrams of a store."""

from __future__ import annotations

import itertools
import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np

from memoria.backbones import default_backbone, load_backbone
from memoria.chunkstore.root import is_store
from memoria.config import MemoriaConfig
from memoria.errors import InputError, StateError
from memoria.imports.chats import is_chatgpt, is_claude, read_chatgpt, read_claude
from memoria.imports.chroma import is_chroma, read_chroma
from memoria.imports.mem0 import is_mem0, read_mem0
from memoria.imports.texts import CONVERSATIONS, ImportedText, member, read_document
from memoria.io.inputs import WorkingMemory
from memoria.io.progress import Progress, progress_bar
from memoria.io.units import flatten, iter_units
from memoria.store.store import MemoryStore

Origin: TypeAlias = Literal["chroma", "mem0", "chatgpt", "claude"]

_FORMS: Final = (("chatgpt", is_chatgpt), ("claude", is_claude), ("mem0", is_mem0))
_READERS: Final = {"chatgpt": read_chatgpt, "claude": read_claude, "mem0": read_mem0}
_AT_ONCE: Final = 256  # units that are encoded together
_LOOKED_UP: Final = 256  # texts that are looked for together in what is known


def may_be_foreign(path: str | os.PathLike[str]) -> bool:
    """Whether it looks like what another program left, and not like an archive of a memory."""
    place = Path(path)
    if place.is_dir():
        return is_chroma(place) or (place / CONVERSATIONS).is_file()
    if place.suffix.lower() == ".json":
        return place.is_file()
    return (
        place.is_file() and zipfile.is_zipfile(place) and member(place, CONVERSATIONS) is not None
    )


def read_foreign(
    path: str | os.PathLike[str], origin: Origin | None = None
) -> tuple[Origin, Iterator[ImportedText]]:
    """Where ``path`` comes from, and its texts.

    Args:
        path: a folder, a JSON file or a zip.
        origin: where it comes from; None: its form tells.

    Raises:
        InputError: it has none of the forms, or not that of ``origin``.
    """
    if origin == "chroma" or (origin is None and is_chroma(path)):
        if not is_chroma(path):
            raise InputError(
                f"{os.fspath(path)}: is not a folder of Chroma",
                "such a folder has a chroma.sqlite3",
            )
        return "chroma", read_chroma(path)
    document = read_document(path)
    for name in get_args(Origin):
        if origin in (None, name) and any(form == name and fits(document) for form, fits in _FORMS):
            return name, _READERS[name](document)
    *others, last = get_args(Origin)
    known = origin or f"{', '.join(others)} or {last}"
    raise InputError(
        f"{os.fspath(path)}: is not an export of {known}", "see `memoria import --help`"
    )


def import_texts(
    path: str | os.PathLike[str],
    store: str | os.PathLike[str],
    origin: Origin | None = None,
    progress: Progress | bool = False,
) -> dict[str, Any]:
    """Step through the texts of another program; the store is made where there is none.

    A text that was imported before is passed over.

    Args:
        path: what `read_foreign` reads.
        store: a store of one lane with a backbone for texts, or a new place.
        origin: where it comes from; None: its form tells.
        progress: called with (texts read, texts in all); True shows a bar.

    Returns:
        ``path``, ``origin``, ``step``, ``digest``, ``texts_added``, ``texts_skipped`` and
        ``engrams_added``.

    Raises:
        InputError: what `read_foreign` raises, or it holds no text.
        StateError: the store has several lanes, or a step is under way.
    """
    found, texts = read_foreign(path, origin)
    first = next(texts, None)
    if first is None:
        raise InputError(f"{os.fspath(path)}: holds no text")
    texts = itertools.chain([first], texts)
    place = Path(os.path.abspath(store))
    opened = MemoryStore.open(place, "r+") if is_store(place) else _new_store(place)
    with opened as memory:
        if memory.config.lanes > 1:
            raise StateError(f"the store has {memory.config.lanes} lanes", "import into one of one")
        memory.begin_command(f"import {found}")
        reader = _Units(memory, texts)
        total = sum(1 for _ in read_foreign(path, found)[1])
        with progress_bar(progress, "importing", "texts") as show:

            def tell(steps: int, _: int) -> None:
                show(reader.taken + reader.skipped, total)

            memory.step_stream(reader, progress=tell)
        return {
            "path": str(place),
            "origin": found,
            "step": memory.timestep,
            "digest": memory.digest(),
            "texts_added": reader.taken,
            "texts_skipped": reader.skipped,
            "engrams_added": reader.added,
        }


class _Units:
    """The working memories of texts: units of one source each, encoded many at a time.

    ``taken`` and ``skipped`` count texts, ``added`` units, as they are read.
    """

    def __init__(self, store: MemoryStore, texts: Iterable[ImportedText]) -> None:
        self._store, self._texts = store, texts
        self.taken = self.skipped = self.added = 0

    def __iter__(self) -> Iterator[WorkingMemory]:
        plans: list[list[tuple[str, ImportedText, int]]] = []
        waiting = 0
        for _, group in itertools.groupby(self._units(), lambda one: one[1].source):
            while taken := list(itertools.islice(group, self._store.config.wm_length)):
                plans.append(taken)
                waiting += len(taken)
                if waiting >= _AT_ONCE:
                    yield from self._encoded(plans)
                    plans, waiting = [], 0
        yield from self._encoded(plans)

    def _units(self) -> Iterator[tuple[str, ImportedText, int]]:
        """Text, origin and offset of each new unit."""
        texts = iter(self._texts)
        while group := list(itertools.islice(texts, _LOOKED_UP)):
            known = self._store.engrams_at([(one.source, one.offset) for one in group])
            for one, engram in zip(group, known, strict=True):
                if engram >= 0:
                    self.skipped += 1
                    continue
                self.taken += 1
                for piece in iter_units(one.text, self._store.config.unit):
                    yield piece.text, one, one.offset + piece.offset

    def _encoded(self, plans: list[list[tuple[str, ImportedText, int]]]) -> Iterator[WorkingMemory]:
        texts = [flatten(text) for plan in plans for text, _, _ in plan]
        if not texts:
            return
        vectors = np.asarray(self._store.backbone.encode(texts), np.float32)
        ends = np.cumsum([len(plan) for plan in plans])[:-1]
        for plan, data in zip(plans, np.split(vectors, ends), strict=True):
            self.added += len(plan)
            yield WorkingMemory(
                data[None],
                [[text for text, _, _ in plan]],
                [[(one.source, offset) for _, one, offset in plan]],
                [[one.time for _, one, _ in plan]],
                [[one.meta for _, one, _ in plan]],
            )


def _new_store(place: Path) -> MemoryStore:
    """A store with the settings that `memoria init` has by itself."""
    made = load_backbone(default_backbone())
    config = MemoriaConfig(backbone=made.name, hidden_dim=made.dimension)
    place.parent.mkdir(parents=True, exist_ok=True)
    return MemoryStore.create(
        place,
        config.replace(backbone_options=dict(made.options), backbone_fingerprint=made.fingerprint),
    )
