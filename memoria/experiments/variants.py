"""Memoria with parts left out or replaced, to see what each of them does (paper, ablations).

All are `memoria.Memoria` to whoever uses them: same steps, same results' shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor

from memoria.core.memoria import Memoria
from memoria.core.recall import LongTermSearch, SearchContext, graph_search
from memoria.core.state import LONGTERM, positions_of
from memoria.core.ties import TieRule, hash_keys
from memoria.errors import ConfigError

VARIANTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "memoria": "As released: Hebbian connections, a random entry per unreminded engram.",
        "memoria-wm": "Working memory only: nothing older is reminded or kept.",
        "memoria-stm": "Working and short-term memory: nothing long-term is reminded.",
        "memoria-random": "The walk follows random connections instead of Hebbian ones.",
        "memoria-sample": "No walk: as many random long-term engrams as it would have found.",
        "memoria-full": "No walk: the best of all long-term engrams.",
        "memoria-worded": "As the paper words it: no random entries.",
    }
)

_LINK_STREAM: Final = 2  # of the hash; 0 and 1 are the core's
_SAMPLE_STREAM: Final = 3
_HASHED_AT_ONCE: Final = 2**21  # links; bounds memory


def make_memoria(variant: str = "memoria", **settings: Any) -> Memoria:
    """A `Memoria` of the ``variant``; ``settings`` are those of `Memoria`.

    What a variant leaves out wins over the settings. Raises `ConfigError` for an unknown variant.
    """
    if variant not in VARIANTS:
        raise ConfigError(f"variant = {variant!r}: unknown", f"choose one of {', '.join(VARIANTS)}")
    memoria = Memoria(**{**settings, **_LEFT_OUT.get(variant, {})})
    if variant in _SEARCHES:
        memoria.search = _SEARCHES[variant]
    return memoria


class RandomLinks:
    """Connections that never learn: how strongly i and j are connected is a hash of both."""

    def __init__(self, seed: int, lane_ids: Tensor) -> None:
        self._seed, self._lane_ids = seed, lane_ids

    def strongest(
        self, current: Tensor, closed: Tensor, ids: Tensor, ties: TieRule | None
    ) -> Tensor:
        """As `Connections.strongest`."""
        if current.shape[1] == 0 or closed.shape[1] == 0:
            return torch.full_like(current, -1)
        own = ids.gather(1, current.clamp_min(0))
        at_once = max(1, _HASHED_AT_ONCE // closed.numel())
        starts = range(0, own.shape[1], at_once)
        parts = [self._best(own[:, first : first + at_once], closed, ids) for first in starts]
        return torch.cat(parts, dim=1).masked_fill_(current < 0, -1)

    def _best(self, own: Tensor, closed: Tensor, ids: Tensor) -> Tensor:
        """For ids ``own`` [B, P] the open position most strongly connected, -1 without one."""
        lanes, count = own.shape
        source, target = own.unsqueeze(2), ids.unsqueeze(1)
        pair = torch.minimum(source, target) << 32 | torch.maximum(
            source, target
        )  # i to j is j to i
        strength = hash_keys(self._seed, _LINK_STREAM, 0, self._lane_ids, pair.view(lanes, -1))
        shut = (closed.unsqueeze(1) | (source == target)).expand(lanes, count, -1)
        most, choice = strength.view(shut.shape).masked_fill_(shut, -1).max(dim=2)
        return choice.masked_fill_(most < 0, -1)


def _random_walk(context: SearchContext) -> Tensor:
    links = RandomLinks(context.config.seed, context.lane_ids)
    return graph_search(replace(context, connections=links))


def _sample(context: SearchContext) -> Tensor:
    state = context.state
    found = graph_search(context)
    count = (found >= 0).sum(1, keepdim=True)
    seed, lane_ids = context.config.seed, context.lane_ids
    luck = hash_keys(seed, _SAMPLE_STREAM, context.step, lane_ids, state.ids)
    luck.masked_fill_(state.types != LONGTERM, -1)
    order = luck.argsort(dim=1, descending=True, stable=True)[:, : found.shape[1]]
    drawn = order.masked_fill(torch.arange(order.shape[1], device=order.device) >= count, -1)
    return positions_of(state.mask(drawn))


def _everything(context: SearchContext) -> Tensor:
    return positions_of(context.state.types == LONGTERM)


_LEFT_OUT: Final[Mapping[str, dict[str, Any]]] = {
    "memoria-wm": {
        "num_reminded_stm": 0,
        "num_final_ltms": 0,
        "stm_capacity": 0,
        "initial_lifespan": 1.0,
    },
    "memoria-stm": {"num_final_ltms": 0},
    "memoria-worded": {"random_entries": 0},
}
_SEARCHES: Final[Mapping[str, LongTermSearch]] = {
    "memoria-random": _random_walk,
    "memoria-sample": _sample,
    "memoria-full": _everything,
}
