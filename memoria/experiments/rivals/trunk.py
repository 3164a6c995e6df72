"""The decoder that the rivals share, so that they differ in their memory and in nothing else.

Pre-norm blocks of causal attention with rotary positions and a feed-forward layer; the embedding
is the output layer too. A rival overrides `layer` and `remember`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from memoria.experiments.rivals.config import NoSettings, RivalConfig
from memoria.experiments.rivals.segment_model import (
    MemorySize,
    SegmentModel,
    SegmentOutput,
)


class Attention(nn.Module):
    """Multi-head attention ``out(softmax(Q K^T / sqrt(D / H)) V)``, and its parts for rivals.

    Args:
        hidden: D.
        heads: H.
        dropout: share of attention weights dropped in training.
    """

    def __init__(self, hidden: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(hidden, hidden)
        self.pair = nn.Linear(hidden, 2 * hidden)
        self.out = nn.Linear(hidden, hidden)

    def forward(
        self,
        states: Tensor,
        source: Tensor,
        allowed: Tensor | None = None,
        positions: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Attend from ``states`` to ``source``.

        Args:
            states: queries [B, S, D].
            source: keys and values [B, N, D].
            allowed: bool [B or 1, 1, S or 1, N]; None is all.
            positions: ([S], [N]) of queries and keys; without them the source has no order.

        Returns:
            [B, S, D].
        """
        query, (key, value) = self.queries(states), self.pairs(source)
        if positions is not None:
            query, key = rotated(query, positions[0]), rotated(key, positions[1])
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=allowed, dropout_p=dropout
        )
        return self.joined(mixed)

    def weighed(
        self, states: Tensor, source: Tensor, allowed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `forward` without positions, and the weights [B, H, S, N], 0 where none is allowed."""
        query, (key, value) = self.queries(states), self.pairs(source)
        score = query @ key.transpose(-2, -1) * key.shape[-1] ** -0.5
        if allowed is None:
            weights = score.softmax(-1)
        else:
            weights = score.masked_fill(~allowed, -torch.inf).softmax(-1)
            weights = weights.masked_fill(~allowed.any(-1, keepdim=True), 0.0)
        dropped = functional.dropout(weights, self.dropout, self.training)
        return self.joined(dropped @ value), weights

    def queries(self, states: Tensor) -> Tensor:
        """[B, H, S, D / H]."""
        return split_heads(self.query(states), self.heads)

    def pairs(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, each [B, H, N, D / H]."""
        key, value = self.pair(source).chunk(2, dim=-1)
        return split_heads(key, self.heads), split_heads(value, self.heads)

    def joined(self, mixed: Tensor) -> Tensor:
        """[B, H, S, D / H] to the output [B, S, D]."""
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result


def split_heads(states: Tensor, heads: int) -> Tensor:
    """[B, S, D] to [B, H, S, D / H]."""
    lanes, length, hidden = states.shape
    return states.view(lanes, length, heads, hidden // heads).transpose(1, 2)


class Block(nn.Module):
    """``y = x + SA(n x)``, then ``y + FF(n' y)``."""

    def __init__(self, config: RivalConfig) -> None:
        super().__init__()
        hidden, inner = config.hidden, config.inner
        self.attention_norm = nn.LayerNorm(hidden)
        self.attention = Attention(hidden, config.heads, config.dropout)
        self.feed_norm = nn.LayerNorm(hidden)
        self.feed = nn.Sequential(nn.Linear(hidden, inner), nn.GELU(), nn.Linear(inner, hidden))
        self.dropout = nn.Dropout(config.dropout)

    def attend(
        self,
        states: Tensor,
        real: Tensor | None,
        past: Tensor | None = None,
        past_real: Tensor | None = None,
    ) -> Tensor:
        """Add self-attention: ``x + SA(n [past, x])``, causal.

        Args:
            states: x [B, S, D].
            real: bool [B, S], false at padding.
            past: earlier inputs of this layer [B, P, D].
            past_real: bool [B, P], false where the past holds nothing.

        Returns:
            [B, S, D].
        """
        normed = self.attention_norm(states)
        before = 0 if past is None else past.shape[1]
        source = normed if past is None else torch.cat((self.attention_norm(past), normed), 1)
        place = torch.arange(before + states.shape[1], device=states.device)
        allowed = causal_mask(states, real, before, past_real)
        attended = self.attention(normed, source, allowed, (place[before:], place))
        result: Tensor = states + self.dropout(attended)
        return result

    def fed(self, states: Tensor) -> Tensor:
        """Add the feed-forward layer: ``x + FF(n x)``, [B, S, D]."""
        result: Tensor = states + self.dropout(self.feed(self.feed_norm(states)))
        return result


class Trunk(SegmentModel):
    """Embedding, blocks, norm, logits; a rival overrides `layer`, `begin` and `remember`."""

    def __init__(self, config: RivalConfig) -> None:
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden)
        self.add_memory()
        self.scale_weights()

    def add_memory(self) -> None:
        """Make the rival's own modules, before weights are scaled."""

    def each_layer(self, make: Callable[[], nn.Module]) -> nn.ModuleList:
        """A module of its own for each layer."""
        return nn.ModuleList(make() for _ in range(self.config.layers))

    def scale_weights(self) -> None:
        """Scale linear layers and embeddings to deviation ``config.std``; biases are zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                # torch has filled it from a uniform distribution of known width or a normal one
                with torch.no_grad():
                    module.weight.mul_(self.config.std / module.weight.std().clamp_min(1e-12))
                    if isinstance(module, nn.Linear) and module.bias is not None:
                        module.bias.zero_()

    def forward(self, tokens: Tensor, attention_mask: Tensor | None = None) -> SegmentOutput:
        return self.read(tokens, self.checked_tokens(tokens, attention_mask))

    def read(self, tokens: Tensor, real: Tensor | None) -> SegmentOutput:
        """`forward` after its arguments were checked."""
        states = self.dropout(self.embed(tokens))
        self.extra_loss = states.new_zeros(())
        self.begin(states)
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            states = self.layer(number, block, states, real)
        hidden = self.norm(states)
        self.remember(hidden, real)
        logits = functional.linear(hidden, self.embed.weight)
        return SegmentOutput(logits, hidden, self.extra_loss)

    def begin(self, states: Tensor) -> None:
        """Before the first block, whose input is ``states`` [B, S, D]."""

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        """The states [B, S, D] after block ``number``; ``real`` bool [B, S] is False at padding."""
        return block.fed(block.attend(states, real))

    def remember(self, hidden: Tensor, real: Tensor | None) -> None:
        """After the last block: take ``hidden`` [B, S, D] into memory."""


def causal_mask(
    states: Tensor, real: Tensor | None, before: int = 0, past_real: Tensor | None = None
) -> Tensor:
    """Which positions each may attend to: earlier ones that are real, and itself.

    Args:
        states: [B, S, D], of which only the shape counts.
        real: bool [B, S], false at padding; None where all is real.
        before: remembered vectors in front of the segment (P).
        past_real: bool [B, P], false where they hold nothing; None where all are real.

    Returns:
        bool [B or 1, 1, S, P + S].
    """
    length = states.shape[1]
    allowed = states.new_ones((length, before + length), dtype=torch.bool).tril(before)
    if real is None and past_real is None:
        return allowed.view(1, 1, length, -1)
    real = all_real(states, real)
    if past_real is None:
        past_real = real.new_ones((len(real), before))
    return real_or_itself(allowed, torch.cat((past_real, real), 1))


def real_or_itself(allowed: Tensor, real: Tensor) -> Tensor:
    """``allowed`` [S, N] without positions that are not ``real`` [B, N], but with itself.

    The S positions are the last of the N.
    """
    length, count = allowed.shape
    itself = allowed.new_ones((length, count)).tril(count - length).triu(count - length)
    return (allowed & real.view(len(real), 1, 1, count)) | itself


def rotated(heads: Tensor, positions: Tensor) -> Tensor:
    """Turn ``heads`` [B, H, N, E] by ``positions`` [N]: rotary positions (Su et al. 2021).

    Pair i of E / 2 turns by position * 10000^(-2i / E), so products depend on distances alone.
    """
    half = heads.shape[-1] // 2
    speed = 10_000.0 ** (-torch.arange(half, device=heads.device) / half)
    angle = positions.unsqueeze(1) * speed
    cos, sin = angle.cos().to(heads.dtype), angle.sin().to(heads.dtype)
    first, second = heads[..., :half], heads[..., half:]
    return torch.cat((first * cos - second * sin, first * sin + second * cos), -1)


Past = tuple[Tensor, Tensor]  # states [B, N, D], and bool [B, N]: False where there is nothing


def all_real(states: Tensor, real: Tensor | None) -> Tensor:
    """``real`` [B, N]; all true for None, of the shape of ``states`` [B, N, D]."""
    return states.new_ones(states.shape[:2], dtype=torch.bool) if real is None else real


def newest(past: Past | None, states: Tensor, real: Tensor, count: int) -> tuple[Past, Past]:
    """Append ``states`` [B, N, D] to ``past`` and keep the last ``count`` of each lane.

    Args:
        past: what was kept before; None is nothing.
        states: new vectors.
        real: bool [B, N]; what is not real is kept only where real ones are too few.
        count: how many to keep.

    Returns:
        What is kept, and what is displaced (perhaps [B, 0, D]); real ones on the right, in order.
        Without gradients.
    """
    if past is not None:
        states, real = torch.cat((past[0], states), 1), torch.cat((past[1], real), 1)
    if not bool(real.all()):
        order = real.to(torch.uint8).argsort(dim=1, stable=True)
        states = states.gather(1, order.unsqueeze(2).expand_as(states))
        real = real.gather(1, order)
    first = max(0, states.shape[1] - count)
    states = states.detach()
    return (states[:, first:], real[:, first:]), (states[:, :first], real[:, :first])


class NoMemory(Trunk):
    """The shared decoder alone: each segment as if it were the first. Others match its size."""

    def memory_size(self) -> MemorySize:
        return MemorySize(0, 0)


class UnrolledSettings(NoSettings):
    """What all of these have."""

    unroll: int = Field(4, ge=1, description="Segments through which gradients flow.")


class Unrolled(Trunk):
    """Base of rivals that learn through ``unroll`` segments: gradients are cut only after them."""

    settings_class: type[UnrolledSettings] = UnrolledSettings

    def __init__(self, config: RivalConfig) -> None:
        super().__init__(config)
        self.unroll = self.settings.unroll
        self._age = 0  # segments since gradients were cut

    def forward(self, tokens: Tensor, attention_mask: Tensor | None = None) -> SegmentOutput:
        if self._age >= self.unroll:
            self.detach()
        self._age += 1
        return self.read(tokens, self.checked_tokens(tokens, attention_mask))

    def reset(self) -> None:
        super().reset()
        self._age = 0

    def detach(self) -> None:
        super().detach()
        self._age = 0
