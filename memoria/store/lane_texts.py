"""The texts of one lane of a store as a `TextIndex`: loaded, brought up to now, kept."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from typing import Any, Final
from zlib import crc32

import numpy as np

from memoria.backbones.base import WordTable
from memoria.search.first_pass import INT8, bears, find_first_pass
from memoria.search.index_file import IndexFile
from memoria.search.languages import find_language
from memoria.search.quantized import Floats
from memoria.search.text_index import TextBatch, TextIndex
from memoria.store.life import StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import DERIVED
from memoria.store.source_lines import is_given
from memoria.store.texts import StoredTexts
from memoria.store.vector_codec import decode_vectors
from memoria.timeline.log import IntArray

LEAST_SAVED: Final = 512  # new texts for which the index is written
_BATCH: Final = 8_192  # texts that are taken in at a time, about
_SPEAKERS: Final = ("speaker", "author", "sender", "from", "name", "role", "user")  # keys of meta
_HEADINGS: Final = ("heading", "title", "subject")
_RECORD: Final = re.compile(r":[1-9][0-9]*(?::[^/:]*)?$")  # behind the name of its file
_TITLE: Final = re.compile(r"[^\W\d_]{3,}")  # words of a file's name


@dataclass
class LaneTexts:
    """A lane's index with what it was made of.

    Attributes:
        index: of all engrams of the lane that are there, living or forgotten.
        step: finished steps that ``mark`` goes back to, and ``digest`` the store's after them.
        notes: what a user should know, one line each.
    """

    index: TextIndex
    files: MemoryFiles
    era: str
    step: int = 0
    digest: bytes = b""
    mark: Any = None
    file: IndexFile | None = None
    notes: list[str] = field(default_factory=list)

    def vectors(self, texts: IntArray) -> Floats:
        """The vectors [n, D], revised ones too, of texts by their numbers."""
        return self.files.vectors(self.index["keys"][texts])


def lane_texts(
    files: MemoryFiles,
    steps: StepTable,
    lane: int,
    table: WordTable | None,
    with_vectors: bool,
    known: LaneTexts | None = None,
) -> LaneTexts:
    """The texts of ``lane`` as ``files`` have them now, from ``known`` if that was a part of it."""
    if known is None or not _goes_on(known, files, steps):
        known = _stored(files, steps, lane, table, with_vectors)
    index = known.index
    if known.mark is not None:
        index.cut(known.mark)
    lanes = files.config.lanes
    ids = files.ids_from(0)[0]
    ids = ids[ids % lanes == lane]
    done = int(steps.rows()[-1]) if len(steps) else 0
    finished = int(np.searchsorted(ids, done))
    index.reserve(len(ids))
    stored = StoredTexts(files)
    reader = stored, _Files(stored.sources())
    for batch in _batches(files, reader, steps, ids[len(index) : finished], with_vectors):
        index.append(batch)
    known.step, known.digest = len(steps), steps.digest(len(steps)) if len(steps) else b""
    known.mark = index.mark()
    _save(known, files)
    for batch in _batches(files, reader, steps, ids[finished:], with_vectors):
        index.append(batch)
    _revise(files, reader, index, ids, steps, with_vectors)
    return known


def _goes_on(known: LaneTexts, files: MemoryFiles, steps: StepTable) -> bool:
    """Whether ``files`` begin with the steps that ``known`` has taken in."""
    same = known.era == files.prefix and known.step <= len(steps)
    return same and (known.step == 0 or steps.digest(known.step) == known.digest)


def _stored(
    files: MemoryFiles, steps: StepTable, lane: int, table: WordTable | None, with_vectors: bool
) -> LaneTexts:
    """What the directory ``index`` has of the lane, or nothing yet."""
    language = find_language(str(files.attributes.settings.ask.get("language", "english")))
    first_pass = _first_pass(files)
    dimension = files.config.hidden_dim if with_vectors else 0
    file = None
    if not files.is_past and os.path.isdir(files.path):
        config = files.config
        identity = {
            "lane": [lane, config.lanes],
            "era": files.prefix,
            "language": language.name,
            "backbone": [config.backbone, config.backbone_fingerprint, config.backbone_options],
            "dimension": dimension,
            "first_pass": first_pass,
        }
        file = IndexFile(files.path / DERIVED / f"lane-{lane}.sqlite", identity)
        found = file.load(language, table, dimension, first_pass)
        if found is not None:
            index, beside = found
            step, digest = beside.get("step"), beside.get("digest")
            if isinstance(step, int) and isinstance(digest, str):
                known = LaneTexts(index, files, files.prefix, step, _raw(digest), file=file)
                if _goes_on(known, files, steps) and _fits(known, steps):
                    known.mark = index.mark()
                    return known
        file = IndexFile(file.path, identity)
    index = TextIndex(language, table, dimension, first_pass)
    return LaneTexts(index, files, files.prefix, file=file)


def _first_pass(files: MemoryFiles) -> str:
    """What the store's settings choose, where vectors of its backbone bear it."""
    chosen = str(files.attributes.settings.ask.get("first_pass", INT8))
    find_first_pass(chosen)
    return chosen if bears(chosen, files.config.backbone) else INT8


