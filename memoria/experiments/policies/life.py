"""`Life`: what policies know of the items that a memory has read, and of how they were used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from memoria.experiments.policies.cofiring import Cofiring
from memoria.experiments.policies.words import Words, stems_of
from memoria.search.growing import GrowingArray
from memoria.search.languages import find_language
from memoria.search.text_index import TextBatch, TextIndex
from memoria.store.information import WordCounts

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

STEP, TURN, HOUR = 0, 1, 2  # clocks: columns of `born` and `last`
_HOUR: Final = 3_600_000  # milliseconds


class Items(NamedTuple):
    """What is read in one step, in order.

    Attributes:
        vectors: [W, D].
        texts: of each; None without texts.
        times: of each, milliseconds since 1970; None where they are not known.
        dates: of each in words; "" where there is none. BM25 of the reference and encoders see it.
    """

    vectors: NDArray[Any]
    texts: Sequence[str] | None = None
    times: Sequence[int | None] | None = None
    dates: Sequence[str] | None = None


class Cue(NamedTuple):
    """What is asked: vectors [V, D], and words where there are any."""

    vectors: NDArray[Any]
    text: str | None = None


@dataclass(frozen=True)
class Needs:
    """What a scorer needs to know."""

    vectors: bool = True
    words: bool = False
    cofiring: bool = False


class Life:
    """N items in the order in which they were read, of which M live.

    Clocks: steps of reading, items read, hours of the items' own times (an item an hour where
    these are not known). Columns [N]:

    - ``born``, ``last``: clocks [N, 3] at reading, and when it was read or found last.
    - ``found``: how often it has been found; ``uses``: steps at which it was read or found.
    - ``strength``: S of MemoryBank, 1 at first. ``gained``: steps of lifespan given since birth.
    - ``information``: of the text over the mean so far, 1 without texts (`WordCounts`).
    - ``surprise``: 1 - the greatest cosine to what had been read in earlier steps, 1 at first.

    Args:
        dimension: D.
        needs: what is kept beside that.
        seed: of what is drawn.
    """

    def __init__(self, dimension: int, needs: Needs = Needs(), seed: int = 0) -> None:
        self.now = np.zeros(3)
        self.living: Indices = np.zeros(0, np.int64)
        self.texts: list[str] = []
        self.dates: list[str] = []
        self.uses: list[list[float]] = []
        self.rng = np.random.default_rng((seed, 2))
        self.index = TextIndex(find_language("english"), None, 0) if needs.words else None
        self.cofiring = Cofiring(dimension) if needs.cofiring else None
        self._counts = WordCounts(find_language("english"))
        self._stems: list[tuple[str, ...]] = []
        self._words: Words | None = None  # of the living, as the next
        self._living_vectors: tuple[Floats, Floats] | None = None
        self._vectors = GrowingArray(np.float32, (dimension,))
        self._columns = {
            "found": GrowingArray(np.float64),
            "strength": GrowingArray(np.float64),
            "gained": GrowingArray(np.float64),
            "information": GrowingArray(np.float64),
            "surprise": GrowingArray(np.float64),
            "born": GrowingArray(np.float64, (3,)),
            "last": GrowingArray(np.float64, (3,)),
        }

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, name: str) -> Floats:
        """A column of all items; it may be written to."""
        return self._columns[name].values

    def of_living(self, name: str) -> Floats:
        """A column of the living, oldest first."""
        return self[name][self.living]

    @property
    def vectors(self) -> Floats:
        """Those of the living [M, D]."""
        return self._exact()[0]

    @property
    def squares(self) -> Floats:
        """The squared lengths of `vectors`, [M]."""
        return self._exact()[1]

    def _exact(self) -> tuple[Floats, Floats]:
        if self._living_vectors is None:
            vectors = self._vectors.values[self.living].astype(np.float64)
            self._living_vectors = vectors, np.square(vectors).sum(1)
        return self._living_vectors

    def stems_of(self, text: str) -> tuple[str, ...]:
        """The distinct stems of a text, without stop words."""
        return stems_of(text, find_language("english"))

    @property
    def words(self) -> Words:
        """Which of the living hold which words, if words are needed."""
        if self._words is None:
            self._words = Words.of([self._stems[one] for one in self.living.tolist()])
        return self._words

    def read(self, items: Items) -> None:
        """Take in the items of one step."""
        first, count = len(self), len(items.vectors)
        texts = list(items.texts or [""] * count)
        times = list(items.times or [None] * count)
        known = [time for time in times if time is not None]
        self.now[TURN] += count
        self.now[HOUR] = known[-1] / _HOUR if known else self.now[HOUR] + count
        rows: dict[str, npt.ArrayLike] = {
            "found": np.zeros(count),
            "strength": np.ones(count),
            "gained": np.zeros(count),
            "information": [self._counts.read(text) for text in texts],
            "surprise": 1 - self._greatest_cosines(items.vectors),
            "born": np.tile(self.now, (count, 1)),
            "last": np.tile(self.now, (count, 1)),
        }
        for name, column in self._columns.items():
            column.append(rows[name])
        self._vectors.append(items.vectors)
        self.texts += texts
        self.dates += list(items.dates or [""] * count)
        self.uses += [[float(self.now[STEP])] for _ in range(count)]
        self._live(np.concatenate((self.living, np.arange(first, first + count))))
        if self.cofiring is not None:
            self.cofiring.step(items.vectors)
        if self.index is not None:
            self._stems += [self.stems_of(text) for text in texts]
            self._index(texts, times, first)

    def end_step(self) -> None:
        """The step is over."""
        self.now[STEP] += 1

    def drop(self, ids: Indices) -> None:
        """Forget items."""
        if len(ids):
            self._live(np.setdiff1d(self.living, ids))

    def _live(self, living: Indices) -> None:
        self.living = living
        self._words = self._living_vectors = None

    def _greatest_cosines(self, vectors: NDArray[Any]) -> Floats:
        """Of each vector with those of the living; 0 without any."""
        if len(self.living) == 0:
            return np.zeros(len(vectors))
        return np.asarray((unit(vectors) @ unit(self.vectors).T).max(1))

    def _index(self, texts: Sequence[str], times: Sequence[int | None], first: int) -> None:
        assert self.index is not None
        count = len(texts)
        self.index.append(
            TextBatch(
                keys=np.arange(first, first + count),
                texts=texts,
                times=np.array([-1 if one is None else one for one in times], np.int64),
                sources=np.full(count, -1),
                offsets=np.full(count, -1),
                speakers=[""] * count,
                groups=np.full(count, first),
            )
        )


def unit(vectors: NDArray[Any]) -> Floats:
    """Rows of length 1, float64."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    units: Floats = vectors / np.maximum(lengths, 1e-12)
    return units


def scaled(scores: Floats) -> Floats:
    """To 0..1 by least and greatest; 0 where all are alike."""
    if len(scores) == 0:
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)


def standardised(scores: Floats) -> Floats:
    """With mean 0 and deviation 1; 0 where all are alike."""
    deviation = scores.std() if len(scores) else 0.0
    return (scores - scores.mean()) / deviation if deviation > 1e-12 else np.zeros_like(scores)
