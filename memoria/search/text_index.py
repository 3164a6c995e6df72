"""`TextIndex`: what is known of N texts before any cue, in order of creation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.backbones.base import WordTable
from memoria.search.facts import flags_of_text, question_marks, split_speaker
from memoria.search.first_pass import INT8, FirstPassRows, find_first_pass
from memoria.search.growing import GrowingArray
from memoria.search.languages import Language
from memoria.search.postings import IntArray, Postings, distinct, with_postings
from memoria.search.quantized import Floats
from memoria.search.vocabulary import Vocabulary
from memoria.search.words import words_of

_SESSION_HOURS: Final = 6  # between two texts of a source, above which they are of two sessions
_LINE_GAP: Final = 1  # characters between two sentences of one line, at most
_LEAST_NAMED: Final = 0.05  # share of the texts that a name begins, for it to be a speaker's

_COLUMNS: Final[dict[str, npt.DTypeLike]] = {
    "keys": np.int64,
    "time": np.int64,
    "length": np.int32,
    "letters": np.int32,
    "information": np.float32,
    "marks": np.uint16,
    "session": np.int32,
    "speaker": np.int32,
    "names": np.int8,
}
_BEGINS, _TOLD = 1, 2  # of the column ``names``


@dataclass(frozen=True)
class TextBatch:
    """Texts in order of creation. All [n].

    Attributes:
        keys: what the caller calls each, ascending.
        texts: the texts; "" for none.
        times: of each, milliseconds since 1970; -1: not known.
        sources: number of each one's source; -1: none.
        offsets: characters before it in its source.
        speakers: who is known to speak; "" where nobody is.
        groups: texts that are read together have one number, and come all in one batch.
        vectors: of each, [n, D]; None: there are none.
        headings: what each stands under, such as a title; None: nothing.
    """

    keys: IntArray
    texts: Sequence[str]
    times: IntArray
    sources: IntArray
    offsets: IntArray
    speakers: Sequence[str]
    groups: IntArray
    vectors: Floats | None = None
    headings: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.keys)


@dataclass
class Turn:
    """The last text so far: what decides whether the next goes on with it."""

    source: int = -1
    time: int = -1
    start: int = 0
    end: int = 0
    session: int = 0
    speaker: int = 0
    told: int = 0


@dataclass(frozen=True)
class _Occurrences:
    """The words of texts one after another, without stop words. All [O]."""

    words: IntArray
    texts: IntArray
    beside: npt.NDArray[np.bool_]  # of the date or heading, not of the text itself
    flags: IntArray  # what the words of each text are signs of, [n]


@dataclass
class _Mark:
    vocabulary: Any
    postings: list[Postings]
    rows: int
    speakers: int
    turn: Turn


@dataclass
class _Revised:
    """Texts that have become others: their numbers, words, and what they were before."""

    texts: IntArray
    postings: Postings
    before: dict[str, npt.NDArray[Any]]
    vectors: tuple[npt.NDArray[Any], ...]


@dataclass
class TextIndex:
    """Words, counts and facts of N texts, and what a first look at their vectors needs.

    ``postings`` hold the words of texts as they were at birth, ``revised`` those of texts that
    have changed since. Counts of words, from which information and weights of words come, are of
    all texts that ever came.

    Columns, [N] each: ``keys``; ``time``, milliseconds since 1970 or -1; ``length``, how many
    words; ``letters``, how many these have; ``information``, the sum over distinct words of
    log((n + 1) / texts with the word's stem), both counted on what had been read by then;
    ``marks`` (see `facts`); ``session``, its number; ``speaker``, the number of who speaks, 0 for
    nobody; ``names``, where that comes from.

    Attributes:
        first_pass: how vectors lie here, a name of `FIRST_PASSES`.
        postings: see above; each part is of later texts than the one before.
        speakers: their names by number.
        turn: the last text.
    """

    language: Language
    table: WordTable | None
    dimension: int
    first_pass: str = INT8
    vocabulary: Vocabulary = field(init=False)
    postings: list[Postings] = field(default_factory=list)
    vectors: FirstPassRows = field(init=False)
    speakers: list[str] = field(default_factory=lambda: [""])
    turn: Turn = field(default_factory=Turn)
    revised: _Revised | None = None

    def __post_init__(self) -> None:
        self.vocabulary = Vocabulary(self.language, self.table)
        self.vectors = find_first_pass(self.first_pass)(self.dimension)
        self._columns = {name: GrowingArray(dtype) for name, dtype in _COLUMNS.items()}
        self._speaker_numbers = {name: number for number, name in enumerate(self.speakers)}
        self._dates: dict[int, list[str]] = {}
        self._heading_words: tuple[str, list[str]] = "", []
        self._name_sizes = {"": 0}

    def __len__(self) -> int:
        return len(self._columns["keys"])

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """A column [N]."""
        return self._columns[name].values

    @property
    def has_texts(self) -> bool:
        """Whether any text has a word."""
        return len(self.vocabulary) > 0

    def append(self, batch: TextBatch) -> None:
        """Take in more texts."""
        first = len(self)
        split = [split_speaker(text) for text in batch.texts]
        found = self._occurrences(batch, split)
        information = self._count(found, batch.groups, first)
        self.postings = with_postings(
            self.postings, Postings.from_occurrences(found.words, found.texts + first)
        )
        session, speaker, names = self._turns(batch, [name for name, _ in split])
        columns: dict[str, npt.ArrayLike] = {
            "keys": batch.keys,
            "time": batch.times,
            **self._sizes(found, len(batch)),
            "information": information,
            "marks": self._marks(found, split),
            "session": session,
            "speaker": speaker,
            "names": names,
        }
        self.take(columns)
        if batch.vectors is not None and self.dimension:
            self.vectors.append(batch.vectors)

    def reserve(self, count: int) -> None:
        """Make room for ``count`` texts in all and some more, which takes no memory yet."""
        room = count + count // 8
        for column in self._columns.values():
            column.reserve(room)
        self.vectors.reserve(room)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """All columns by name."""
        return {name: column.values for name, column in self._columns.items()}

    def take(self, columns: dict[str, Any]) -> None:
        """Put rows of columns behind those there are."""
        for name, column in self._columns.items():
            column.append(columns[name])

    def revise(self, at: IntArray, batch: TextBatch) -> None:
        """Give the texts numbered ``at``, ascending, the words and vectors of ``batch``.

        Their information is counted on everything read so far. `cut` takes it back.
        """
        split = [split_speaker(text) for text in batch.texts]
        found = self._occurrences(batch, split)
        self._add_counts(found, len(batch))
        changed: dict[str, Any] = self._sizes(found, len(batch))
        changed["information"] = self._information_now(found, len(batch))
        changed["marks"] = self._marks(found, split)
        before = {name: self[name][at].copy() for name in (*changed, "speaker", "names")}
        for name, values in changed.items():
            self[name][at] = values
        for number, told, (name, _) in zip(at.tolist(), batch.speakers, split, strict=True):
            if told or name:  # else it goes on with whose turn it was
                self["speaker"][number] = self._speaker(told or name)
                self["names"][number] = _TOLD if told else _BEGINS
        postings = Postings.from_occurrences(found.words, at[found.texts])
        rows = at if self.dimension else at[:0]
        vectors = tuple(column[rows] for column in self.vectors.arrays)
        self.revised = _Revised(at, postings, before, vectors)
        if batch.vectors is not None and self.dimension:
            self.vectors.replace(at, batch.vectors)

    def mark(self) -> _Mark:
        """What `cut` goes back to."""
        turn = Turn(**vars(self.turn))
        return _Mark(
            self.vocabulary.mark(), list(self.postings), len(self), len(self.speakers), turn
        )

    def cut(self, mark: _Mark) -> None:
        """Go back to what was when ``mark`` was made."""
        if self.revised is not None:
            for name, values in self.revised.before.items():
                self[name][self.revised.texts] = values
            if self.dimension:
                for held, rows in zip(self.vectors.arrays, self.revised.vectors, strict=True):
                    held[self.revised.texts] = rows
            self.revised = None
        self.vocabulary.cut(mark.vocabulary)
        self.postings = list(mark.postings)
        for column in self._columns.values():
            column.cut(mark.rows)
        self.vectors.cut(mark.rows)
        for name in self.speakers[mark.speakers :]:
            del self._speaker_numbers[name]
        del self.speakers[mark.speakers :]
        self.turn = Turn(**vars(mark.turn))

    def named_speakers(self) -> dict[int, str]:
        """Speakers by number: those that were told, and names that begin 5 % of the texts."""
        names, speaker = self["names"], self["speaker"]
        begins = np.bincount(speaker[names == _BEGINS], minlength=len(self.speakers))
        told = np.bincount(speaker[names == _TOLD], minlength=len(self.speakers))
        enough = (begins >= max(1.0, _LEAST_NAMED * len(self))) | (told > 0)
        return {at: self.speakers[at] for at in np.flatnonzero(enough).tolist() if at}

    def _occurrences(self, batch: TextBatch, split: Sequence[tuple[str, str]]) -> _Occurrences:
        numbers, vocabulary = self.vocabulary.numbers, self.vocabulary
        flat: list[str] = []
        sizes = np.zeros((3, len(batch)), np.int64)  # words beside it, of the name, in all
        headings = batch.headings or [""] * len(batch)
        rows = zip(batch.texts, batch.times.tolist(), headings, split, strict=True)
        for number, (text, time, heading, (name, _)) in enumerate(rows):
            date = self._date_words(time) if time >= 0 and text else []
            above = self._words_above(heading) if heading and text else []
            own = words_of(text)
            flat += date
            flat += above
            flat += own
            around = len(date) + len(above)
            sizes[:, number] = around, self._name_words(name), around + len(own)
        words = np.fromiter(map(numbers.__getitem__, flat), np.int64, len(flat))
        vocabulary.learn()
        besides, names, all_words = sizes
        owner = np.repeat(np.arange(len(batch)), all_words)
        place = np.arange(len(flat)) - (np.cumsum(all_words) - all_words)[owner]
        beside = place < besides[owner]
        said = place >= (besides + names)[owner]
        flags = _joined_bits(vocabulary["flags"][words[said]], owner[said], len(batch))
        kept = np.logical_not(vocabulary["stop"][words])
        return _Occurrences(words[kept], owner[kept], beside[kept], flags)

    def _name_words(self, name: str) -> int:
        if name not in self._name_sizes:
            self._name_sizes[name] = len(words_of(name))
        return self._name_sizes[name]

    def _date_words(self, time: int) -> list[str]:
        day = time // 86_400_000
        if day not in self._dates:
            self._dates[day] = words_of(self.language.date(time))
        return self._dates[day]

    def _words_above(self, heading: str) -> list[str]:
        if heading != self._heading_words[0]:  # texts under one heading come together
            self._heading_words = heading, words_of(heading)
        return self._heading_words[1]

    def _count(self, found: _Occurrences, groups: IntArray, first: int) -> Floats:
        """Count the words of new texts; the information of each text [n]."""
        count = len(groups)
        stems = self.vocabulary["stem"][found.words].astype(np.int64)
        own = np.logical_not(found.beside)
        pairs = distinct(stems[own] * count + found.texts[own])[0]  # by stem, then by text
        stem, text = pairs // count if count else pairs, pairs % max(count, 1)
        last = np.searchsorted(groups, groups, side="right") - 1  # of the text's group
        before = self.vocabulary.of_stem("own")[stem]
        starts = np.searchsorted(stem, stem)
        by_then = np.searchsorted(pairs, stem * count + last[text], side="right") - starts
        terms = np.log((first + last[text] + 2) / (before + by_then))
        self._add_counts(found, count)
        return np.bincount(text, terms, count).astype(np.float32)

    def _add_counts(self, found: _Occurrences, count: int) -> None:
        stems = self.vocabulary["stem"][found.words].astype(np.int64)
        words: dict[str, IntArray] = {}
        of_stems: dict[str, IntArray] = {}
        own = np.logical_not(found.beside)
        for name, part in (("texts", np.ones(len(own), np.bool_)), ("own", own)):
            owner = found.texts[part]
            words[name] = _texts_with(found.words[part], owner, count)
            of_stems[name] = _texts_with(stems[part], owner, count)
        self.vocabulary.count(words, of_stems)

    def _information_now(self, found: _Occurrences, count: int) -> Floats:
        stems = self.vocabulary["stem"][found.words].astype(np.int64)
        pairs = distinct((stems * count + found.texts)[np.logical_not(found.beside)])[0]
        texts = self.vocabulary.of_stem("own")[pairs // max(count, 1)]
        terms = np.log((len(self) + 1) / np.maximum(texts, 1))
        return np.bincount(pairs % max(count, 1), np.maximum(terms, 0), count).astype(np.float32)

    def _sizes(self, found: _Occurrences, count: int) -> dict[str, Any]:
        letters = self.vocabulary["length"][found.words]
        return {
            "length": np.bincount(found.texts, minlength=count),
            "letters": np.bincount(found.texts, letters, count),
        }

    def _marks(self, found: _Occurrences, split: Sequence[tuple[str, str]]) -> list[int]:
        flags = self.language.flags
        return [
            question_marks(body) | flags_of_text(body, bits, flags)
            for (_, body), bits in zip(split, found.flags.tolist(), strict=True)
        ]

    def _turns(self, batch: TextBatch, names: Sequence[str]) -> tuple[list[int], ...]:
        """Session, speaker, and where the speaker comes from, of each text."""
        turn, out = self.turn, ([], [], [])  # type: Turn, tuple[list[int], ...]
        rows = zip(
            *(batch.sources.tolist(), batch.times.tolist(), batch.offsets.tolist()),
            *(names, batch.speakers, batch.texts),
            strict=True,
        )
        for source, time, offset, name, told, text in rows:
            same = source == turn.source and not _is_long_after(turn.time, time)
            if not same:
                turn.session += 1
            goes_on = same and source >= 0 and turn.start < offset <= turn.end + _LINE_GAP
            if told or name:
                turn.speaker = self._speaker(told or name)
                origin = _TOLD if told else _BEGINS
            elif goes_on:
                origin = 0
            else:
                turn.speaker = origin = 0
            turn.source, turn.start, turn.end = source, offset, offset + len(text)
            turn.time = time if time >= 0 or not same else turn.time
            for values, value in zip(out, (turn.session, turn.speaker, origin), strict=True):
                values.append(value)
        return out

    def _speaker(self, name: str) -> int:
        if name not in self._speaker_numbers:
            self._speaker_numbers[name] = len(self.speakers)
            self.speakers.append(name)
        return self._speaker_numbers[name]


def _texts_with(words: IntArray, texts: IntArray, count: int) -> IntArray:
    """How many texts hold each word number."""
    pairs, _ = distinct(words * max(count, 1) + texts)
    return np.bincount(pairs // max(count, 1))


def _joined_bits(bits: IntArray, owner: IntArray, count: int) -> IntArray:
    """All bits of each owner's, [count]; owners ascend."""
    out = np.zeros(count, np.int64)
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    if len(first):
        out[owner[first]] = np.bitwise_or.reduceat(bits, first)
    return out


def _is_long_after(before: int, time: int) -> bool:
    """Whether two times, -1 for not known, lie more than some hours apart."""
    return before >= 0 and time >= 0 and abs(time - before) > _SESSION_HOURS * 3_600_000
