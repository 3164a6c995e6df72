"""How a network's weights recognise sentences that they were trained on, and for how long.

A network learns other sentences, then those to study, ``passes`` times, then others again; each
sentence from an empty memory, so that what it knows of them is in its weights (Orhan 2023). The
sentence with the lower loss is taken for the one studied. Cued recall is the share of the words of
its second half that come, each in its place, when the most likely word follows the first half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memoria.experiments.books import Ints, word_numbers
from memoria.experiments.recognition.config import RecognitionConfig
from memoria.experiments.recognition.foils import FOILS, Studied
from memoria.experiments.recognition.measure import Floats, Moment, first_half, two_choice
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.segment_model import SegmentModel
from memoria.experiments.training import Processes, Sums, Task, batch_order

_BEGIN = 0  # the token before a sentence; words have the others


class RecognitionTask(Task):
    """Language modelling of sentences: others, those to study, others again.

    Args:
        config: of the run.
        processes: those that train together.
        studied: sentences and foils.
    """

    def __init__(self, config: RecognitionConfig, processes: Processes, studied: Studied) -> None:
        self._config, self._processes, self._studied = config, processes, studied
        self._seen, self._other = (self._tokens(one) for one in (studied.seen, studied.other))
        self._study_ends = config.prior + config.study_steps
        network = build_rival(config.model, config.network(config.vocabulary))
        self.network: SegmentModel = network.to(processes.device)
        self.model = self.network
        self.moments: list[Moment] = []
        if not config.prior:
            self._measure_if_due(0)

    def learn(self, step: int) -> Sums:
        self._measure_if_due(step)
        config = self._config
        if config.prior <= step < self._study_ends:
            chosen = batch_order(config.seed, step - config.prior, config.batch, len(self._seen))
            tokens = self._seen[chosen]
        else:
            tokens = self._other[batch_order(config.seed, step, config.batch, len(self._other))]
        each, real, extra = self._losses(tokens)
        mean = (each * real).sum() / real.sum()
        (mean + extra).backward()  # type: ignore[no-untyped-call]
        self.network.reset()
        return {"loss": mean.item()}

    def measure(self, split: str) -> Sums:
        if split == "test":
            self._measure_if_due(self._config.steps)
        return {}

    def metrics(self, sums: Sums) -> dict[str, float]:
        return {}

    def carried(self) -> dict[str, Any]:
        return {
            "moments": [
                [one.after, [one.recognition[kind] for kind in FOILS], one.recalled]
                for one in self.moments
            ]
        }

    def carry(self, state: Mapping[str, Any]) -> None:
        self.moments = [
            Moment(after, dict(zip(FOILS, values, strict=True)), recalled)
            for after, values, recalled in state["moments"]
        ]

    def _measure_if_due(self, step: int) -> None:
        """Measure before the study (as after -1), after it, and after more steps; each once."""
        config = self._config
        due = {config.prior: -1, **{self._study_ends + one: one for one in (0, *config.after)}}
        if step not in due or any(one.after == due[step] for one in self.moments):
            return
        self.network.eval()
        with torch.no_grad():
            seen = self._mean_losses(self._seen)
            recognition = {
                kind: two_choice(-seen, -self._mean_losses(self._tokens(self._studied.foils[kind])))
                for kind in FOILS
            }
            self.moments.append(Moment(due[step], recognition, self._recalled()))
        self.network.train()

    def _tokens(self, sentences: Sequence[str]) -> Ints:
        """Tokens of each sentence, `_BEGIN` before and -1 behind them, [N, S + 1]."""
        length = self._config.segment + 1
        tokens = np.full((len(sentences), length), -1, dtype=np.int64)
        tokens[:, 0] = _BEGIN
        for row, sentence in enumerate(sentences):
            words = word_numbers(sentence.split()[: length - 1], self._config.vocabulary - 1) + 1
            tokens[row, 1 : len(words) + 1] = words
        return tokens

    def _losses(self, tokens: Ints) -> tuple[Tensor, Tensor, Tensor]:
        """Nats of each word [N, S], which of them are words, and what the memory wants to learn."""
        taken = torch.from_numpy(tokens).to(self._processes.device)
        real = taken[:, 1:] >= 0
        self.network.reset()
        output = self.network(taken[:, :-1].clamp_min(0), taken[:, :-1] >= 0)
        each = functional.cross_entropy(
            output.logits.transpose(1, 2), taken[:, 1:].clamp_min(0), reduction="none"
        )
        return each, real, output.extra_loss

    def _mean_losses(self, tokens: Ints) -> Floats:
        found = []
        for at in range(0, len(tokens), self._config.batch):
            each, real, _ = self._losses(tokens[at : at + self._config.batch])
            found.append(((each * real).sum(1) / real.sum(1)).double().cpu().numpy())
        return np.concatenate(found)

    def _recalled(self) -> float:
        """The share of words of second halves that follow the first half, in their places."""
        right = self._seen
        halves = np.array([len(first_half(one).split()) for one in self._studied.seen])
        tokens = right.copy()
        ends = (right[:, 1:] >= 0).sum(1)
        for at in range(1, int(ends.max()) + 1):
            asked = np.flatnonzero((at > halves) & (at <= ends))
            if len(asked):
                taken = torch.from_numpy(tokens[asked, :at].clip(0)).to(self._processes.device)
                self.network.reset()
                best = self.network(taken).logits[:, -1].argmax(-1)
                tokens[asked, at] = best.cpu().numpy()
        places = np.arange(right.shape[1])
        second = (places > halves[:, None]) & (places <= ends[:, None])
        shares = ((tokens == right) & second).sum(1) / second.sum(1)
        return float(shares.mean())
