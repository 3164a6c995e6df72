"""Which layers of a model read its memory, and in which form.

The authors' form is `PAPER_READERS`; the defaults cost a fraction of it (`benchmarks readers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import initialization

from memoria.errors import ConfigError
from memoria.models.attention import MemoryAttention, ZeroLinear
from memoria.models.hosting import MemoryHost, MemorySettings
from memoria.models.segment import Segment

READERS: Final = ("joint", "separate")

# The form of the authors' released models, of settings: MemoriaGPT2Config(**PAPER_READERS).
PAPER_READERS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "reader_layers": "all",
        "reader": "separate",
        "share_keys": False,
        "reader_width": "full",
        "reader_zero": False,
    }
)


@dataclass(kw_only=True)
class ReaderSettings(MemorySettings):
    """`MemorySettings`, and how layers read the memory; `PAPER_READERS` has the authors' form.

    Attributes:
        reader_layers: which layers read: ``"upper"``, those that can in the upper half of the
            model, ``"all"`` that can, or their numbers, from the end if negative.
        reader: ``"joint"`` attends to working and reminded engrams at once, ``"separate"`` to one
            after the other with the same weights.
        share_keys: make keys and values of the engrams once for all layers.
        reader_width: inner width of a reader: ``"full"``, the hidden size, ``"half"`` of it, or a
            multiple of the heads.
        reader_zero: readers start from zero: at first the model gives what it gives without.
    """

    reader_layers: list[int] | str = "upper"
    reader: str = "joint"
    share_keys: bool = True
    reader_width: int | str = "half"
    reader_zero: bool = True


@dataclass(frozen=True)
class ReaderForm:
    """The form of one reader; the default is the authors'.

    Attributes:
        joint: attend to working and reminded engrams at once.
        width: inner width; None is the hidden size.
        own_keys: make the keys and values oneself, not take those of `SharedKeys`.
        zero: start from zero.
    """

    joint: bool = False
    width: int | None = None
    own_keys: bool = True
    zero: bool = False

    @classmethod
    def of(cls, settings: ReaderSettings, size: int, heads: int) -> ReaderForm:
        """The form that ``settings`` ask for, of a hidden ``size``. Raises `ConfigError`."""
        if settings.reader not in READERS:
            known = " or ".join(map(repr, READERS))
            raise ConfigError(f"reader = {settings.reader!r}: unknown", f"choose {known}")
        width = _width(settings.reader_width, size, heads)
        return cls(settings.reader == "joint", width, not settings.share_keys, settings.reader_zero)


class PreNormReader(nn.Module):
    """``y = x + A(norm_w x, working)``, ``z = y + A(norm_r y, reminded)``, with one attention A.

    A joint one is ``z = x + A(norm x, working and reminded)``.

    Args:
        dimension: D.
        heads: heads of A.
        dropout: share of attention weights dropped in training.
        residual_dropout: share of what is added dropped in training.
        eps: of the layer norms.
        form: joint or not, how wide, from zero or not.
    """

    def __init__(
        self,
        dimension: int,
        heads: int,
        dropout: float = 0.0,
        residual_dropout: float = 0.0,
        eps: float = 1e-5,
        form: ReaderForm = ReaderForm(),
    ) -> None:
        super().__init__()
        self.joint = form.joint
        self.working_norm = nn.LayerNorm(dimension, eps=eps)
        if not form.joint:
            self.reminded_norm = nn.LayerNorm(dimension, eps=eps)
        self.attention = _attention(dimension, heads, dropout, form)
        self.dropout = nn.Dropout(residual_dropout)

    def forward(self, states: Tensor, segment: Segment) -> Tensor:
        """Add what ``states`` [B, N, D] read of the segment's memory: [B, N, D]."""
        if self.joint:
            added = _read_all(self.attention, self.working_norm(states), segment)
            return segment.where_read(states, states + self.dropout(added))
        before = states
        added = self.attention(self.working_norm(states), segment.working, segment.working_pairs)
        states = states + self.dropout(added)
        if segment.reminds:
            added = _read_reminded(self.attention, self.reminded_norm(states), segment)
            states = states + self.dropout(added)
        return segment.where_read(before, states)


