"""Memoria (Park & Bak 2024) on the shared decoder, and the same with parts left out or replaced.

An abstractor makes the working memory from the last segment's final states, without gradient into
them; every block attends to it and then to what it brings back, with one set of weights and a norm
for each. What was attended to lives longer: its share of attention times the number reminded times
``alpha`` steps. The budget is divided as in the paper's sorting task: an eighth is working memory,
a quarter may be short-term, the rest long-term reminders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from memoria.config import MemoriaConfig
from memoria.core.abstractor import Abstractor
from memoria.core.memoria import Memoria
from memoria.experiments.rivals.config import NoSettings, RivalConfig
from memoria.experiments.rivals.segment_model import MemorySize
from memoria.experiments.rivals.trunk import Attention, Block, Trunk, all_real
from memoria.experiments.variants import make_memoria

_MEMORY = "memory."  # begins the names of the memory's own tensors


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
        self._cue: Tensor | None = None

    def add_memory(self) -> None:
        config, count = self.config, self.settings.engrams(self.config)
        hidden = config.hidden
        self.abstractor = Abstractor(count, hidden, self.settings.abstractor_inner or hidden)
        self.recall = self.each_layer(lambda: Attention(hidden, config.heads, config.dropout))
        self.cue_norm = self.each_layer(lambda: nn.LayerNorm(hidden))
        if self.reminds:
            self.recall_norm = self.each_layer(lambda: nn.LayerNorm(hidden))

    def scale_weights(self) -> None:
        super().scale_weights()
        scale_queries(self.abstractor, self.settings.query_scale)

    def begin(self, states: Tensor) -> None:
        self._cue = None
        if "hidden" not in self._carried:
            return
        self._cue = self.abstractor(self._carried["hidden"], self._carried["real"])
        self.memoria.add_working_memory(self._cue.detach())
        reminded, self._indices = self.memoria.remind()
        self._reminded = reminded.to(states)
        self._attention = states.new_zeros(self._indices.shape)

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        states = block.attend(states, real)
        if self._cue is not None:
            recall = self.recall[number]
            assert isinstance(recall, Attention)
            states = states + recall(self.cue_norm[number](states), self._cue)
            if self.reminds and self._reminded.shape[1]:
                there = (self._indices >= 0).view(len(states), 1, 1, -1)
                normed = self.recall_norm[number](states)
                added, weights = recall.weighed(normed, self._reminded, there)
                states = states + added
                self._attention += _share(weights.detach(), real) / self.config.layers
        return block.fed(states)

    def remember(self, hidden: Tensor, real: Tensor | None) -> None:
        if self._cue is not None:
            count = (self._indices >= 0).sum(1, keepdim=True)
            gains = self._attention * count * self.alpha
            self.memoria.adjust_lifespan_and_memories(self._indices, gains)
        self._carried = {"hidden": hidden.detach(), "real": all_real(hidden, real)}

    def reset(self) -> None:
        super().reset()
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
