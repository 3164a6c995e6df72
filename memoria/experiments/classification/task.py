"""Training on documents: every segment is asked for the label, knowing what it carries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from memoria.experiments.classification.documents import labelled_documents
from memoria.experiments.classification.experiment import ClassificationConfig
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.pretrained import CLASSIFIERS, Pretrained
from memoria.experiments.rivals.segment_model import SegmentOutput
from memoria.experiments.texts import SPLITS, make_tokens
from memoria.experiments.training import Processes, Sums, Task, batch_order


class ClassificationTask(Task):
    """Every segment of a document is asked for its label; the memory is empty before each batch.

    The loss is the mean over all segments that hold anything of their document. What is measured
    is the answer of the last segment, or the mean of all.
    """

    def __init__(self, config: ClassificationConfig, processes: Processes) -> None:
        self._config, self._processes = config, processes
        documents = labelled_documents(config.data, config.data_seed)
        everything = "\n".join(one.text for one in documents[SPLITS[0]])
        tokens = make_tokens(config.pretrained or config.tokenizer, everything)
        self._labels = sorted({one.label for one in documents[SPLITS[0]]})
        self._start = tokens.start if config.pretrained else None
        self._size = config.segment - (self._start is not None)  # of a segment's own tokens
        most = self._size * config.max_segments
        self._tokens = {
            split: [tokens.encode(one.text)[:most] for one in found]
            for split, found in documents.items()
        }
        self._targets = {
            split: np.array([self._labels.index(one.label) for one in found])
            for split, found in documents.items()
        }
        self.network = _network(config, tokens.size, len(self._labels)).to(processes.device)
        self.model = self.network

    def learn(self, step: int) -> Sums:
        config, processes = self._config, self._processes
        count = len(self._targets[SPLITS[0]])
        chosen = batch_order(config.seed, step, config.batch, count)[
            processes.rank :: processes.count
        ]
        tokens, real, targets = self._batch(SPLITS[0], chosen)
        held = real.any(2)  # [B, segments]
        total = torch.zeros((), device=processes.device)
        pending = torch.zeros((), device=processes.device)
        self.network.reset()
        for number in range(tokens.shape[1]):
            output = self.network(tokens[:, number], real[:, number])
            losses = functional.cross_entropy(output.logits, targets, reduction="none")
            extra = output.extra_loss / tokens.shape[1]
            loss = (losses * held[:, number]).sum() / held.sum() + extra
            total += loss.detach()
            pending = pending + loss
            if self.network.unroll == 1:  # no gradient flows between segments: less to keep
                pending.backward()
                pending = torch.zeros((), device=processes.device)
        if pending.requires_grad:
            pending.backward()  # type: ignore[no-untyped-call]
        self.network.reset()
        return {"loss": total.item()}

    def measure(self, split: str) -> Sums:
        kinds = range(len(self._labels))
        sums = {f"{right} {said}": 0.0 for right in kinds for said in kinds}
        sums |= {"loss": 0.0, "documents": 0.0}
        share = self._config.share(self._processes.count)
        for numbers in self._processes.shares(len(self._targets[split]), share):
            tokens, real, targets = self._batch(split, numbers)
            scores = self._read(tokens, real)
            sums["loss"] += functional.cross_entropy(scores, targets, reduction="sum").item()
            sums["documents"] += len(targets)
            for right, said in zip(targets.tolist(), scores.argmax(1).tolist(), strict=True):
                sums[f"{right} {said}"] += 1
        return sums

    def metrics(self, sums: Sums) -> dict[str, float]:
        kinds = range(len(self._labels))
        hits = [sums[f"{one} {one}"] for one in kinds]
        right = [sum(sums[f"{one} {said}"] for said in kinds) for one in kinds]
        said = [sum(sums[f"{other} {one}"] for other in kinds) for one in kinds]
        scores = [2 * hit / max(1.0, a + b) for hit, a, b in zip(hits, right, said, strict=True)]
        return {
            "macro_f1": sum(scores) / len(scores),
            "accuracy": sum(hits) / sums["documents"],
            "loss": sums["loss"] / sums["documents"],
        }

    def _read(self, tokens: Tensor, real: Tensor) -> Tensor:
        """The scores [B, labels] of whole documents."""
        self.network.reset()
        scores = [self.network(tokens[:, at], real[:, at]).logits for at in range(tokens.shape[1])]
        self.network.reset()
        every = torch.stack(scores, 1)  # [B, segments, labels]
        held = real.any(2)
        if self._config.aggregate == "last":
            last = held.sum(1) - 1
            return every[torch.arange(len(every), device=every.device), last]
        share = held.to(every.dtype).unsqueeze(2)
        return (every.log_softmax(2) * share).sum(1) / share.sum(1)

    def _batch(self, split: str, numbers: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens and which are real, both [B, segments, S], and labels [B]."""
        size = self._size
        chosen = [self._tokens[split][number] for number in numbers]
        segments = max(1, max(-(-len(one) // size) for one in chosen))
        tokens = torch.zeros((len(chosen), segments * size), dtype=torch.int64)
        real = torch.zeros((len(chosen), segments * size), dtype=torch.bool)
        for row, one in enumerate(chosen):
            tokens[row, : len(one)] = torch.from_numpy(one)
            real[row, : max(1, len(one))] = True  # an empty document is one token of padding
        targets = torch.from_numpy(self._targets[split][list(numbers)])
        shape = (len(chosen), segments, size)
        tokens, real = tokens.view(shape), real.view(shape)
        if self._start is not None:
            first = tokens.new_full((*shape[:2], 1), self._start)
            tokens, real = torch.cat((first, tokens), 2), torch.cat((real[:, :, :1], real), 2)
        device = self._processes.device
        return tokens.to(device), real.to(device), targets.to(device)


class _Classifier(nn.Module):
    """A `SegmentModel`, the mean of its states at real tokens, and a linear layer."""

    def __init__(self, config: ClassificationConfig, vocab_size: int, labels: int) -> None:
        super().__init__()
        self.network = build_rival(config.model, config.network(vocab_size))
        self.head = nn.Linear(config.hidden, labels)
        with torch.no_grad():
            self.head.bias.zero_()

    @property
    def unroll(self) -> int:
        """Segments that gradients flow through."""
        return self.network.unroll

    def reset(self) -> None:
        """Forget what was read."""
        self.network.reset()

    def forward(self, tokens: Tensor, real: Tensor) -> SegmentOutput:
        """tokens and real [B, S] to scores of the labels [B, labels]."""
        output = self.network(tokens, real)
        share = real.to(output.hidden.dtype).unsqueeze(2)
        mean = (output.hidden * share).sum(1) / share.sum(1).clamp_min(1.0)
        return SegmentOutput(self.head(mean), mean, output.extra_loss)


def _network(
    config: ClassificationConfig, vocab_size: int, labels: int
) -> _Classifier | Pretrained:
    """The run's network; its weights come from torch's generator, or are pretrained."""
    if config.pretrained is None:
        return _Classifier(config, vocab_size, labels)
    own = {"num_labels": labels, **config.settings.get(config.model, {})}
    return Pretrained(CLASSIFIERS[config.model], config.pretrained, own)