class PostNormReader(nn.Module):
    """``y = norm(x + A(x, working))``, ``z = norm(y + A(y, reminded))``, with one A and one norm.

    A lane that is reminded of nothing keeps y. A joint one is ``z = norm(x + A(x, working and
    reminded))``. Arguments as of `PreNormReader`.
    """

    def __init__(
        self,
        dimension: int,
        heads: int,
        dropout: float,
        residual_dropout: float,
        eps: float,
        form: ReaderForm = ReaderForm(),
    ) -> None:
        super().__init__()
        self.joint = form.joint
        self.attention = _attention(dimension, heads, dropout, form)
        self.dropout = nn.Dropout(residual_dropout)
        self.norm = nn.LayerNorm(dimension, eps=eps)

    def forward(self, states: Tensor, segment: Segment) -> Tensor:
        """Let ``states`` [B, N, D] read the segment's memory: [B, N, D]."""
        if self.joint:
            added = _read_all(self.attention, states, segment)
            return segment.where_read(states, self.norm(states + self.dropout(added)))
        before = states
        added = self.attention(states, segment.working, segment.working_pairs)
        states = self.norm(states + self.dropout(added))
        if segment.reminds:
            added = _read_reminded(self.attention, states, segment)
            some = segment.valid.any(1)[:, None, None]
            states = torch.where(some, self.norm(states + self.dropout(added)), states)
        return segment.where_read(before, states)


class SharedKeys(nn.Module):
    """Keys and values [B, N, 2 F] of engrams [B, N, D], the same for all layers."""

    def __init__(self, dimension: int, width: int) -> None:
        super().__init__()
        self.pair = nn.Linear(dimension, 2 * width)

    def forward(self, engrams: Tensor) -> Tensor:
        made: Tensor = self.pair(engrams)
        return made


class ReaderHost(MemoryHost):
    """Mixin of base models: a `MemoryHost` whose layers read in the form of its configuration."""

    form: ReaderForm

    def reading_layers(self, first: int, count: int) -> frozenset[int]:
        """Which of the layers 0 to ``count`` - 1 read; ``first`` is the first that can.

        Raises `ConfigError` for others.
        """
        wanted = self.config.reader_layers
        if wanted == "all":
            return frozenset(range(first, count))
        if wanted == "upper":
            return frozenset(range(max(first, count // 2), count))
        if isinstance(wanted, str):
            message = f"reader_layers = {wanted!r}: unknown"
            raise ConfigError(message, "choose 'upper' or 'all', or name their numbers")
        found = [one + count if one < 0 else one for one in wanted]
        wrong = next((at for at in found if not first <= at < count), None)
        if wrong is not None or not found or len({*found}) < len(found):
            message = f"reader_layers = {list(wanted)}: those that can read are"
            raise ConfigError(f"{message} {first} to {count - 1}", "name at least one, each once")
        return frozenset(found)

    def make_form(self) -> ReaderForm:
        """The form of the readers, with the keys that they share made ready."""
        size = self.config.hidden_size
        form = ReaderForm.of(self.config, size, self.config.num_attention_heads)
        if not form.own_keys:
            # of the readers' name, for what looks for weights of the memory by name
            self.reader = SharedKeys(size, form.width or size)
        return form

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, ZeroLinear):
            initialization.zeros_(module.weight)


def _width(width: int | str, size: int, heads: int) -> int | None:
    """Of a reader: None is the hidden ``size``."""
    if not isinstance(width, str):
        return width
    if width not in ("full", "half"):
        raise ConfigError(f"reader_width = {width!r}: unknown", "choose 'full', 'half' or a number")
    return None if width == "full" else heads * -(-size // (2 * heads))


def _attention(dimension: int, heads: int, dropout: float, form: ReaderForm) -> MemoryAttention:
    return MemoryAttention(dimension, heads, dropout, form.width, form.own_keys, form.zero)


def _read_all(attention: MemoryAttention, queries: Tensor, segment: Segment) -> Tensor:
    """What ``queries`` [B, N, D] read of working memory and reminded engrams at once."""
    added, weights = attention.weighted(
        queries, segment.engrams, segment.readable, segment.pairs, counted=segment.reminds
    )
    if weights is not None:
        segment.receive(weights[:, :, segment.working_count :])
    return added


def _read_reminded(attention: MemoryAttention, queries: Tensor, segment: Segment) -> Tensor:
    """What ``queries`` [B, N, D] read of the reminded engrams."""
    added, weights = attention.weighted(
        queries, segment.reminded, segment.valid, segment.reminded_pairs
    )
    assert weights is not None
    segment.receive(weights)
    return added
