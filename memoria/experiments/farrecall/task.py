"""Training on episodes: every segment is read, only the answers are learned from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from memoria.experiments.farrecall.episodes import episodes
from memoria.experiments.farrecall.experiment import FarRecallConfig
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.segment_model import SegmentModel, SegmentOutput, read_before
from memoria.experiments.training import Alone, Sums, Task

__all__ = ["FarRecallTask"]


class FarRecallTask(Task):
    """An empty memory, the episode's segments, the questions; a new episode in every row."""

    def __init__(self, config: FarRecallConfig, crew: Alone) -> None:
        self._config, self._crew = config, crew
        network = build_rival(config.model, config.network(config.vocabulary))
        self.network: SegmentModel = network.to(crew.device)
        self.model = self.network

    def learn(self, step: int) -> Sums:
        config, crew = self._config, self._crew
        first = (config.seed * config.steps + step) * config.batch
        mine = range(first + crew.rank, first + config.batch, crew.count)
        output, answers, _ = self._asked("training", mine)
        loss = _loss(output, answers).mean()
        (loss + output.extra_loss).backward()  # type: ignore[no-untyped-call]
        self.network.detach()
        return {"loss": loss.item()}

    def measure(self, split: str) -> Sums:
        config, crew = self._config, self._crew
        ages = range(config.gap + 1, config.gap + config.facts + 1)
        sums = {"right": 0.0, "loss": 0.0, "answers": 0.0}
        sums.update({f"{what}_{age}": 0.0 for age in ages for what in ("right", "answers")})
        mine = range(crew.rank, config.held_out, crew.count)
        size = config.share(crew.count)
        for start in range(0, len(mine), size):
            output, answers, age = self._asked(split, mine[start : start + size])
            right = (output.logits.argmax(-1) == answers).double()
            sums["right"] += right.sum().item()
            sums["loss"] += _loss(output, answers).sum().item()
            sums["answers"] += answers.numel()
            for one in ages:
                sums[f"right_{one}"] += right[age == one].sum().item()
                sums[f"answers_{one}"] += (age == one).sum().item()
        return sums

    def metrics(self, sums: Sums) -> dict[str, float]:
        count = sums["answers"]
        found = {"accuracy": sums["right"] / count, "loss": sums["loss"] / count}
        ages = [int(name.removeprefix("right_")) for name in sums if name.startswith("right_")]
        asked = [age for age in ages if sums[f"answers_{age}"]]
        return found | {
            f"accuracy_after_{age}": sums[f"right_{age}"] / sums[f"answers_{age}"] for age in asked
        }

    def _asked(self, split: str, numbers: Sequence[int]) -> tuple[SegmentOutput, Tensor, Tensor]:
        """The network's output at the questions, the answers, and how long ago they were told."""
        made = episodes(self._config, split, numbers)
        segments, questions, answers, ages = (
            torch.from_numpy(one).to(self._crew.device) for one in made
        )
        self.network.reset()
        read_before(self.network, segments.unbind(1))
        return self.network(questions), answers, ages


def _loss(output: SegmentOutput, answers: Tensor) -> Tensor:
    return functional.cross_entropy(output.logits.transpose(1, 2), answers, reduction="none")
