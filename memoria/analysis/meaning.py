"""The map of a memory: its engrams by meaning in two dimensions, and words on parts of the map.

Two engrams are near on the map where their vectors are alike. The same state makes the same map.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.chronicle import MEMORY_NAMES, Chronicle
from memoria.analysis.excerpts import excerpts
from memoria.analysis.result import Analysis, Table
from memoria.analysis.scope import highest, in_scope, note
from memoria.errors import MissingExtraError
from memoria.search.languages import LANGUAGES
from memoria.search.words import words_of
from memoria.timeline.log import FloatArray, IntArray

_LEAST_FOR_UMAP: Final = 16
_AXES: Final = 50  # principal components that UMAP gets
_DIGITS: Final = 6  # of coordinates: what threads change lies below
_RUNS: Final = 64  # runs of engrams at most, where the map shows some of many
_HOW: Final = {
    "even": "spread over the life",
    "fired": "the most often fired",
    "newest": "the newest",
}
_STOP: Final = frozenset().union(*(one.stop for one in LANGUAGES.values()))
_WORDS: Final = 3  # on a part of the map
_MOST_TOPICS: Final = 10
_PER_TOPIC: Final = 20  # engrams, so that a part of the map says something
_ROUNDS: Final = 50


def meaning_map(
    chronicle: Chronicle,
    lane: int | None,
    limit: int,
    by: str,
    forgotten: bool,
    colour: str,
    method: str,
) -> Analysis:
    """Place living engrams, or with ``forgotten`` all, so that like vectors are near each other.

    ``method`` pca: by the two principal components of the vectors. umap: by UMAP (McInnes et al.,
    2018) on the first 50 of these. auto: umap where umap-learn is installed. Of more than ``limit``
    engrams those in 64 runs evenly spread over the life, the most often fired, or the newest.
    ``topic`` numbers the part of the map that an engram lies in, -1 where none has words.
    """
    candidates = np.flatnonzero(in_scope(chronicle, lane, forgotten))
    chosen = _some(chronicle, candidates, limit, by)
    placed = place(chronicle.vectors(chronicle.ids[chosen]), method)
    texts = excerpts(chronicle, chosen)
    found = find_topics(placed.xy, texts)
    steps = chronicle.steps
    end = np.where(chronicle.gone[chosen] > 0, chronicle.gone[chosen], steps)
    left_out = len(chosen) < len(candidates)
    return Analysis(
        kind="map",
        title=f"Map of {len(chosen):,} engrams by meaning",
        x_label=placed.labels[0],
        y_label=placed.labels[1],
        note=note(
            lane,
            f"{len(chosen):,} of {len(candidates):,} engrams, {_HOW[by]}" if left_out else "",
            "near: alike in meaning",
            "words: what texts there share and others lack" if len(found.x) else "",
        ),
        frames={
            "map": {
                **chronicle.engrams(chosen),
                "memory": MEMORY_NAMES[chronicle.types_after(chosen, steps)],
                "age": end - chronicle.born[chosen],
                "lifespan": chronicle.lifespan(chosen, end),
                "x": placed.xy[:, 0],
                "y": placed.xy[:, 1],
                "topic": found.of,
                "text": np.array([*texts, None], object)[:-1],
            },
            "topics": found.table(),
        },
    )


def _some(chronicle: Chronicle, candidates: IntArray, limit: int, by: str) -> IntArray:
    """At most ``limit`` of the positions, ascending; neighbours, which lie in the same files."""
    if len(candidates) <= limit:
        return candidates
    if by == "fired":
        return highest(candidates, chronicle.fires, limit)
    if by == "newest":
        return candidates[len(candidates) - limit :]
    runs, number = min(_RUNS, limit), np.arange(limit)
    left_out = number * runs // limit * (len(candidates) - limit) // max(runs - 1, 1)
    chosen: IntArray = candidates[number + left_out]
    return chosen


@dataclass(frozen=True)
class Placed:
    """Where N engrams are on a map.

    Attributes:
        xy: float64 [N, 2].
        method: pca or umap.
        labels: what the two axes are.
    """

    xy: FloatArray
    method: str
    labels: tuple[str, str]


def place(vectors: npt.NDArray[np.floating[Any]], method: str = "auto") -> Placed:
    """Place vectors [N, D] in two dimensions by pca, umap, or auto: umap where installed.

    Raises:
        MissingExtraError: umap-learn is asked for and not installed.
    """
    if method == "auto":
        spec = find_spec("umap")
        method = "umap" if spec and spec.origin else "pca"  # a mere folder of that name has none
    if method == "umap" and len(vectors) >= _LEAST_FOR_UMAP:
        xy = _umap(principal_axes(vectors, _AXES)[0])
        return Placed(_rounded(xy), "umap", ("UMAP, first dimension", "UMAP, second dimension"))
    xy, shares = principal_axes(vectors, 2)
    first, second = (f"{share:.0%} of the variance" for share in shares)
    labels = (f"first principal component, {first}", f"second principal component, {second}")
    return Placed(_rounded(xy), "pca", labels)


def principal_axes(
    vectors: npt.NDArray[np.floating[Any]], count: int
) -> tuple[FloatArray, FloatArray]:
    """Coordinates [N, count] of vectors [N, D] on principal components, and each one's variance.

    The variance is a share of all. Where there are fewer axes the rest is 0. Of an axis's two
    directions the one in which the farthest engram, of equals the first, has a positive coordinate.
    """
    coordinates, shares = np.zeros((len(vectors), count)), np.zeros(count)
    if len(vectors) < 2:
        return coordinates, shares
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    wide = centred.shape[0] < centred.shape[1]
    gram = centred @ centred.T if wide else centred.T @ centred
    values, axes = np.linalg.eigh(gram)
    values, axes = np.maximum(values[::-1], 0), axes[:, ::-1]
    most = min(count, len(values))
    found = axes[:, :most] * np.sqrt(values[:most]) if wide else centred @ axes[:, :most]
    far = np.abs(np.round(found, _DIGITS)).argmax(axis=0)
    signs = np.where(found[far, np.arange(most)] < 0, -1.0, 1.0)
    coordinates[:, :most] = found * signs
    total = values.sum()
    shares[:most] = values[:most] / total if total > 0 else 0.0
    return coordinates, shares


def _umap(points: FloatArray) -> FloatArray:
    """UMAP's two dimensions, by one thread and a fixed seed."""
    try:
        umap = import_module("umap.umap_")
    except ImportError:
        raise MissingExtraError("method = umap", "umap-learn", "pip install umap-learn") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its libraries
        model = umap.UMAP(n_neighbors=min(15, len(points) - 1), random_state=0, n_jobs=1)
        found: Any = model.fit_transform(points)
    return np.asarray(found, np.float64)


