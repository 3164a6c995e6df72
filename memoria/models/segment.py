"""One segment's view of the memory: what it may read, and how much it read of what."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def lifespan_gains(received: Tensor, valid: Tensor, alpha: float) -> Tensor:
    """``w_i / sum_k w_k * |reminded| * alpha``: steps that each reminded engram lives longer.

    A lane that read nothing gains nothing. (Paper, section on lifespan.)

    Args:
        received: attention w [B, R] that each reminded engram got, the mean over layers, heads and
            query positions.
        valid: bool [B, R], false at padding, which counts as no engram.
        alpha: scale.

    Returns:
        Gains in steps, float64 [B, R].
    """
    weight = received.double().masked_fill(~valid, 0.0)
    total = weight.sum(1, keepdim=True)
    share = torch.where(total > 0, weight / total, 0.0)
    return share * valid.sum(1, keepdim=True) * alpha


class Segment:
    """What one segment may read of the memory, and how much it read of what.

    Attributes:
        queries: bool [B, N], whose reading counts (false at padding); None is all.
        lanes: bool [B], which rows read at all: not those of a lane that has just begun a document;
            None is all.
        working: working memory [B, W, D] with gradient; None before there is any.
        reminded: reminded engrams [B, R, D] without gradient, zeros at nulls.
        indices: of the reminded [B, R], as `Memoria.remind` returns them; -1 at nulls.
        gains: steps [B, R] that the reminded gained; None before the segment's end.
        read: the forward pass is over, and what is read again does not count.
        pairs: keys and values [B, W + R, 2 F] of the engrams, where all layers share them.

    Args:
        queries: as the attribute.
        project: makes the pairs of engrams [B, W + R, D]; None where every layer makes its own.
    """

    def __init__(
        self,
        queries: Tensor | None = None,
        project: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.queries = queries
        self.pairs: Tensor | None = None
        self._project = project
        self._engrams: Tensor | None = None
        self.lanes: Tensor | None = None
        self.working: Tensor | None = None
        self._reminded: Tensor | None = None
        self.indices: Tensor | None = None
        self.gains: Tensor | None = None
        self.read = False
        self._received: Tensor | None = None
        self._layers = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to read."""
        return self.working is None

    @property
    def reminds(self) -> bool:
        """Whether the memory brought anything back, if only null engrams."""
        return self.indices is not None and self.indices.shape[1] > 0

    @property
    def reminded(self) -> Tensor:
        """The engrams [B, R, D] that came back; zeros at nulls."""
        assert self._reminded is not None
        return self._reminded

    @property
    def valid(self) -> Tensor:
        """Bool [B, R], false at nulls."""
        assert self.indices is not None
        return self.indices >= 0

    @property
    def working_count(self) -> int:
        """W."""
        return 0 if self.working is None else self.working.shape[1]

    @property
    def engrams(self) -> Tensor:
        """Working memory and reminded engrams [B, W + R, D]."""
        assert self._engrams is not None
        return self._engrams

    @property
    def readable(self) -> Tensor:
        """Bool [B, W + R], false at nulls among `engrams`."""
        valid = self.valid
        return torch.cat((valid.new_ones(len(valid), self.working_count), valid), 1)

    @property
    def working_pairs(self) -> Tensor | None:
        """Of `pairs` those of the working memory [B, W, 2 F]."""
        return None if self.pairs is None else self.pairs[:, : self.working_count]

    @property
    def reminded_pairs(self) -> Tensor | None:
        """Of `pairs` those of the reminded [B, R, 2 F]."""
        return None if self.pairs is None else self.pairs[:, self.working_count :]

    def remember(self, working: Tensor, reminded: Tensor, indices: Tensor) -> None:
        """Let the layers that follow read these engrams."""
        self.working, self.indices = working, indices
        self._reminded = reminded.to(working)
        self._engrams = torch.cat((working, self._reminded), 1)
        if self._project is not None:
            # once, before the layers: checkpointing runs what is in a layer a second time
            self.pairs = self._project(self._engrams)

    def where_read(self, before: Tensor, after: Tensor) -> Tensor:
        """States [B, N, D]: those ``after`` reading in rows that read, else those ``before``."""
        if self.lanes is None:
            return after
        return torch.where(self.lanes[:, None, None], after, before)

    def receive(self, weights: Tensor) -> None:
        """Count a layer's attention ``weights`` [B, N, R], unless it ran again for gradients."""
        if self.read:
            return
        counted = weights.float()
        if self.queries is None:
            mean = counted.mean(1)
        else:
            mask = self.queries.to(counted)
            each = mask.sum(1, keepdim=True).clamp_min(1.0)
            mean = (counted * mask.unsqueeze(2)).sum(1) / each
        self._received = mean if self._received is None else self._received + mean
        self._layers += 1

    @property
    def received(self) -> Tensor | None:
        """Attention that the reminded got, the mean over layers, heads and queries, [B, R]."""
        return None if self._received is None else self._received / self._layers

    def again(self) -> Segment:
        """A segment with the same memory for tokens that follow, without gradient."""
        other = Segment()
        other.read, other.lanes = True, self.lanes
        if self.working is not None and self.indices is not None:
            other.remember(self.working.detach(), self.reminded, self.indices)
            other.pairs = None if self.pairs is None else self.pairs.detach()
        return other
