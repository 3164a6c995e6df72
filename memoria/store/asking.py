"""Ask the texts of a memory: the files of a store bound to the ranking of `memoria.search`.

Torch-free, unless the store's backbone needs it to encode a question. Nothing is changed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import InputError, ShapeError
from memoria.io.units import flatten
from memoria.search.confidence import (
    SENTENCE_CALIBRATION,
    STATIC_CALIBRATION,
    VECTOR_CALIBRATION,
    WORDS_CALIBRATION,
    Calibration,
)
from memoria.search.cues import bare_cue, respell
from memoria.search.days import write_out
from memoria.search.quantized import Floats, unit
from memoria.search.ranked import EXACT_TEXTS, Cue, Mask, Memory, Ranked, rank
from memoria.search.ranking import SENTENCE, STATIC, WORDS, Weights, confirmed_gain
from memoria.store.answers import Answer, Answers, Neighbour
from memoria.store.attributes import Pending
from memoria.store.confirmed_cues import confirmed_cues
from memoria.store.lane_texts import LaneTexts, lane_texts
from memoria.store.life import Life, StepTable, fold
from memoria.store.memory_files import MemoryFiles
from memoria.store.meta_matching import has_meta
from memoria.store.reading import check_lane, open_files
from memoria.store.source_lines import matching_sources, source_lines
from memoria.store.texts import StoredTexts
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import IntArray

if TYPE_CHECKING:
    from memoria.backbones.base import Backbone, WordTable

Question = str | npt.NDArray[np.floating[Any]] | Sequence[float]

_Asked = str | Floats  # words, or a vector [D]

_TYPES: Final = {
    "working": EngramType.WORKING,
    "shortterm": EngramType.SHORTTERM,
    "longterm": EngramType.LONGTERM,
}
_BLOCK: Final = 8192  # engrams whose texts or meta are in memory at a time
_SENTENCES: Final = (SENTENCE, SENTENCE_CALIBRATION)
_KINDS: Final = {  # of backbones; all others encode sentences
    "hash": (WORDS, WORDS_CALIBRATION),
    "array": (replace(WORDS, dense=1.0), WORDS_CALIBRATION),
    "static": (STATIC, STATIC_CALIBRATION),
}
_VECTOR_ONLY: Final = ("array",)  # backbones that encode no texts


@dataclass(frozen=True)
class AskFilter:
    """Which answers are wanted; None asks for nothing. Scores are the same whatever it says.

    Attributes:
        lane: of this lane; None: of all.
        sources: patterns of sources' names, with ``*`` and ``?``, one of which fits.
        since, until: milliseconds since 1970 between which its own time lies, or where it has
            none the time at which it was remembered.
        types: ``"working"``, ``"shortterm"``, ``"longterm"``, one of which it is.
        meta: values of its meta.
        forgotten: what has been forgotten and still lies there, instead of what lives.
    """

    lane: int | None = None
    sources: Sequence[str] | None = None
    since: int | None = None
    until: int | None = None
    types: Sequence[str] | None = None
    meta: Mapping[str, Any] | None = None
    forgotten: bool = False

    def __post_init__(self) -> None:
        for one in self.types or ():
            if one not in _TYPES:
                raise InputError(f"type = {one!r}: unknown", f"one of {', '.join(_TYPES)}")


def ask_files(
    files: MemoryFiles,
    question: Question,
    top: int = 10,
    wanted: AskFilter | None = None,
    context: int = 0,
) -> Answers:
    """Ask the memory of ``files``, as `MemoryStore.ask` does, without loading its core."""
    return Asking(files).ask(question, top, wanted, context)


def bring_up_index(path: str | os.PathLike[str], backbone: Backbone | None = None) -> None:
    """Bring the derived index of a store up to what is committed, so that asking need not.

    ``backbone``: the store's own, where it is loaded already.
    """
    with closing(open_files(path)) as files:
        Asking(files, backbone=backbone).bring_up()


class Asking:
    """Answers questions about one store, and keeps what it has loaded and computed for that."""

    def __init__(
        self,
        files: MemoryFiles,
        exact_texts: int = EXACT_TEXTS,
        backbone: Backbone | None = None,
    ) -> None:
        self._files = files
        self._exact_texts = exact_texts
        self._lanes: dict[int, LaneTexts] = {}
        self._state: tuple[Any, ...] = ()
        if backbone is not None:
            self._backbone = backbone

    def ask(
        self,
        question: Question,
        top: int = 10,
        wanted: AskFilter | None = None,
        context: int = 0,
        pending: Pending | None = None,
    ) -> Answers:
        """The ``top`` best answers with ``context`` engrams around each.

        ``pending``: the step begun, where a writer's own is ahead of the committed one.
        """
        wanted = AskFilter() if wanted is None else wanted
        for name, number, least in (("top", top, 1), ("context", context, 0)):
            if number < least:
                raise InputError(f"{name} = {number}: must be {least} or more")
        check_lane(wanted.lane, self._files.config.lanes)
        asked = self._checked(question)
        self._refresh(pending)
        lanes = range(self._files.config.lanes) if wanted.lane is None else [wanted.lane]
        found: list[Answer] = []
        notes: list[str] = []
        for lane in lanes:
            ranked, among = self._ranked(lane, asked, top, wanted)
            found += self._answers(lane, asked, ranked, among, context)
            notes += self._texts(lane).notes
        best = sorted(found, key=lambda one: (-one.score, one.id))[:top]
        return Answers(len(self._steps), self._with_places(best), list(dict.fromkeys(notes)))

    def reopened(self, files: MemoryFiles, with_texts: bool = True) -> Asking:
        """Ask ``files``, another opening of the same store, with what is loaded already.

        With ``with_texts`` the indices go over to it, and this one must not be used any more.
        """
        now, before = files.attributes, self._files.attributes
        same = now.config == before.config and now.settings == before.settings
        made = Asking(files, self._exact_texts)
        if not same:
            return made
        for name in ("_backbone", "_table"):
            if name in self.__dict__:
                made.__dict__[name] = self.__dict__[name]
        if with_texts:
            made._lanes = self._lanes
            for known in made._lanes.values():
                known.files = files
        return made

    @property
    def backbone(self) -> Backbone:
        """The store's backbone, loaded when it is first needed."""
        return self._backbone

    def bring_up(self) -> None:
        """Bring the indices of all lanes up to what is committed; they are kept where possible."""
        self._refresh(None)
        for lane in range(self._files.config.lanes):
            self._texts(lane)

    def ranked(self, question: Question, top: int = 10, lane: int = 0) -> Ranked:
        """The best of a lane as `memoria.search` ranks them, with the raw parts of each."""
        self._refresh(None)
        return self._ranked(lane, self._checked(question), top, AskFilter())[0]

    def _ranked(
        self, lane: int, asked: _Asked, top: int, wanted: AskFilter
    ) -> tuple[Ranked, IntArray]:
        """The best of a lane, and the texts among which they are, by their numbers."""
        texts, life = self._texts(lane), self._life
        index, in_lane = texts.index, life.of_lane(lane)
        living = np.searchsorted(index["keys"], life.ids[in_lane])
        among = np.arange(len(index)) if wanted.forgotten else living
        ids = index["keys"][among]
        types = np.full(len(index), EngramType.NULL, np.uint8)
        types[living] = life.types[in_lane]
        allowed = self._allowed(ids, types[among], wanted)
        weights, cue = self._weights, self._cue(texts, asked)
        if cue.text is None and weights.dense == 0:
            weights = replace(weights, dense=1.0)
        memory = Memory(among, texts.vectors, self._confirmed(cue, ids))
        return rank(index, cue, memory, weights, top, allowed, self._exact_texts), among

    def _cue(self, texts: LaneTexts, asked: _Asked) -> Cue:
        if isinstance(asked, np.ndarray):
            return Cue(None, unit(np.stack([asked, asked])))
        cue = write_out(respell(texts.index, asked), texts.index.language)
        if self._weights.dense == 0:
            return Cue(cue, None)
        vectors = self.encode(list(dict.fromkeys([bare_cue(texts.index, cue), cue])), as_cue=True)
        return Cue(cue, None if vectors is None else vectors[[0, -1]])

    def encode(self, texts: Sequence[str], as_cue: bool = False) -> Floats | None:
        """Vectors of length 1 [n, D]; None where the backbone encodes no texts."""
        if self._kind in _VECTOR_ONLY:
            return None
        from memoria.backbones.base import encoder

        encode = encoder(self._backbone, as_cue)
        return unit(encode([flatten(text) for text in texts]))

    def _allowed(self, ids: IntArray, types: npt.NDArray[np.uint8], wanted: AskFilter) -> Mask:
        allowed: Mask = np.equal(types == EngramType.NULL, wanted.forgotten)
        if wanted.types is not None:
            allowed &= np.isin(types, [_TYPES[one] for one in wanted.types])
        stored = self._stored
        if wanted.sources is not None:
            fits = matching_sources(stored, wanted.sources)
            allowed &= fits[stored.where(ids)[:, 0]]  # -1, no source, is the last
        if wanted.since is not None or wanted.until is not None:
            times = self._times(ids)
            if wanted.since is not None:
                allowed &= (times < 0) | (times >= wanted.since)
            if wanted.until is not None:
                allowed &= (times >= 0) & (times <= wanted.until)
        for first in range(0, len(ids) if wanted.meta else 0, _BLOCK):
            part = slice(first, first + _BLOCK)
            metas = stored.meta(ids[part])
            allowed[part] &= [has_meta(one, wanted.meta or {}) for one in metas]
        return allowed

    def _times(self, ids: IntArray) -> IntArray:
        """Each engram's own time, or else when its step ended; -1 while that runs."""
        own = np.array([-1 if time is None else time for time in self._stored.times(ids)], np.int64)
        ended = np.append(self._steps.times(), -1)
        born = np.minimum(self._steps.born(ids), len(self._steps))
        return np.where(own >= 0, own, ended[born])

    def _confirmed(self, cue: Cue, ids: IntArray) -> Floats | None:
        """What confirmed cues that are like this one add to the engrams ``ids``."""
        vectors, cues = self._confirmations
        if len(cues) == 0:
            return None
        asked = cue.vectors
        if asked is None and cue.text is not None:
            asked = self.encode([cue.text])
        if asked is None:
            return None
        alike = confirmed_gain(vectors @ asked[-1])
        added = np.zeros(len(ids), np.float32)
        for gain, confirmed in zip(alike, cues, strict=True):
            at = np.searchsorted(ids, confirmed)
            added[at[np.append(ids, -1)[at] == confirmed]] += gain
        return added

    @cached_property
    def _confirmations(self) -> tuple[Floats, list[IntArray]]:
        """Vectors of length 1 of confirmed cues [C, D], and the engrams that each confirmed."""
        cues = [one for one in confirmed_cues(self._files) if one.ids]
        vectors = np.zeros((len(cues), self._files.config.hidden_dim), np.float32)
        for number, one in enumerate(cues):
            if one.vector is not None:
                vectors[number] = unit(one.vector)
            elif one.text is not None:
                encoded = self.encode([one.text])
                vectors[number] = 0 if encoded is None else encoded[0]
        return vectors, [np.array(one.ids, np.int64) for one in cues]

    def _answers(
        self, lane: int, asked: _Asked, found: Ranked, among: IntArray, context: int
    ) -> list[Answer]:
        keys = self._texts(lane).index["keys"]
        calibration = self._calibration if isinstance(asked, str) else VECTOR_CALIBRATION
        sure = calibration.confidence(found).tolist()
        parts = {name: values.tolist() for name, values in found.parts.items()}
        ids = keys[found.texts]
        texts = self._stored.texts(ids)
        places = np.searchsorted(among, found.texts)
        around = [
            (keys[among[max(0, at - context) : at]], keys[among[at + 1 : at + 1 + context]])
            for at in places.tolist()
        ]
        return [
            Answer(
                id=id_,
                lane=lane,
                text=text,
                score=score,
                confidence=sure[number],
                parts={name: values[number] for name, values in parts.items()},
                before=self._neighbours(around[number][0]),
                after=self._neighbours(around[number][1]),
            )
            for number, (id_, text, score) in enumerate(
                zip(ids.tolist(), texts, found.scores.tolist(), strict=True)
            )
        ]

    def _neighbours(self, ids: IntArray) -> tuple[Neighbour, ...]:
        if len(ids) == 0:
            return ()
        texts = self._stored.texts(ids)
        return tuple(Neighbour(*pair) for pair in zip(ids.tolist(), texts, strict=True))

    def _with_places(self, answers: list[Answer]) -> list[Answer]:
        """The answers with source, line, offset, time and meta."""
        ids = np.array([one.id for one in answers], np.int64)
        stored = self._stored
        places = stored.places(ids)
        lines = source_lines(stored, places, [one.text for one in answers])
        columns = zip(answers, places, lines, stored.times(ids), stored.meta(ids), strict=True)
        return [
            Answer(
                **{
                    **vars(one),
                    "source": place[0] if place else None,
                    "line": line,
                    "offset": place[1] if place else None,
                    "time": time,
                    "meta": meta,
                }
            )
            for one, place, line, time, meta in columns
        ]

    def _checked(self, question: Question) -> _Asked:
        """The question as a text, or as a vector [D]."""
        if isinstance(question, str):
            if not question.strip():
                raise InputError("the question is empty", "ask with words, or with a vector")
            return question
        vector = np.asarray(question, np.float32)
        wanted = self._files.config.hidden_dim
        if vector.shape not in ((wanted,), (1, wanted)):
            raise ShapeError("question", f"[{wanted}]", list(vector.shape))
        if not np.isfinite(vector).all():
            raise InputError("the question holds NaN or Inf")
        return vector.reshape(wanted)

    def _refresh(self, pending: Pending | None) -> None:
        """Take over what has happened to the files since."""
        files = self._files
        pending = files.attributes.pending if pending is None else pending
        made = (files.rows("log/steps"), files.created, files.events, files.prefix)
        state = (files.rollbacks, *made, pending)
        if state == self._state:
            return
        if self._state and self._state[0] != files.rollbacks:  # what was dropped may be in them
            self._lanes.clear()
        self._state = state
        self._stored = StoredTexts(files)
        self._steps = StepTable.read(files)
        self._life: Life = fold(files, files.config, self._steps, pending)
        self.__dict__.pop("_confirmations", None)
        self._fresh: set[int] = set()

    def _texts(self, lane: int) -> LaneTexts:
        """The texts of a lane, as they are now."""
        if lane not in self._fresh:
            known = self._lanes.get(lane)
            self._lanes[lane] = lane_texts(
                self._files, self._steps, lane, self._table, self._weights.dense != 0, known
            )
            self._fresh.add(lane)
        return self._lanes[lane]

    @cached_property
    def _kind(self) -> str:
        from memoria.backbones import split_name

        return split_name(self._files.config.backbone)[0]

    @cached_property
    def _weights(self) -> Weights:
        """The weights for the kind of backbone, with the store's own."""
        weights, _ = _KINDS.get(self._kind, _SENTENCES)
        return weights.with_settings(self._files.attributes.settings.ask)

    @cached_property
    def _calibration(self) -> Calibration:
        return _KINDS.get(self._kind, _SENTENCES)[1]

    @cached_property
    def _backbone(self) -> Backbone:
        from memoria.backbones.streams import store_backbone

        return store_backbone(self._files.config, self._files.attributes.settings.backbone)

    @cached_property
    def _table(self) -> WordTable | None:
        """Vectors of words; None where the backbone has none, or only words count."""
        if self._weights.dense == 0 or self._kind in _VECTOR_ONLY:
            return None
        return self._backbone.word_table()
