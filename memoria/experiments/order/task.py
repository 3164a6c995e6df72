"""Networks and the order of segments: which of two does the memory of the excerpt help more?

A network learns to predict words of the books that no pair is of. Then it reads an excerpt, segment
of tokens by segment, and with what it carries it reads each of the two: the clue is by how much
the loss of a segment is below that from an empty memory. What is remembered better is said to be
later or earlier, as pairs for choosing say. A network without memory has a clue of 0: it guesses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from memoria.errors import InputError
from memoria.experiments.books import Book, Ints, word_numbers
from memoria.experiments.order.config import OrderConfig
from memoria.experiments.order.pairs import Pair
from memoria.experiments.order.scoring import Scored
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.segment_model import SegmentModel
from memoria.experiments.training import Processes, Sums, Task

Floats = NDArray[np.float64]

_ROUNDED = 9  # decimals of a clue that count: below are rounding errors of the same loss


class OrderTask(Task):
    """Language modelling of words, with pairs as its test split.

    Args:
        config: of the run.
        processes: those that train together.
        books: with the pairs of each; words behind the ``config.words`` first are learned from.
    """

    def __init__(
        self,
        config: OrderConfig,
        processes: Processes,
        books: Sequence[tuple[Book, Sequence[Pair]]],
    ) -> None:
        self._config, self._processes, self._books = config, processes, books
        numbers = [word_numbers(book.words, config.vocabulary) for book, _ in books]
        self._read = [one[: config.words or None] for one in numbers]
        rest = [one[len(read) :] for one, read in zip(numbers, self._read, strict=True)]
        self._learned = np.concatenate(rest)
        rows, needed = config.batch, config.segment * config.unbroken + 1
        self._length = len(self._learned) // rows
        if self._length < needed:
            raise InputError(
                f"{len(self._learned)} words behind those that are read: {rows} rows of {needed} "
                "are learned from",
                "read fewer words, or give longer books",
            )
        network = build_rival(config.model, config.network(config.vocabulary))
        self.network: SegmentModel = network.to(processes.device)
        self.model = self.network
        self.scored: list[Scored] = []

    def learn(self, step: int) -> Sums:
        config = self._config
        windows = (self._length - 1) // config.segment
        at = step % windows
        if at == 0 or step % config.unbroken == 0:
            self.network.reset()
        rows = np.arange(config.batch)[:, None] * self._length
        places = rows + at * config.segment + np.arange(config.segment + 1)
        tokens = torch.from_numpy(self._learned[places]).to(self._processes.device)
        loss, extra = _losses(self.network, tokens)
        mean = loss.mean()
        (mean + extra).backward()  # type: ignore[no-untyped-call]
        self.network.detach()
        return {"loss": mean.item()}

    def measure(self, split: str) -> Sums:
        if split != "test":
            return {}
        self.scored = []
        for (book, pairs), words in zip(self._books, self._read, strict=True):
            for length in sorted({pair.length for pair in pairs}):
                of_length = [pair for pair in pairs if pair.length == length]
                clues = self._clues(words, of_length)
                self.scored += [
                    Scored(book.name, pair, *map(float, clue))
                    for pair, clue in zip(of_length, clues, strict=True)
                ]
        return {}

    def metrics(self, sums: Sums) -> dict[str, float]:
        return {}

    def carried(self) -> dict[str, Tensor]:
        return self.network.carried()

    def carry(self, state: dict[str, Tensor]) -> None:  # type: ignore[override]
        if state:
            self.network.carry(state)

    def _clues(self, words: Ints, pairs: Sequence[Pair]) -> Floats:
        """By how much the memory of its excerpt helps the segments of each pair, [N, 2]."""
        found = np.zeros((len(pairs), 2))
        numbers = sorted({pair.excerpt for pair in pairs})
        begin = {pair.excerpt: pair.begin for pair in pairs}
        lanes = np.array([begin[number] for number in numbers])
        self.network.reset()
        for at in range(0, pairs[0].length, self._config.segment):
            end = min(at + self._config.segment, pairs[0].length)
            self.network(self._tokens(words, lanes, at, end))
        kept = self.network.carried()
        for bin_ in sorted({pair.bin for pair in pairs}):
            rows = [row for row, pair in enumerate(pairs) if pair.bin == bin_]
            starts = np.array(lanes)
            for side in (0, 1):
                for row in rows:
                    pair = pairs[row]
                    starts[numbers.index(pair.excerpt)] = (pair.first, pair.second)[side]
                helped = self._helped(self._tokens(words, starts, 0, self._config.shown), kept)
                found[rows, side] = [helped[numbers.index(pairs[row].excerpt)] for row in rows]
        return found

    def _helped(self, tokens: Tensor, kept: dict[str, Tensor]) -> Floats:
        """The loss of segments from an empty memory less that with ``kept``, [N]."""
        losses = []
        for state in ({}, kept):
            self.network.reset()
            if state:
                self.network.carry(state)
            losses.append(_losses(self.network, tokens)[0].mean(1).double().cpu().numpy())
        helped: Floats = np.round(losses[0] - losses[1], _ROUNDED)
        return helped

    def _tokens(self, words: Ints, starts: Ints, begin: int, end: int) -> Tensor:
        places = starts[:, None] + np.arange(begin, end)
        return torch.from_numpy(words[places]).to(self._processes.device)


def _losses(network: SegmentModel, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Nats of each token but the first [N, S - 1], and what the memory wants to learn."""
    output = network(tokens[:, :-1])
    each = functional.cross_entropy(output.logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    return each, output.extra_loss
