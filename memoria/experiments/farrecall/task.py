"""Training on episodes of facts, noise and questions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from memoria.experiments.answering import AnswerTask, Examples
from memoria.experiments.farrecall.episodes import episodes
from memoria.experiments.farrecall.experiment import FarRecallConfig
from memoria.experiments.training import Processes


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
