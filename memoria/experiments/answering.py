"""Tasks that read a sequence segment by segment and answer with none of it in sight."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.segment_model import SegmentModel, SegmentOutput, read_before
from memoria.experiments.training import Processes, Sums, Task
from memoria.experiments.training_config import TrainingConfig


@dataclass(frozen=True)
class Examples:
    """A batch of N sequences, each with A questions in its last segment.

    Attributes:
        segments: the segments before it, each int64 [N, S].
        questions: tokens of the last segment, int64 [N, A].
        answers: the right token at each of its positions, -1 where none is asked, int64 [N, A].
        groups: which answers belong to a group that is counted apart, bool [N, A] by name.
    """

    segments: Sequence[Tensor]
    questions: Tensor
    answers: Tensor
    groups: Mapping[str, Tensor] = field(default_factory=dict)


class AnswerTask(Task):
    """Training on such sequences: all segments are read, only the answers are learned from.

    The memory is empty at the start of each batch. Gradients flow through the last segment (and
    through ``unroll`` - 1 before it, for models whose memory carries gradients).

    Args:
        config: settings of the run.
        processes: those that train together.
        vocabulary: number of different tokens.
        held_out: examples of the validation split, and of the test split.
    """

    groups: Sequence[str] = ()  # of answers, counted apart as ``accuracy_GROUP``

    def __init__(
        self, config: TrainingConfig, processes: Processes, vocabulary: int, held_out: int
    ) -> None:
        self.processes = processes
        self._batch, self._held_out = config.share(processes.count), held_out
        network = build_rival(config.model, config.network(vocabulary))
        self.network: SegmentModel = network.to(processes.device)
        self.model = self.network

    @abstractmethod
    def batch(self, step: int) -> Sequence[int]:
        """Numbers of the training examples of ``step``, over all processes."""

    @abstractmethod
    def examples(self, split: str, numbers: Sequence[int]) -> Examples:
        """The examples ``numbers`` of "training", "validation" or "test", on the device."""

    @abstractmethod
    def loss(self, logits: Tensor, answers: Tensor) -> tuple[Tensor, float]:
        """Mean and sum of the cross-entropy of ``logits`` [N, A, V] at ``answers`` [N, A]."""

    def learn(self, step: int) -> Sums:
        processes = self.processes
        examples = self.examples("training", self.batch(step)[processes.rank :: processes.count])
        output = self._answer(examples)
        loss, _ = self.loss(output.logits, examples.answers)
        (loss + output.extra_loss).backward()  # type: ignore[no-untyped-call]
        self.network.detach()
        return {"loss": loss.item()}

    def measure(self, split: str) -> Sums:
        sums = {"right": 0.0, "loss": 0.0, "answers": 0.0}
        sums |= {f"{what}_{name}": 0.0 for name in self.groups for what in ("right", "answers")}
        for numbers in self.processes.shares(self._held_out, self._batch):
            examples = self.examples(split, numbers)
            logits = self._answer(examples).logits
            right = logits.argmax(-1) == examples.answers
            sums["right"] += right.sum().item()
            sums["loss"] += self.loss(logits, examples.answers)[1]
            sums["answers"] += (examples.answers >= 0).sum().item()
            for name, members in examples.groups.items():
                sums[f"right_{name}"] += right[members].sum().item()
                sums[f"answers_{name}"] += members.sum().item()
        return sums

    def metrics(self, sums: Sums) -> dict[str, float]:
        count = sums["answers"]
        asked = [name for name in self.groups if sums[f"answers_{name}"]]
        return {"accuracy": sums["right"] / count, "loss": sums["loss"] / count} | {
            f"accuracy_{name}": sums[f"right_{name}"] / sums[f"answers_{name}"] for name in asked
        }

    def _answer(self, examples: Examples) -> SegmentOutput:
        """Read the examples from an empty memory; the output at their questions."""
        self.network.reset()
        read_before(self.network, examples.segments)
        output: SegmentOutput = self.network(examples.questions)
        return output