def _raw(digest: str) -> bytes:
    try:
        return bytes.fromhex(digest)
    except ValueError:
        return b""


def _fits(known: LaneTexts, steps: StepTable) -> bool:
    """Whether its texts are those of the steps that it names."""
    rows = int(steps.rows()[known.step - 1]) if known.step > 0 else 0
    keys, ids = known.index["keys"], known.files.ids_from(0)[0]
    lane, lanes = int(keys[0]) if len(keys) else 0, known.files.config.lanes
    ids = ids[(ids % lanes == lane % lanes) & (ids < rows)]
    return np.array_equal(keys, ids)


def _save(known: LaneTexts, files: MemoryFiles) -> None:
    """Keep the index, if enough has come since, and all of it is committed."""
    file, count = known.file, len(known.index)
    known.notes.clear()
    if file is not None and count - file.rows < LEAST_SAVED:
        return
    if files.attributes.step != known.step:
        return
    beside = {"step": known.step, "digest": known.digest.hex()}
    if count >= LEAST_SAVED and (file is None or not file.save(known.index, beside)):
        known.notes.append(f"{files.name}: no index is kept here, so {count} texts were read anew")


def _batches(
    files: MemoryFiles, reader: _Reader, steps: StepTable, ids: IntArray, with_vectors: bool
) -> Iterator[TextBatch]:
    """The engrams as they were at birth, some at a time; those of one step stay together."""
    groups = steps.born(ids)
    first = 0
    while first < len(ids):
        last = min(first + _BATCH, len(ids))
        last = int(np.searchsorted(groups, groups[last - 1], side="right"))
        yield _batch(files, reader, ids[first:last], groups[first:last], with_vectors)
        first = last


def _batch(
    files: MemoryFiles,
    reader: _Reader,
    ids: IntArray,
    groups: IntArray,
    with_vectors: bool,
    at_birth: bool = True,
) -> TextBatch:
    stored, known = reader
    texts = stored.first_texts(ids) if at_birth else stored.texts(ids)
    metas = stored.first_meta(ids) if at_birth else stored.meta(ids)
    where = stored.where(ids)
    of_files = known.of(where[:, 0])
    vectors = None
    if with_vectors:
        vectors = _first_vectors(files, ids) if at_birth else files.vectors(ids)
    return TextBatch(
        keys=ids,
        texts=["" if text is None else text for text in texts],
        times=np.array([-1 if time is None else time for time in stored.times(ids)], np.int64),
        sources=np.array([number for number, _ in of_files], np.int64),
        offsets=where[:, 1],
        speakers=[speaker_of(meta) or "" for meta in metas],
        groups=groups,
        vectors=vectors,
        headings=[
            " ".join([*_headings(meta), title])
            for meta, (_, title) in zip(metas, of_files, strict=True)
        ],
    )


_Reader = tuple[StoredTexts, "_Files"]


def _first_vectors(files: MemoryFiles, ids: IntArray) -> Floats:
    read = partial(files.stored_vectors, ids=ids)
    return decode_vectors(read("vectors"), read("scales") if files.has_scales else None)


def speaker_of(meta: Mapping[str, Any] | None) -> str | None:
    """Who says an engram, as its meta tells in one of the ways of chats and mail."""
    found = (meta or {}).get
    return next((name for key in _SPEAKERS if isinstance(name := found(key), str) and name), None)


def _headings(meta: Mapping[str, Any] | None) -> Iterator[str]:
    """What an engram stands under, as reading wrote it into its meta."""
    for key in _HEADINGS if meta else ():
        held = (meta or {}).get(key)
        yield from (one for one in (held if isinstance(held, list) else [held]) if one)


class _Files:
    """The files to which sources belong: records of one file are one conversation."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._known: dict[int, tuple[int, str]] = {-1: (-1, "")}

    def of(self, sources: IntArray) -> list[tuple[int, str]]:
        """A number for the file of each source, and the words of its name; -1 for no source."""
        found = []
        for source in sources.tolist():
            if source not in self._known:
                name = _RECORD.sub("", self._names[source])
                words = "" if is_given(name) else " ".join(_TITLE.findall(PurePath(name).stem))
                self._known[source] = crc32(name.encode("utf-8", "surrogatepass")), words
            found.append(self._known[source])
        return found


def _revise(
    files: MemoryFiles,
    reader: _Reader,
    index: TextIndex,
    ids: IntArray,
    steps: StepTable,
    with_vectors: bool,
) -> None:
    edited = np.array(sorted(files.revisions), np.int64)
    edited = edited[np.isin(edited, ids)]
    if len(edited):
        batch = _batch(files, reader, edited, steps.born(edited), with_vectors, at_birth=False)
        index.revise(np.searchsorted(ids, edited), batch)
