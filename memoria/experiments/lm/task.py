"""Training on streams of text: the memory goes on from segment to segment and step to step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memoria.core.memoria import Memoria
from memoria.errors import InputError
from memoria.experiments.lm.experiment import LMConfig
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.operations import steps_of_equal_compute
from memoria.experiments.rivals.pretrained import LANGUAGE_MODELS, Pretrained
from memoria.experiments.rivals.segment_model import SegmentModel
from memoria.experiments.run import Run
from memoria.experiments.texts import SPLITS, make_tokens, text_splits
from memoria.experiments.training import Processes, Sums, Task
from memoria.timeline.history import HistoryManager


class LMTask(Task):
    """Row b of the batch reads part b of the text, which is cut into as many as there are rows.

    A step learns from the next ``segments`` segments of every row; after the last one the text
    begins again. The memory is emptied then, every ``reset_period`` steps, and for validation,
    after which training goes on with what it carried.
    """

    def __init__(self, config: LMConfig, processes: Processes) -> None:
        self._config, self._device = config, processes.device
        texts = text_splits(config.data)
        tokens = make_tokens(config.pretrained or config.tokenizer, texts["training"])
        share = config.share(processes.count)
        own = slice(processes.rank * share, (processes.rank + 1) * share)
        self._streams, self._characters = {}, {}
        for split in SPLITS:
            ids = tokens.encode(texts[split])
            self._streams[split] = self._rows(ids, split)[own]
            self._characters[split] = len(texts[split]) / max(1, len(ids))
        self._histories: list[HistoryManager] = []
        self._windows = self._streams["training"].shape[1] // (config.segment * config.segments)
        network = _network(config, tokens.size)
        if config.equal_compute and isinstance(network, SegmentModel):
            self.steps = steps_of_equal_compute(network, config.steps, config.inner)
        self.network = network.to(processes.device)
        self.model = self.network

    def learn(self, step: int) -> Sums:
        config = self._config
        window = step % self._windows
        if window == 0 or step % config.reset_period == 0:
            self.network.reset()
        first = window * config.segments
        losses: list[Tensor] = []
        for inputs, targets in self._segments("training", first, first + config.segments):
            output = self.network(inputs)
            loss = _loss(output.logits, targets) + output.extra_loss
            losses.append(loss / config.segments)
            if self.network.unroll == 1:  # no gradient flows between segments: less to keep
                losses[-1].backward()  # type: ignore[no-untyped-call]
                losses[-1] = losses[-1].detach()
        total = torch.stack(losses).sum()
        if self.network.unroll > 1:
            total.backward()  # type: ignore[no-untyped-call]
        self.network.detach()
        return {"loss": total.item()}

    def measure(self, split: str) -> Sums:
        config = self._config
        kept = self.network.carried()
        self.network.reset()
        sums = {"loss": 0.0, "tokens": 0.0, "characters": 0.0}
        last = self._streams[split].shape[1] // config.segment
        if config.held_out:
            last = min(last, config.held_out)
        memoria = self._memoria() if config.histories and split == "test" else None
        if memoria is not None:
            memoria.keep_history = True
        for inputs, targets in self._segments(split, 0, last):
            sums["loss"] += self._summed_loss(inputs, targets)
            sums["tokens"] += targets.numel()
        sums["characters"] = sums["tokens"] * self._characters[split]
        if memoria is not None:
            self._histories = list(memoria.history or [])[: config.histories]
            memoria.keep_history = False
        if config.contents and split == "test":
            sums |= self._without_own_memory(split, last)
        self.network.reset()
        if kept:
            self.network.carry(kept)
        return sums

    def metrics(self, sums: Sums) -> dict[str, float]:
        loss = sums["loss"] / sums["tokens"]
        bits = sums["loss"] / math.log(2) / sums["characters"]
        others = ("loss_other", "loss_emptied")
        return {
            "perplexity": math.exp(min(loss, 700.0)),
            "bits_per_character": bits,
            "loss": loss,
            **{name: sums[name] / sums["tokens"] for name in others if name in sums},
        }

    def keep(self, run: Run) -> None:
        if run.writes:
            for row, history in enumerate(self._histories):
                history.save(run.path / f"history-{row}.npz")

    def carried(self) -> dict[str, Any]:
        return dict(self.network.carried())

    def carry(self, state: Mapping[str, Any]) -> None:
        if state:
            self.network.carry(state)

    def _without_own_memory(self, split: str, last: int) -> dict[str, float]:
        """Losses with the memory of the row before, and with none, summed over tokens."""
        sums = {"loss_other": 0.0, "loss_emptied": 0.0}
        neighbour = deepcopy(self.network)
        neighbour.reset()
        for inputs, targets in self._segments(split, 0, last):
            self.network.reset()
            sums["loss_emptied"] += self._summed_loss(inputs, targets)
            self.network.reset()
            if carried := neighbour.carried():
                self.network.carry(carried)
            sums["loss_other"] += self._summed_loss(inputs, targets)
            neighbour(inputs.roll(1, 0))
        return sums

    def _summed_loss(self, inputs: Tensor, targets: Tensor) -> float:
        return _loss(self.network(inputs).logits, targets).item() * targets.numel()

    def _memoria(self) -> Memoria | None:
        """The network's `Memoria`; None for one that has none."""
        memory = getattr(self.network, "memory", None)  # of models of transformers
        found = getattr(self.network if memory is None else memory, "memoria", None)
        return found if isinstance(found, Memoria) else None

    def _rows(self, ids: np.ndarray[Any, np.dtype[np.int64]], split: str) -> Tensor:
        """The text as [batch, T]; one more token than segments take, to be predicted."""
        config = self._config
        length = len(ids) // config.batch
        needed = config.segment * (config.segments if split == "training" else 1) + 1
        if length < needed:
            raise InputError(
                f"data = {config.data!r}: {len(ids)} tokens for {split}, "
                f"{config.batch} rows of {needed} are needed",
                "take more text, a smaller batch or a shorter segment",
            )
        rows: Tensor = torch.from_numpy(ids[: length * config.batch].reshape(config.batch, length))
        return rows

    def _segments(self, split: str, first: int, last: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets [B, S] of the segments first..last - 1."""
        rows, size = self._streams[split], self._config.segment
        for number in range(first, last):
            part = rows[:, number * size : (number + 1) * size + 1].to(self._device)
            if part.shape[1] > 1:
                yield part[:, :-1], part[:, 1:]


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _network(config: LMConfig, vocab_size: int) -> SegmentModel | Pretrained:
    """Fresh from the run's seed, or with the weights that ``config.pretrained`` names."""
    if config.pretrained is None:
        return build_rival(config.model, config.network(vocab_size))
    own = config.settings.get(config.model, {})
    return Pretrained(LANGUAGE_MODELS[config.model], config.pretrained, own)
