"""How the layers of a model attend to its memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from memoria.errors import ConfigError
from memoria.models.segment import Segment

__all__ = ["MemoryAttention", "PostNormReader", "PreNormReader"]


class MemoryAttention(nn.Module):
    """``softmax(Q K^T / sqrt(D / heads)) V``, queries from the text, keys and values from engrams.

    Unlike in the authors' released code, a null engram gets exactly no weight, a lane without
    engrams gets exactly nothing, and the weights that are handed out are those before dropout.
    """

    def __init__(self, dimension: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or dimension % heads:
            raise ConfigError(f"heads = {heads}: must divide the hidden size {dimension}")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(dimension, dimension)
        self.pair = nn.Linear(dimension, 2 * dimension)
        self.out = nn.Linear(dimension, dimension)

    def forward(self, states: Tensor, working: Tensor) -> Tensor:
        """What ``states`` [B, N, D] read of the working memory [B, W, D]."""
        query, key, value = self._parts(states, working)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self._merged(mixed)

    def weighted(self, states: Tensor, reminded: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """What ``states`` read of ``reminded`` [B, R, D] where ``valid`` [B, R], and the weights.

        The weights [B, N, R] are the mean over heads, without gradient.
        """
        query, key, value = self._parts(states, reminded)
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        null = ~valid[:, None, None]
        scores = scores.masked_fill(null, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1).masked_fill(null, 0.0)
        mixed = functional.dropout(weights, self.dropout, self.training) @ value
        some = valid.any(1)[:, None, None].to(states.dtype)
        return self._merged(mixed) * some, weights.detach().mean(1)

    def _parts(self, states: Tensor, engrams: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        key, value = self.pair(engrams).chunk(2, dim=-1)
        return self._split(self.query(states)), self._split(key), self._split(value)

    def _split(self, states: Tensor) -> Tensor:
        lanes, length, dimension = states.shape
        return states.view(lanes, length, self.heads, dimension // self.heads).transpose(1, 2)

    def _merged(self, mixed: Tensor) -> Tensor:
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return merged


class PreNormReader(nn.Module):
    """``x + A(norm_w(x), working)``, then ``x + A(norm_r(x), reminded)``: one attention A for both.

    ``zero`` makes the last projection start at zero, so that a reader changes nothing at first.
    """

    def __init__(
        self,
        dimension: int,
        heads: int,
        dropout: float = 0.0,
        residual_dropout: float = 0.0,
        eps: float = 1e-5,
        zero: bool = False,
    ) -> None:
        super().__init__()
        self.working_norm = nn.LayerNorm(dimension, eps=eps)
        self.reminded_norm = nn.LayerNorm(dimension, eps=eps)
        self.attention = MemoryAttention(dimension, heads, dropout)
        self.dropout = nn.Dropout(residual_dropout)
        if zero:
            nn.init.zeros_(self.attention.out.weight)
            nn.init.zeros_(self.attention.out.bias)

    def forward(self, states: Tensor, segment: Segment) -> Tensor:
        """States [B, N, D] with what they read of the memory added."""
        if segment.working is not None:
            added = self.attention(self.working_norm(states), segment.working)
            states = states + self.dropout(added)
        if segment.reminds:
            normed = self.reminded_norm(states)
            added, weights = self.attention.weighted(normed, segment.reminded, segment.valid)
            segment.receive(weights)
            states = states + self.dropout(added)
        return states


class PostNormReader(nn.Module):
    """``norm(x + A(x, working))``, then ``norm(x + A(x, reminded))``: one block for both.

    States of a lane that is reminded of nothing skip the second as they are.
    """

    def __init__(
        self, dimension: int, heads: int, dropout: float, residual_dropout: float, eps: float
    ) -> None:
        super().__init__()
        self.attention = MemoryAttention(dimension, heads, dropout)
        self.dropout = nn.Dropout(residual_dropout)
        self.norm = nn.LayerNorm(dimension, eps=eps)

    def forward(self, states: Tensor, segment: Segment) -> Tensor:
        """States [B, N, D] after both."""
        if segment.working is not None:
            states = self.norm(states + self.dropout(self.attention(states, segment.working)))
        if segment.reminds:
            added, weights = self.attention.weighted(states, segment.reminded, segment.valid)
            segment.receive(weights)
            some = segment.valid.any(1)[:, None, None]
            states = torch.where(some, self.norm(states + self.dropout(added)), states)
        return states
