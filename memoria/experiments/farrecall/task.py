"""Episodes of facts, noise and questions, and the training on them.

Each episode is a function of (seed, split, its number) alone.

Fact f of F has one of V values; symbol f V + v says so, the D symbols after these are noise, and
the F after those ask for a fact. The facts come in random order, one a segment, at ``shown`` random
places among noise; then ``gap`` segments of noise; then a segment that asks for some or all.
``cued`` puts ``shown`` copies of its question beside each fact, and of those to be asked into the
last segment of noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from memoria.experiments.answering import AnswerTask, Examples
from memoria.experiments.farrecall.experiment import FarRecallConfig
from memoria.experiments.texts import SPLITS
from memoria.experiments.training import Processes

Ints = NDArray[np.int64]


class FarRecallTask(AnswerTask):
    """Read an episode, then answer its questions; a new episode in every row of every batch.

    Answers are counted apart by age: ``accuracy_after_A`` of facts shown A segments before.
    """

    def __init__(self, config: FarRecallConfig, processes: Processes) -> None:
        self._config = config
        self._ages = range(config.gap + 1, config.gap + config.facts + 1)
        self.groups = [f"after_{age}" for age in self._ages]
        super().__init__(config, processes, config.vocabulary, config.held_out)

    def batch(self, step: int) -> Sequence[int]:
        config = self._config
        first = (config.seed * config.steps + step) * config.batch
        return range(first, first + config.batch)

    def examples(self, split: str, numbers: Sequence[int]) -> Examples:
        made = episodes(self._config, split, numbers)
        segments, questions, answers, ages = (
            torch.from_numpy(one).to(self.processes.device) for one in made
        )
        groups = {name: ages == age for name, age in zip(self.groups, self._ages, strict=True)}
        return Examples(segments.unbind(1), questions, answers, groups)

    def loss(self, logits: Tensor, answers: Tensor) -> tuple[Tensor, float]:
        each = functional.cross_entropy(logits.transpose(1, 2), answers, reduction="none")
        return each.mean(), each.sum().item()


def episodes(
    config: FarRecallConfig, split: str, numbers: Sequence[int]
) -> tuple[Ints, Ints, Ints, Ints]:
    """The episodes ``numbers``: segments [N, F + gap, S], questions, answers, ages, each [N, A].

    An age counts the segments from the fact to the question: 1 if it is the one before.
    """
    facts, values = config.facts, config.values
    count, length = facts + config.gap, config.segment
    segments = np.empty((len(numbers), count, length), dtype=np.int64)
    shape = (len(numbers), config.asked)
    questions, answers, ages = (np.empty(shape, dtype=np.int64) for _ in range(3))
    for row, number in enumerate(numbers):
        source = np.random.default_rng([config.data_seed, SPLITS.index(split), number])
        said = np.arange(facts) * values + source.integers(values, size=facts)
        order, asked = source.permutation(facts), source.permutation(facts)[: config.asked]
        question = facts * values + config.noise + np.arange(facts)
        segments[row] = facts * values + source.integers(config.noise, size=(count, length))
        for place, fact in enumerate(order):
            words = [said[fact], question[fact]] if config.cued else [said[fact]]
            _scatter(segments[row, place], words, config.shown, source)
        if config.cued:
            _scatter(segments[row, -1], question[asked], config.shown, source)
        questions[row] = question[asked]
        answers[row] = said[asked]
        ages[row] = count - np.argsort(order)[asked]
    return segments, questions, answers, ages


def _scatter(
    segment: Ints, words: Sequence[int] | Ints, times: int, source: np.random.Generator
) -> None:
    """Each of ``words`` to ``times`` random places of the segment."""
    positions = source.permutation(len(segment))[: len(words) * times]
    segment[positions] = np.repeat(words, times)
