"""The attention with which a layer reads the memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from memoria.errors import ConfigError


class MemoryAttention(nn.Module):
    """``out(softmax(Q K^T / sqrt(D / heads)) V)``: Q of the text, K and V of engrams.

    Unlike in the authors' released code, a null engram gets exactly no weight, a lane without
    engrams gets exactly nothing, and the weights returned are those before dropout.

    Args:
        dimension: D of hidden states and engrams.
        heads: attention heads; divides the width.
        dropout: share of attention weights dropped in training.
        width: F of queries, keys and values; None is D.
        own_keys: whether keys and values are made here, or given.
        zero: start the last projection at zero, so that nothing is read at first.

    Raises:
        ConfigError: ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        dimension: int,
        heads: int,
        dropout: float = 0.0,
        width: int | None = None,
        own_keys: bool = True,
        zero: bool = False,
    ) -> None:
        super().__init__()
        wide = dimension if width is None else width
        if heads < 1 or wide < 1 or wide % heads:
            what = "the hidden size" if width is None else "reader_width ="
            raise ConfigError(f"heads = {heads}: must divide {what} {wide}")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(dimension, wide)
        self.pair = nn.Linear(dimension, 2 * wide) if own_keys else None
        self.out = ZeroLinear(wide, dimension) if zero else nn.Linear(wide, dimension)

    def forward(self, states: Tensor, working: Tensor, pairs: Tensor | None = None) -> Tensor:
        """Attend from ``states`` [B, N, D] to the working memory [B, W, D]: [B, N, D].

        ``pairs`` [B, W, 2 F] are its keys and values where they are not made here.
        """
        query, key, value = self._parts(states, working, pairs)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self._merged(mixed)

    def weighted(
        self,
        states: Tensor,
        engrams: Tensor,
        valid: Tensor,
        pairs: Tensor | None = None,
        counted: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend to engrams of which some are null, and tell how much each of them got.

        Args:
            states: queries [B, N, D].
            engrams: [B, R, D].
            valid: bool [B, R], false at null engrams.
            pairs: their keys and values [B, R, 2 F] where they are not made here.
            counted: whether the weights are wanted.

        Returns:
            The output [B, N, D], and the weights [B, N, R], the mean over heads, without gradient;
            None unless ``counted``.
        """
        query, key, value = self._parts(states, engrams, pairs)
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        null = ~valid[:, None, None]
        scores = scores.masked_fill(null, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1).masked_fill(null, 0.0)
        mixed = functional.dropout(weights, self.dropout, self.training) @ value
        some = valid.any(1)[:, None, None].to(states.dtype)
        return self._merged(mixed) * some, weights.detach().mean(1) if counted else None

    def _parts(
        self, states: Tensor, engrams: Tensor, pairs: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        if self.pair is not None:
            pairs = self.pair(engrams)
        assert pairs is not None
        key, value = pairs.chunk(2, dim=-1)
        return self._split(self.query(states)), self._split(key), self._split(value)

    def _split(self, states: Tensor) -> Tensor:
        lanes, length, wide = states.shape
        return states.reshape(lanes, length, self.heads, wide // self.heads).transpose(1, 2)

    def _merged(self, mixed: Tensor) -> Tensor:
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return merged


class ZeroLinear(nn.Linear):
    """A linear layer without weights at first: ``reset_parameters`` makes it zero."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
