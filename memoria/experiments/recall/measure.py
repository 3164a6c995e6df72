"""Asking a memory that goes on reading: recall, retention and recognition.

The memory reads steps 1..T of W passages. At checkpoint c, after c steps, it is asked with noised
passages; asking changes nothing, so the life goes on as if it had not been asked. With a passage
read at step b, seen n = c - b steps ago, among the bins of n {0}, {1}, {2, 3}, {4..7}, ...:

- recall@R(n): the share of cues of that bin whose own passage is among the R reminded, R being
  what Memoria reminds of at most; recall@1(n): it is the best correlated of them.
- alive(n): the share whose passage the memory still keeps. No memory recalls what it lost, so
  recall@R(n) <= alive(n).
- retention: recall@R against n. ``recall`` in one number: the mean over bins, each weighted by how
  many passages of the life so far lie in it; so the chance that a passage drawn from all that was
  read comes back. ``half_life``: the first bin's mean n at which recall@R is below 1/2.
- remote: recall@R of passages from the first half of the life, n >= c / 2, each as likely.
- recognition: AUC = P(s > s') + P(s = s') / 2 for s the best correlation that a cue of a seen
  passage finds among the reminded, s' that of an unseen one, both noised alike; the seen weighted
  as above by drawing them over the whole life.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memoria.experiments.reading import Indices, Passages, Stream
from memoria.experiments.recall.memories import Memory, Reminders
from memoria.experiments.recall.noise import Noise, cues, parse_noise
from memoria.experiments.statistics import area_under_curve
from memoria.io.progress import Progress, no_progress

_ARRAYS: Final = ("probes", "alive", "recall", "recall_at_1")
_WHOLE_LIFE: Final = 4  # times as many cues as of a bin, drawn from everything read


class Bin(NamedTuple):
    """Passages read ``least`` to ``most`` steps ago, both included."""

    least: int
    most: int

    @property
    def middle(self) -> float:
        """Mean of n."""
        return (self.least + self.most) / 2


@dataclass(frozen=True)
class Asked:
    """What a memory answered at one checkpoint, to cues of one noise.

    Attributes:
        checkpoint: steps read.
        noise: of the cues.
        kept: vectors that the memory keeps.
        bins: ranges of ages.
        probes: cues of each bin, int64 [bins].
        alive, recall, recall_at_1: shares of each bin, float64 [bins]; see above.
        remote: recall of the first half of the life; None where no cue is of it.
        auc: recognition.
    """

    checkpoint: int
    noise: Noise
    kept: int
    bins: Sequence[Bin]
    probes: Indices
    alive: NDArray[np.float64]
    recall: NDArray[np.float64]
    recall_at_1: NDArray[np.float64]
    remote: float | None
    auc: float | None

    def document(self) -> dict[str, Any]:
        """As plain values; `of` reads it back."""
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        bins = [list(one) for one in self.bins]
        return {**vars(self), "noise": str(self.noise), "bins": bins, **arrays}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Asked:
        """What `document` gave, perhaps with other keys beside."""
        values = {field.name: document[field.name] for field in fields(cls)}
        values |= {name: np.array(values[name]) for name in _ARRAYS}
        values["noise"] = parse_noise(values["noise"])
        values["bins"] = [Bin(*one) for one in values["bins"]]
        return cls(**values)

    def numbers(self) -> dict[str, float | None]:
        """In one number each: recall, recall_at_1, alive, remote, recognition, half_life."""
        return {
            "recall": overall(self.recall, self.bins),
            "recall_at_1": overall(self.recall_at_1, self.bins),
            "alive": overall(self.alive, self.bins),
            "remote": self.remote,
            "recognition": self.auc,
            "half_life": half_life(self.recall, self.bins),
        }


def checkpoints_of(steps: int, count: int) -> list[int]:
    """``count`` checkpoints at equal distances, the last at the end."""
    return sorted({max(1, round(steps * at / count)) for at in range(1, count + 1)})


def bins_at(step: int) -> list[Bin]:
    """{0}, {1}, {2, 3}, {4..7}, ... as far as ``step`` steps reach back."""
    edges = [0, 1]
    while edges[-1] < step:
        edges.append(edges[-1] * 2)
    return [Bin(least, min(past, step) - 1) for least, past in itertools.pairwise(edges)]


def overall(values: NDArray[np.float64], bins: Sequence[Bin]) -> float:
    """Mean of ``values`` [bins] weighted by the steps in each."""
    return float(np.average(values, weights=[one.most - one.least + 1 for one in bins]))


def half_life(values: NDArray[np.float64], bins: Sequence[Bin]) -> float | None:
    """The mean n of the first bin with a value below 1/2; None where there is none."""
    below = np.flatnonzero(np.asarray(values) < 0.5)
    return bins[int(below[0])].middle if len(below) else None


def live(
    memory: Memory,
    passages: Passages,
    stream: Stream,
    *,
    checkpoints: Sequence[int],
    noises: Sequence[Noise],
    probes: int,
    seed: int,
    done: int = 0,
    progress: Progress = no_progress,
) -> Iterator[Asked]:
    """Let a memory read, and ask it at checkpoints.

    Cues depend on ``seed``, checkpoint and noise alone: every memory gets the same.

    Args:
        memory: what reads and is asked.
        passages: the vectors, and their texts.
        stream: which are read at which step, and which never.
        checkpoints: steps after which it is asked.
        noises: of the cues, one after the other.
        probes: cues of each bin at most; four times as many of all that was read, and of unseen
            passages.
        seed: of the cues.
        done: checkpoints up to this step are not asked again.
        progress: counts steps.

    Yields:
        The answers at each checkpoint and noise.
    """
    asked_at = set(checkpoints)
    for step, chosen in enumerate(stream.read, 1):
        memory.step(passages.vectors[chosen])
        progress(step, len(stream.read))
        if step in asked_at and step > done:
            for noise in noises:
                yield _ask(memory, passages, stream, step, noise, probes, seed)
        if step >= max(asked_at):
            return


def _ask(
    memory: Memory,
    passages: Passages,
    stream: Stream,
    step: int,
    noise: Noise,
    probes: int,
    seed: int,
) -> Asked:
    width = stream.read.shape[1]
    bins = bins_at(step)
    rng = np.random.default_rng((seed, 3, step))  # the same passages for every noise
    groups = [_drawn(rng, one, step, width, probes) for one in bins]
    seen = rng.permutation(step * width)[: probes * _WHOLE_LIFE]
    unseen = rng.permutation(stream.unseen)[: probes * _WHOLE_LIFE]
    rng = np.random.default_rng((seed, 4, step, *str(noise).encode()))
    alive = memory.alive()
    kept, first, found = [], [], []
    for ids in groups:
        reminders = memory.remind(cues(passages, stream.read.ravel()[ids], noise, rng))
        hits = reminders.ids == ids[:, None]
        kept.append(np.isin(ids, alive).mean())
        found.append(hits.any(axis=1).mean())
        first.append(hits[:, 0].mean())
    of_seen = memory.remind(cues(passages, stream.read.ravel()[seen], noise, rng))
    old = seen // width < step // 2  # read at step b = seen // width + 1 <= step / 2
    returned = (of_seen.ids == seen[:, None]).any(axis=1)[old]
    of_unseen = memory.remind(cues(passages, unseen, noise, rng))
    return Asked(
        checkpoint=step,
        noise=noise,
        kept=len(alive),
        bins=bins,
        probes=np.array([len(ids) for ids in groups]),
        alive=np.array(kept),
        recall=np.array(found),
        recall_at_1=np.array(first),
        remote=float(returned.mean()) if len(returned) else None,
        auc=area_under_curve(_best(of_seen), _best(of_unseen)),
    )


def _drawn(rng: np.random.Generator, one: Bin, step: int, width: int, most: int) -> Indices:
    """Ids of up to ``most`` passages read at the steps of the bin; passage k is read k-th."""
    first, past = (step - one.most - 1) * width, (step - one.least) * width
    return np.sort(first + rng.permutation(past - first)[:most])


def _best(reminders: Reminders) -> NDArray[np.float64]:
    """Each cue's best score [P]; the lowest number where nothing came back."""
    if not reminders.scores.shape[1]:
        return np.full(len(reminders.scores), -np.finfo(np.float64).max)
    return np.maximum(reminders.scores[:, 0], -np.finfo(np.float64).max)
