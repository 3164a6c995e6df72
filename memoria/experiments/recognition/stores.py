"""How memories of texts recognise a sentence, and what they recall from half of it.

Each reads the sentences a few at a step, then other ones. A sentence is the more familiar,

- nearest: the nearer the nearest vector of all that was read;
- remind: the nearer the nearest engram that Memoria is reminded of by it, which forgets as it goes
  on reading;
- ask: the higher the confidence of what answers it best in a store that forgets nothing.

Cued recall is the share of sentences that their first half brings back as the first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from memoria.backbones import Backbone
from memoria.experiments.evidence.memories import memory_config
from memoria.experiments.recognition.foils import FOILS, Studied
from memoria.experiments.recognition.measure import Floats, Moment, first_half, two_choice
from memoria.store import MemoryStore


class _Memory(Protocol):
    def read(self, texts: Sequence[str]) -> None:
        """A step; texts are numbered as they come."""

    def best(self, text: str) -> tuple[int, float]:
        """The number of what fits best, -1 for none, and how familiar the text is."""


def store_moments(
    model: str,
    studied: Studied,
    *,
    backbone: Backbone,
    settings: Mapping[str, Any],
    width: int,
    after: Sequence[int],
) -> Iterator[Moment]:
    """What a memory knows after it has read the sentences, and after more steps.

    Args:
        model: one of ``recognition.config.STORES``.
        studied: sentences and foils.
        backbone: what makes vectors.
        settings: of the memory that reminds.
        width: sentences of a step.
        after: further steps at which it is asked, ascending.
    """
    with tempfile.TemporaryDirectory(prefix="memoria-recognition-") as folder:
        memory: _Memory
        if model == "nearest":
            memory = _Nearest(backbone)
        else:
            own = settings if model == "remind" else {}
            memory = _Stored(model, backbone, own, Path(folder) / "memory")
        for at in range(0, len(studied.seen), width):
            memory.read(studied.seen[at : at + width])
        steps = 0
        for wanted in (0, *after):
            while steps < wanted:
                begin = steps * width
                places = range(begin, begin + width)
                memory.read([studied.other[at % len(studied.other)] for at in places])
                steps += 1
            yield _asked(memory, studied, wanted)


def _asked(memory: _Memory, studied: Studied, after: int) -> Moment:
    seen = _familiarity(memory, studied.seen)
    recognition = {
        kind: two_choice(seen, _familiarity(memory, studied.foils[kind])) for kind in FOILS
    }
    halves = [memory.best(first_half(one))[0] for one in studied.seen]
    recalled = float(np.mean([number == at for at, number in enumerate(halves)]))
    return Moment(after, recognition, recalled)


def _familiarity(memory: _Memory, texts: Sequence[str]) -> Floats:
    return np.array([memory.best(one)[1] for one in texts])


class _Nearest:
    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._vectors = np.zeros((0, backbone.dimension), dtype=np.float32)

    def read(self, texts: Sequence[str]) -> None:
        self._vectors = np.concatenate([self._vectors, self._backbone.encode(list(texts))])

    def best(self, text: str) -> tuple[int, float]:
        apart = ((self._vectors - self._backbone.encode([text])) ** 2).sum(1)
        return int(apart.argmin()), -float(apart.min())


class _Stored:
    def __init__(
        self, model: str, backbone: Backbone, settings: Mapping[str, Any], path: Path
    ) -> None:
        self._asks, self._backbone = model == "ask", backbone
        self._store = MemoryStore.create(path, memory_config(backbone, settings))
        self._is_behind = False

    def read(self, texts: Sequence[str]) -> None:
        self._store.step(self._backbone.encode(list(texts)), texts=list(texts))
        self._is_behind = True

    def best(self, text: str) -> tuple[int, float]:
        if self._is_behind:  # asking reads what is committed once, and the rest every time
            self._store.commit()
            self._is_behind = False
        if self._asks:
            answers = self._store.ask(text, top=1)
            return (answers[0].id, answers[0].confidence) if len(answers) else (-1, 0.0)
        reminded = self._store.peek(self._backbone.encode([text]))
        ids = np.asarray(reminded.ids[0])
        if not (ids >= 0).any():
            return -1, -np.inf
        scores = np.where(ids >= 0, np.asarray(reminded.log_correlation[0]), -np.inf)
        return int(ids[scores.argmax()]), float(scores.max())
