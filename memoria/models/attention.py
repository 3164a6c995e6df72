"""How the layers of a model attend to its memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from memoria.errors import ConfigError
from memoria.models.segment import Segment


class MemoryAttention(nn.Module):
    """``out(softmax(Q K^T / sqrt(D / heads)) V)``: Q of the text, K and V of engrams.

    Unlike in the authors' released code, a null engram gets exactly no weight, a lane without
    engrams gets exactly nothing, and the weights returned are those before dropout.

    Args:
        dimension: D of hidden states and engrams.
        heads: attention heads; divides D.
        dropout: share of attention weights dropped in training.

    Raises:
        ConfigError: ``heads`` does not divide ``dimension``.
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
        """Attend from ``states`` [B, N, D] to the working memory [B, W, D]: [B, N, D]."""
        query, key, value = self._parts(states, working)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self._merged(mixed)

    def weighted(self, states: Tensor, reminded: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Attend to reminded engrams, and tell how much each of them got.

        Args:
            states: queries [B, N, D].
            reminded: engrams [B, R, D].
            valid: bool [B, R], false at null engrams.

        Returns:
            The output [B, N, D], and the weights [B, N, R], the mean over heads, without gradient.
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
    """``y = x + A(norm_w x, working)``, ``z = y + A(norm_r y, reminded)``, with one attention A.

    Args:
        dimension: D.
        heads: heads of A.
        dropout: share of attention weights dropped in training.
        residual_dropout: share of what is added dropped in training.
        eps: of the layer norms.
        zero: start A's last projection at zero, so that a new reader changes nothing.
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
        """Add what ``states`` [B, N, D] read of the segment's memory: [B, N, D]."""
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
    """``y = norm(x + A(x, working))``, ``z = norm(y + A(y, reminded))``, with one A and one norm.

    A lane that is reminded of nothing keeps y. Arguments as of `PreNormReader`.
    """

    def __init__(
        self, dimension: int, heads: int, dropout: float, residual_dropout: float, eps: float
    ) -> None:
        super().__init__()
        self.attention = MemoryAttention(dimension, heads, dropout)
        self.dropout = nn.Dropout(residual_dropout)
        self.norm = nn.LayerNorm(dimension, eps=eps)

    def forward(self, states: Tensor, segment: Segment) -> Tensor:
        """Let ``states`` [B, N, D] read the segment's memory: [B, N, D]."""
        if segment.working is not None:
            states = self.norm(states + self.dropout(self.attention(states, segment.working)))
        if segment.reminds:
            added, weights = self.attention.weighted(states, segment.reminded, segment.valid)
            segment.receive(weights)
            some = segment.valid.any(1)[:, None, None]
            states = torch.where(some, self.norm(states + self.dropout(added)), states)
        return states
