"""Training on such episodes: the answers of the last segment are learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memoria.experiments.answering import AnswerTask, Examples
from memoria.experiments.associate.config import AssociateConfig
from memoria.experiments.associate.episodes import NOTHING, episodes
from memoria.experiments.associate.words import Words
from memoria.experiments.books import read_books, word_numbers
from memoria.experiments.training import Processes, Sums


class AssociateTask(AnswerTask):
    """Read an episode, then answer its questions; a new episode in every row of every batch.

    The accuracy is that of answers that stand in segments before the last, all groups but ``near``.
    """

    def __init__(self, config: AssociateConfig, processes: Processes) -> None:
        self._config = config
        self.groups = config.groups
        self._is_warming = False
        self._hay = np.zeros(0, dtype=np.int64)
        if config.hay == "books":
            words = [word for book in read_books(config.data) for word in book.words]
            self._hay = word_numbers(words, config.noise)
        self._warm = round(config.warm * config.steps)
        super().__init__(config, processes, Words(config).count, config.held_out)

    def batch(self, step: int) -> Sequence[int]:
        config = self._config
        first = (config.seed * config.steps + step) * config.batch
        return range(first, first + config.batch)

    def learn(self, step: int) -> Sums:
        self._is_warming = step < self._warm
        try:
            return super().learn(step)
        finally:
            self._is_warming = False

    def examples(self, split: str, numbers: Sequence[int]) -> Examples:
        made = episodes(self._config, self._hay, split, numbers)
        device = self.processes.device
        segments = torch.from_numpy(made.segments).to(device).unbind(1)
        last, answers = (torch.from_numpy(one).to(device) for one in (made.last, made.answers))
        if self._is_warming:
            near = torch.from_numpy(made.groups["near"]).to(device)
            return Examples([], last, answers.where(near, NOTHING))
        groups = {name: torch.from_numpy(one).to(device) for name, one in made.groups.items()}
        return Examples(segments, last, answers, groups)

    def loss(self, logits: Tensor, answers: Tensor) -> tuple[Tensor, float]:
        each = functional.cross_entropy(
            logits.transpose(1, 2), answers, ignore_index=NOTHING, reduction="sum"
        )
        return each / (answers != NOTHING).sum(), each.item()

    def metrics(self, sums: Sums) -> dict[str, float]:
        found = super().metrics(sums)
        far = [name for name in self.groups if name != "near"]
        right, answers = (
            sum(sums[f"{what}_{name}"] for name in far) for what in ("right", "answers")
        )
        return {**found, "accuracy": right / max(answers, 1)}
