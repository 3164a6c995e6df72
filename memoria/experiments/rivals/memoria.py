"""Memoria (Park & Bak 2024) on the shared decoder, and the same with parts left out or replaced.

An abstractor makes the working memory from the last segment's final states, without gradient into
them; every block attends to it and then to what it brings back, with one set of weights and a norm
for each. That is the authors' form (``form = "paper"``). The light one, which holds unless named,
attends to both at once, half as wide, with keys and values made once for all blocks, and starts
from zero. What was attended to lives longer: its share of attention times the number reminded times
``alpha`` steps. The budget is divided as in the paper's sorting task: an eighth is working memory,
a quarter may be short-term, the rest long-term reminders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

import torch
from pydantic import Field, PositiveInt, StrictBool, model_validator
from torch import Tensor, nn
from torch.nn import functional

from memoria.config import MemoriaConfig
from memoria.core.abstractor import Abstractor
from memoria.core.memoria import Memoria
from memoria.errors import ConfigError
from memoria.experiments.rivals.config import NoSettings, RivalConfig
from memoria.experiments.rivals.segment_model import MemorySize, SegmentOutput
from memoria.experiments.rivals.trunk import Attention, Block, Trunk, all_real, split_heads
from memoria.experiments.variants import make_memoria
from memoria.timeline.engram_type import EngramType

_MEMORY = "memory."  # begins the names of the memory's own tensors

# How the authors' models read: what ``form = "paper"`` stands for.
PAPER_FORM: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "reader_layers": "all",
        "reader": "separate",
        "share_keys": False,
        "reader_width": "full",
        "reader_zero": False,
    }
)


class MemoriaSettings(NoSettings):
    """Settings of Memoria. Counts are engrams per lane; null takes a share of the budget."""

    working: int | None = Field(None, ge=1, description="Engrams of a segment; memory / 8.")
    reminded_stm: int | None = Field(None, ge=0, description="Short-term reminders; memory / 4.")
    reminded_ltm: int | None = Field(None, ge=0, description="Long-term reminders; the rest.")
    stm_capacity: int | None = Field(None, ge=0, description="Short-term engrams; memory / 2.")
    depth: int = Field(10, ge=0, description="Rounds of the walk through long-term memory.")
    lifespan: float = Field(9.0, gt=0.0, description="Segments that a new engram lives.")
    alpha: float = Field(8.0, ge=0.0, description="Segments that attention can add, on average.")
    abstractor_inner: int | None = Field(None, ge=1, description="Inner width; hidden if null.")
    query_scale: float = Field(
        1.0,
        gt=0.0,
        description="Spread of the abstractor's scores at the start: small makes a segment's "
        "engrams copies of each other, large makes each one a few places. The paper's is "
        "0.02 * sqrt(hidden).",
    )
    diversity: float = Field(
        0.0,
        ge=0.0,
        description="Weight in the loss of the mean squared cosine between a segment's engrams.",
    )
    form: Literal["light", "paper"] = Field(
        "light",
        description="How blocks read, but for what the next five say: paper is the authors' "
        "form, which is all, separate, unshared, full and not from zero.",
    )
    reader_layers: list[int] | Literal["all", "upper"] = Field(
        "all", description="Blocks that read: all, the upper half, or numbers, from the end if < 0."
    )
    reader: Literal["joint", "separate"] = Field(
        "joint", description="Working and reminded engrams at once, or one after the other."
    )
    share_keys: StrictBool = Field(
        True, description="Keys and values of engrams are made once for all blocks."
    )
    reader_width: PositiveInt | Literal["full", "half"] = Field(
        "half", description="Inner width of a reader: the hidden one, half of it, or a number."
    )
    reader_zero: StrictBool = Field(
        True, description="Readers start from zero: at first as without memory."
    )
    unroll: int = Field(
        1,
        ge=1,
        description="Segments through whose engrams gradients flow; at most `segments` of `lm`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _form_is_filled_in(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("form") == "paper":
            return {**PAPER_FORM, **values}
        return values

    def width(self, config: RivalConfig) -> int:
        """Inner width of a reader. Raises `ConfigError` for one that the heads do not divide."""
        named = {"full": config.hidden, "half": config.hidden // 2}
        width = self.reader_width
        found = named[width] if isinstance(width, str) else width
        if found % config.heads:
            message = f"reader_width = {width}: must be a multiple of heads = {config.heads}"
            raise ConfigError(message)
        return found

    def engrams(self, config: RivalConfig) -> int:
        """Engrams of a working memory (W)."""
        return self.working or max(1, config.memory // 8)

    def memoria(self, variant: str, config: RivalConfig) -> Memoria:
        """An empty memory of the ``variant`` within the budget ``config.memory``."""
        budget = config.memory
        shortterm = max(1, budget // 4) if self.reminded_stm is None else self.reminded_stm
        rest = max(0, budget - self.engrams(config) - shortterm)
        return make_memoria(
            variant,
            num_reminded_stm=shortterm,
            num_final_ltms=rest if self.reminded_ltm is None else self.reminded_ltm,
            stm_capacity=budget // 2 if self.stm_capacity is None else self.stm_capacity,
            ltm_search_depth=self.depth,
            initial_lifespan=self.lifespan,
            seed=config.seed,
        )

    def size(self, memory: MemoriaConfig, config: RivalConfig) -> MemorySize:
        """What a layer may attend to with such a ``memory``."""
        attended = self.engrams(config) + memory.num_reminded_stm + memory.num_final_ltms
        kept = None if memory.num_final_ltms else self.engrams(config) + memory.stm_capacity
        return MemorySize(attended, kept)

    def reading_layers(self, count: int) -> frozenset[int]:
        """Which of ``count`` blocks read. Raises `ConfigError` for others."""
        if isinstance(self.reader_layers, str):
            return frozenset(range(0 if self.reader_layers == "all" else count // 2, count))
        found = [one + count if one < 0 else one for one in self.reader_layers]
        if any(not 0 <= at < count for at in found) or not found or len({*found}) < len(found):
            message = f"reader_layers = {self.reader_layers}: there are blocks 0 to {count - 1}"
            raise ConfigError(message, "name at least one, each once")
        return frozenset(found)


class Reader(Attention):
    """The attention with which a block reads, in the form of the settings.

    With ``share_keys`` its source is what the keys and values are already, [B, N, 2 F].
    """

    def __init__(self, config: RivalConfig, settings: MemoriaSettings) -> None:
        super().__init__(config.hidden, config.heads, config.dropout)
        width = settings.width(config)
        if width != config.hidden:
            self.query = nn.Linear(config.hidden, width)
            self.pair = nn.Linear(config.hidden, 2 * width)
            self.out = nn.Linear(width, config.hidden)
        self.is_sharing = settings.share_keys
        if self.is_sharing:
            del self.pair

    def pairs(self, source: Tensor) -> tuple[Tensor, Tensor]:
        if not self.is_sharing:
            return super().pairs(source)
        key, value = source.chunk(2, dim=-1)
        return split_heads(key, self.heads), split_heads(value, self.heads)


def scale_queries(abstractor: Abstractor, scale: float) -> None:
    """Scale the abstractor's queries so that its first attention scores have deviation ``scale``.

    Keys of normed states have components of about 1.
    """
    with torch.no_grad():
        queries = abstractor.query_embeddings
        queries.mul_(scale * queries.shape[2] ** -0.5 / queries.std().clamp_min(1e-12))


class MemoriaTransformer(Trunk):
    """Every block reads the working memory w, then what it reminds of, r, before its feed-forward:

        x <- x + SA(n x),   x <- x + A(n_w x, w),   x <- x + A(n_r x, r),   x <- x + FF(n_f x)

    with one attention A for both, w = abstractor(last states of the segment before), without
    gradient into them. After the segment, reminded engrams gain
    ``share of attention * |reminded| * alpha`` steps (paper, section on lifespan).

    Carries ``hidden`` [B, S, D], ``real`` [B, S] and the tensors of `Memoria.state`.
    """

    variant: ClassVar[str] = "memoria"
    reminds: ClassVar[bool] = True
    settings_class = MemoriaSettings
    settings: MemoriaSettings

    def __init__(self, config: RivalConfig) -> None:
        super().__init__(config)
        self.memoria = self.settings.memoria(self.variant, config)
        self.alpha = self.settings.alpha
        self.unroll = self.settings.unroll
        self._age = 0  # segments since gradients were cut
        self._cue: Tensor | None = None
        self._fresh: list[tuple[int, Tensor]] = []  # local id of the first, engrams with gradient

    def add_memory(self) -> None:
        config, settings = self.config, self.settings
        count, hidden = settings.engrams(config), config.hidden
        self.reading = settings.reading_layers(config.layers)
        self.abstractor = Abstractor(count, hidden, settings.abstractor_inner or hidden)
        self.recall = self._each_reading(lambda: Reader(config, settings))
        self.cue_norm = self._each_reading(lambda: nn.LayerNorm(hidden))
        if self.reminds and settings.reader == "separate":
            self.recall_norm = self._each_reading(lambda: nn.LayerNorm(hidden))
        if settings.share_keys:
            self.shared_pair = nn.Linear(hidden, 2 * settings.width(config))

    def scale_weights(self) -> None:
        super().scale_weights()
        scale_queries(self.abstractor, self.settings.query_scale)
        if self.settings.reader_zero:
            for recall in self.recall:
                assert isinstance(recall, Reader)
                nn.init.zeros_(recall.out.weight)

    def forward(self, tokens: Tensor, attention_mask: Tensor | None = None) -> SegmentOutput:
        if self._age >= self.unroll:
            self.detach()
        self._age += 1
        return super().forward(tokens, attention_mask)

    def begin(self, states: Tensor) -> None:
        self._cue = None
        if "hidden" not in self._carried:
            return
        self._cue = self.abstractor(self._carried["hidden"], self._carried["real"])
        self.memoria.add_working_memory(self._cue.detach())
        reminded, self._indices = self.memoria.remind()
        self._reminded = self._with_gradient(reminded.to(states))
        self._attention = states.new_zeros(self._indices.shape)
        self._working_source, self._reminded_source = self._cue, self._reminded
        if self.settings.share_keys:
            self._working_source = self.shared_pair(self._cue)
            self._reminded_source = self.shared_pair(self._reminded)
        if self.settings.diversity:
            self.extra_loss = self.extra_loss + self.settings.diversity * _likeness(self._cue)

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        states = block.attend(states, real)
        if self._cue is not None and number in self.reading:
            joint = self.settings.reader == "joint"
            read = self._read_joint if joint else self._read_separate
            states = read(sorted(self.reading).index(number), states, real)
        return block.fed(states)

    def _read_separate(self, at: int, states: Tensor, real: Tensor | None) -> Tensor:
        recall = self.recall[at]
        assert isinstance(recall, Reader)
        states = states + recall(self.cue_norm[at](states), self._working_source)
        if self.reminds and self._reminded.shape[1]:
            there = (self._indices >= 0).view(len(states), 1, 1, -1)
            normed = self.recall_norm[at](states)
            added, weights = recall.weighed(normed, self._reminded_source, there)
            states = states + added
            self._attention += _share(weights.detach(), real) / len(self.reading)
        return states

    def _read_joint(self, at: int, states: Tensor, real: Tensor | None) -> Tensor:
        recall = self.recall[at]
        assert isinstance(recall, Reader)
        normed, count = self.cue_norm[at](states), self._working_source.shape[1]
        if not self.reminds:
            alone: Tensor = states + recall(normed, self._working_source)
            return alone
        there = self._indices >= 0
        there = torch.cat((there.new_ones(len(states), count), there), 1)
        source = torch.cat((self._working_source, self._reminded_source), 1)
        added, weights = recall.weighed(normed, source, there.view(len(states), 1, 1, -1))
        share = _share(weights[..., count:].detach(), real)
        # of what went to the reminded, so that gains are those of the separate form
        share = share / share.sum(1, keepdim=True).clamp_min(1e-12)
        self._attention += share / len(self.reading)
        return states + added

    def _with_gradient(self, reminded: Tensor) -> Tensor:
        """``reminded`` [B, R, D], where those of the last segments are what the abstractor made."""
        core = self.memoria.core
        if self.unroll == 1 or core is None or self._cue is None or not torch.is_grad_enabled():
            return reminded
        living = core.ops.columns(core.state.types != EngramType.NULL)
        ids = torch.as_tensor(core.state.at(core.state.ids, living, -1)).to(reminded.device)
        found = ids.gather(1, self._indices.clamp_min(0))
        found = torch.where(self._indices >= 0, found, -1)
        for first, made in self._fresh:
            own = (found >= first) & (found < first + made.shape[1])
            at = (found - first).clamp(0, made.shape[1] - 1).unsqueeze(2)
            live = made.gather(1, at.expand(-1, -1, made.shape[2]))
            reminded = torch.where(own.unsqueeze(2), live.to(reminded), reminded)
        self._fresh.append((core.state.next_id - self._cue.shape[1], self._cue))
        return reminded

    def remember(self, hidden: Tensor, real: Tensor | None) -> None:
        if self._cue is not None:
            count = (self._indices >= 0).sum(1, keepdim=True)
            gains = self._attention * count * self.alpha
            self.memoria.adjust_lifespan_and_memories(self._indices, gains)
        kept = hidden if self.unroll > 1 else hidden.detach()
        self._carried = {"hidden": kept, "real": all_real(hidden, real)}

    def detach(self) -> None:
        super().detach()
        self._fresh, self._age = [], 0

    def _each_reading(self, make: Callable[[], nn.Module]) -> nn.ModuleList:
        return nn.ModuleList(make() for _ in self.reading)

    def reset(self) -> None:
        super().reset()
        self._fresh, self._age = [], 0
        self.memoria.reset_memory()

    def carried(self) -> dict[str, Tensor]:
        memory = {_MEMORY + name: one for name, one in self.memoria.state().items()}
        return {**super().carried(), **memory}

    def carry(self, state: Mapping[str, Tensor]) -> None:
        device = next(self.parameters()).device
        own = {name: one for name, one in state.items() if not name.startswith(_MEMORY)}
        memory = {
            name.removeprefix(_MEMORY): one.to(device)
            for name, one in state.items()
            if name.startswith(_MEMORY)
        }
        super().carry(own)
        self.memoria.load_state(memory)

    def memory_size(self) -> MemorySize:
        return self.settings.size(self.memoria.config, self.config)


def _share(weights: Tensor, real: Tensor | None) -> Tensor:
    """Mean attention over heads and real positions that each of N got: [B, H, S, N] to [B, N]."""
    if real is None:
        return weights.mean((1, 2))
    share = real.to(weights.dtype)
    share = share / share.sum(1, keepdim=True).clamp_min(1.0)
    return torch.einsum("bhsn,bs->bn", weights, share) / weights.shape[1]


def _likeness(engrams: Tensor) -> Tensor:
    """Mean squared cosine between different engrams [B, W, D] of a lane."""
    count = engrams.shape[1]
    if count == 1:
        return engrams.new_zeros(())
    unit = functional.normalize(engrams, dim=-1)
    cosine = (unit @ unit.transpose(1, 2)).square()
    return (cosine.sum((1, 2)) - count).mean() / (count * (count - 1))


class WorkingOnly(MemoriaTransformer):
    """Only what the abstractor makes of the last segment."""

    variant = "memoria-wm"
    reminds = False


class ShortTerm(MemoriaTransformer):
    """Without long-term reminders."""

    variant = "memoria-stm"


class RandomLinked(MemoriaTransformer):
    """Long-term memory searched along random connections."""

    variant = "memoria-random"


class RandomSample(MemoriaTransformer):
    """A random sample of long-term memory as large as the search would have found."""

    variant = "memoria-sample"


class FullSearch(MemoriaTransformer):
    """All of long-term memory searched."""

    variant = "memoria-full"


class WordedRule(MemoriaTransformer):
    """No random entries into long-term memory."""

    variant = "memoria-worded"
