"""Training on sequences to sort."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from memoria.experiments.answering import AnswerTask, Examples
from memoria.experiments.sorting.experiment import SortingConfig
from memoria.experiments.sorting.sequences import sequences
from memoria.experiments.training import Processes, batch_order


class SortingTask(AnswerTask):
    """Read the sequence, then name its symbols by how often they came.

    The last segment holds none of the sequence: a separator and the answer's symbols, each of
    which is asked for the next one.
    """

    def __init__(self, config: SortingConfig, processes: Processes) -> None:
        self._config = config
        super().__init__(config, processes, config.symbols + 1, config.held_out)

    def batch(self, step: int) -> Sequence[int]:
        config = self._config
        return batch_order(config.seed, step, config.batch, config.sequences)

    def examples(self, split: str, numbers: Sequence[int]) -> Examples:
        config = self._config
        made = sequences(config.length, config.symbols, config.data_seed, split, numbers)
        tokens, targets = (torch.from_numpy(one).to(self.processes.device) for one in made)
        separator = targets.new_full((len(targets), 1), config.symbols)
        questions = torch.cat((separator, targets[:, :-1]), dim=1)
        return Examples(torch.split(tokens, config.segment, dim=1), questions, targets)

    def loss(self, logits: Tensor, answers: Tensor) -> tuple[Tensor, float]:
        mean = functional.cross_entropy(logits.flatten(0, 1), answers.flatten())
        return mean, mean.item() * answers.numel()
