"""Training on sequences to sort: every segment is read, only the answer is learned from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.segment_model import SegmentModel, SegmentOutput, read_before
from memoria.experiments.sorting.experiment import SortingConfig
from memoria.experiments.sorting.sequences import sequences
from memoria.experiments.training import Alone, Sums, Task, batch_order

__all__ = ["SortingTask"]


class SortingTask(Task):
    """Segments of the sequence without gradients, then the answer.

    The last segment holds no symbol of the sequence: a separator and the answer's symbols, each
    place of which is asked for the next one. The memory is empty at the start of each batch, and
    only what flows through the answer's segment (and through ``unroll`` - 1 before it, for models
    whose memory carries gradients) is learned from.
    """

    def __init__(self, config: SortingConfig, crew: Alone) -> None:
        self._config, self._crew = config, crew
        network = build_rival(config.model, config.network(config.symbols + 1))
        self.network: SegmentModel = network.to(crew.device)
        self.model = self.network

    def learn(self, step: int) -> Sums:
        config, crew = self._config, self._crew
        chosen = batch_order(config.seed, step, config.batch, config.sequences)
        output, targets = self._answer("training", chosen[crew.rank :: crew.count])
        loss = _loss(output, targets)
        (loss + output.extra_loss).backward()  # type: ignore[no-untyped-call]
        self.network.detach()
        return {"loss": loss.item()}

    def measure(self, split: str) -> Sums:
        config, crew = self._config, self._crew
        sums = {"right": 0.0, "loss": 0.0, "answers": 0.0}
        mine = range(crew.rank, config.held_out, crew.count)
        size = config.share(crew.count)
        for start in range(0, len(mine), size):
            output, targets = self._answer(split, mine[start : start + size])
            sums["right"] += float((output.logits.argmax(-1) == targets).sum())
            sums["loss"] += _loss(output, targets).item() * targets.numel()
            sums["answers"] += targets.numel()
        return sums

    def metrics(self, sums: Sums) -> dict[str, float]:
        count = sums["answers"]
        return {"accuracy": sums["right"] / count, "loss": sums["loss"] / count}

    def _answer(self, split: str, numbers: Sequence[int]) -> tuple[SegmentOutput, Tensor]:
        """Read the sequences from an empty memory; the answer's output, and what is right."""
        config = self._config
        made = sequences(config.length, config.symbols, config.data_seed, split, numbers)
        tokens, targets = (torch.from_numpy(one).to(self._crew.device) for one in made)
        self.network.reset()
        read_before(self.network, torch.split(tokens, config.segment, dim=1))
        separator = targets.new_full((len(targets), 1), config.symbols)
        answer = torch.cat((separator, targets[:, :-1]), dim=1)
        output: SegmentOutput = self.network(answer)
        return output, targets


def _loss(output: SegmentOutput, targets: Tensor) -> Tensor:
    return functional.cross_entropy(output.logits.flatten(0, 1), targets.flatten())
