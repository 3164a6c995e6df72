"""Memoria with parts left out or replaced, to see what each of them does (paper, ablations).

All are `memoria.Memoria` to whoever uses them: same steps, same results' shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from memoria.core.arrays import Array, ArrayOps
from memoria.core.memoria import Memoria
from memoria.core.recall import LongTermSearch, SearchContext, graph_search
from memoria.core.state import LONGTERM
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

    def __init__(self, seed: int, lane_ids: Array, ops: ArrayOps) -> None:
        self._seed, self._lane_ids, self._ops = seed, lane_ids, ops

    def strongest(self, current: Array, closed: Array, ids: Array, ties: TieRule | None) -> Array:
        """As `Connections.strongest`."""
        ops = self._ops
        if current.shape[1] == 0 or closed.shape[1] == 0:
            return ops.full(current.shape, -1, "int64")
        own = ops.take(ids, current, 0)
        at_once = max(1, _HASHED_AT_ONCE // (closed.shape[0] * closed.shape[1]))
        starts = range(0, own.shape[1], at_once)
        parts = [self._best(own[:, first : first + at_once], closed, ids) for first in starts]
        return ops.fill(ops.concatenate(parts, 1), current < 0, -1)

    def _best(self, own: Array, closed: Array, ids: Array) -> Array:
        """For ids ``own`` [B, P] the open position most strongly connected, -1 without one."""
        ops, source, target = self._ops, own[:, :, None], ids[:, None]
        first = source < target
        low, high = ops.where(first, source, target), ops.where(first, target, source)
        pair = (low << 32) | high  # i to j is j to i
        lanes = own.shape[0]
        keys = pair.reshape(lanes, pair.shape[1] * pair.shape[2])
        strength = hash_keys(self._seed, _LINK_STREAM, 0, self._lane_ids, keys).reshape(pair.shape)
        strength = ops.fill(strength, closed[:, None] | (source == target), -1)
        return ops.fill(ops.argmax(strength), ops.greatest(strength) < 0, -1)


def _random_walk(context: SearchContext) -> Array:
    links = RandomLinks(context.config.seed, context.lane_ids, context.state.ops)
    return graph_search(replace(context, connections=links))


def _sample(context: SearchContext) -> Array:
    state, ops = context.state, context.state.ops
    found = graph_search(context)
    count = (found >= 0).sum(1)[:, None]
    seed, lane_ids = context.config.seed, context.lane_ids
    luck = hash_keys(seed, _SAMPLE_STREAM, context.step, lane_ids, state.ids)
    luck = ops.where(state.types == LONGTERM, luck, -1)
    order = ops.argsort(-luck)[:, : found.shape[1]]
    drawn = ops.where(ops.arange(order.shape[1]) < count, order, -1)
    return ops.columns(state.mask(drawn))


def _everything(context: SearchContext) -> Array:
    return context.state.ops.columns(context.state.types == LONGTERM)


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