def _rounded(xy: FloatArray) -> FloatArray:
    """Without the digits that differ from machine to machine; no negative zeros."""
    return np.round(xy, _DIGITS) + 0.0


@dataclass(frozen=True)
class Topics:
    """Parts of a map that words stand for. N engrams, K parts, the largest first.

    Attributes:
        of: part of each engram, -1 for none, int64 [N].
        x, y: middle of each part, float64 [K].
        engrams: in each part, int64 [K].
        words: of each part, the most telling first.
    """

    of: IntArray
    x: FloatArray
    y: FloatArray
    engrams: IntArray
    words: list[str]

    def table(self) -> Table:
        """As columns."""
        return {
            "topic": np.arange(len(self.words)),
            "x": self.x,
            "y": self.y,
            "engrams": self.engrams,
            "words": np.array([*self.words, None], object)[:-1],
        }


def find_topics(xy: FloatArray, texts: list[str]) -> Topics:
    """Cut a map [N, 2] into parts and find the words that texts of each share and others lack.

    Parts are those of k-means from a fixed start, one for 20 engrams, 10 at most. A word's
    worth is ``p log(p / q)``: p of the texts of the part have it, q of all. Of words alike but for
    the ending, the better one.
    """
    said = [_telling_words(text) for text in texts]
    parts = _k_means(xy, int(np.clip(len(xy) // _PER_TOPIC, 1, _MOST_TOPICS)))
    sizes = np.bincount(parts, minlength=1)
    everywhere = _count(said)
    named: dict[tuple[str, ...], IntArray] = {}
    for part in np.argsort(-sizes, kind="stable").tolist():
        members = np.flatnonzero(parts == part)
        here = _count([said[n] for n in members.tolist()])
        if words := _best_words(here, len(members), everywhere, len(said)):
            others = named.get(tuple(words), members[:0])  # parts of the same words are one
            named[tuple(words)] = np.sort(np.concatenate((others, members)))
    of = np.full(len(xy), -1, np.int64)
    for number, members in enumerate(named.values()):
        of[members] = number
    middles = [np.median(xy[members], axis=0) for members in named.values()]
    x, y = np.round(np.array(middles).reshape(-1, 2), _DIGITS).T
    return Topics(
        of,
        x,
        y,
        np.array([len(members) for members in named.values()], np.int64),
        [" ".join(words) for words in named],
    )


def _telling_words(text: str) -> dict[str, str]:
    """Words of a text that may say what it is about, by their stems."""
    stem = LANGUAGES["english"].stem
    words = (w for w in words_of(text) if len(w) > 2 and w not in _STOP and not w[0].isdigit())
    found: dict[str, str] = {}
    for word in words:
        found.setdefault(stem(word), word)
    return found


def _count(said: list[dict[str, str]]) -> dict[str, Counter[str]]:
    """In how many texts each stem is, by the form that it has there."""
    counts: dict[str, Counter[str]] = {}
    for words in said:
        for stem, word in words.items():
            counts.setdefault(stem, Counter())[word] += 1
    return counts


def _best_words(
    here: dict[str, Counter[str]],
    texts_here: int,
    everywhere: dict[str, Counter[str]],
    texts: int,
) -> list[str]:
    """The words that stand for a part, at most three; in two texts of it at least."""
    worth = []
    for stem, forms in here.items():
        p, q = forms.total() / texts_here, everywhere[stem].total() / texts
        if forms.total() > 1 and (p > q or texts_here == texts):
            commonest = sorted(forms.items(), key=lambda one: (-one[1], one[0]))[0][0]
            worth.append((-p * np.log(p / q) if texts_here < texts else -p, commonest))
    return [word for _, word in sorted(worth)[:_WORDS]]


def _k_means(points: FloatArray, count: int) -> IntArray:
    """At most ``count`` parts of points [N, 2], from starts drawn as k-means++ by a fixed seed."""
    parts = np.zeros(len(points), np.int64)
    if len(points) == 0:
        return parts
    rng = np.random.default_rng(0)
    middles = points[:1].copy()
    away = _squares(points, middles)[:, 0]
    while len(middles) < count and away.max() > 0:
        middles = np.append(middles, points[[rng.choice(len(points), p=away / away.sum())]], axis=0)
        away = np.minimum(away, _squares(points, middles[-1:])[:, 0])
    for _ in range(_ROUNDS):
        before, parts = parts, _squares(points, middles).argmin(axis=1)
        if (before == parts).all():
            break
        for part in np.unique(parts).tolist():
            middles[part] = points[parts == part].mean(axis=0)
    return parts


def _squares(points: FloatArray, others: FloatArray) -> FloatArray:
    """Squared distances [N, K]."""
    apart: FloatArray = ((points[:, None] - others[None]) ** 2).sum(axis=2)
    return apart
