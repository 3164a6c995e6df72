"""Recall: which engrams a cue brings back (paper, section 3.2; DESIGN 3). It changes nothing.

Short-term engrams by correlation with the cue; long-term engrams by a search that starts from
those, then by correlation. B lanes; positions int64, -1 on the right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from memoria.config import MemoriaConfig
from memoria.core.arrays import Array, ArrayOps
from memoria.core.connections import Connections, Links
from memoria.core.similarity import log_correlation, may_be_nearest
from memoria.core.state import LONGTERM, EngramState
from memoria.core.ties import ENTRY_STREAM, TieRule, hash_keys

_DRAWS_AT_ONCE: Final = 2**16  # random entries, at some 800 bytes each; bounds memory
_LEAST_KEY: Final = -3e38  # above float32's lowest, so that the far away still beats padding


@dataclass(frozen=True)
class Recalled:
    """The engrams that a cue brings back, newest first.

    Attributes:
        longterm: positions [B, Rl].
        shortterm: positions [B, Rs].
        longterm_score: log correlation of each with the cue, float64 [B, Rl].
        shortterm_score: the same, float64 [B, Rs].
        partial: whether some short-term engram of the lane was not reminded, bool [B].
    """

    longterm: Array
    shortterm: Array
    longterm_score: Array
    shortterm_score: Array
    partial: Array

    def packed(self, ops: ArrayOps) -> tuple[Array, Array]:
        """Both memories side by side, as `Memoria.remind` returns them.

        Returns:
            (positions, scores) [B, R]: long-term, short-term, then -1 with score 0. One -1 closes
            a lane that is ``partial``.
        """
        positions = ops.concatenate((self.longterm, self.shortterm), 1)
        scores = ops.concatenate((self.longterm_score, self.shortterm_score), 1)
        width = int(((positions >= 0).sum(1) + self.partial).max())
        order = ops.columns(positions >= 0)
        null = ops.full((positions.shape[0], width - order.shape[1]), -1, "int64")
        order = ops.concatenate((order, null), 1)
        return ops.take(positions, order, -1), ops.take(scores, order, 0.0)


@dataclass(frozen=True)
class SearchContext:
    """What a search of long-term memory starts from.

    Attributes:
        state: the engrams.
        connections: how strongly they are connected.
        config: the memory's settings.
        step: steps finished.
        lane_ids: identity of each lane in the hash, int64 [B].
        reminded: positions of the reminded short-term engrams [B, Rs].
        unreminded: number of the other short-term engrams, int64 [B].
    """

    state: EngramState
    connections: Links
    config: MemoriaConfig
    step: int
    lane_ids: Array
    reminded: Array
    unreminded: Array


# Finds candidates for `recall`, which keeps those that correlate best: distinct positions of
# long-term engrams [B, N], ascending.
LongTermSearch = Callable[[SearchContext], Array]


def graph_search(context: SearchContext) -> Array:
    """Memoria's own `LongTermSearch`: from the entry points along the strongest connections."""
    return _follow_connections(context, _find_entries(context))


def recall(
    state: EngramState,
    connections: Connections,
    config: MemoriaConfig,
    step: int,
    lane_ids: Array,
    cue: Array | None = None,
    search: LongTermSearch = graph_search,
) -> Recalled:
    """Engrams that correlate best with a cue, from short-term and from long-term memory.

    Args:
        state, connections, config, step, lane_ids: as in `SearchContext`.
        cue: vectors [B, W, D]; None takes the working memory.
        search: how long-term engrams are found.

    Returns:
        At most ``config.num_reminded_stm`` short-term and ``config.num_final_ltms`` long-term
        engrams of each lane.
    """
    ops = state.ops
    if cue is None:
        cue = state.data_at(state.working())
    stm = state.shortterm()
    shortterm, shortterm_score = _select_nearest(state, cue, stm, config.num_reminded_stm)
    unreminded = (stm >= 0).sum(1) - (shortterm >= 0).sum(1)
    if config.num_final_ltms:
        found = search(
            SearchContext(state, connections, config, step, lane_ids, shortterm, unreminded)
        )
        longterm, longterm_score = _select_nearest(state, cue, found, config.num_final_ltms)
        longterm, longterm_score = _start_cold(state, cue, stm, longterm, longterm_score)
        again = (shortterm[:, :, None] == longterm[:, None]).any(2)
        shortterm = ops.where(again, -1, shortterm)
    else:
        longterm, longterm_score = shortterm[:, :0], shortterm_score[:, :0]
    longterm, longterm_score = _newest_first(state, longterm, longterm_score)
    shortterm, shortterm_score = _newest_first(state, shortterm, shortterm_score)
    return Recalled(longterm, shortterm, longterm_score, shortterm_score, unreminded > 0)


def _select_nearest(
    state: EngramState, cue: Array, positions: Array, count: int
) -> tuple[Array, Array]:
    """(positions, scores) [B, count] of the best of ``positions`` (ascending); the older of equals.

    Ranked on float32(score - 1): scores end at 0, so this rounds away what the order of summation
    does to float64 and nothing more, and equal vectors tie on every machine.
    """
    ops = state.ops
    count = min(count, positions.shape[1])
    if count == 0:
        return positions[:, :0], ops.full((positions.shape[0], 0), 0, "float64")
    keys = state.data_at(positions)
    if positions.shape[1] > 2 * count and ops.is_host:
        near = ops.columns(may_be_nearest(cue, keys, positions >= 0, count, ops))
        positions, keys = ops.take(positions, near, -1), ops.take_rows(keys, near)
    score = log_correlation(cue, keys, ops)
    key = ops.cast(ops.maximum(score - 1.0, _LEAST_KEY), "float32")
    best = ops.argsort(ops.where(positions < 0, math.inf, -key))[:, :count]
    return ops.take(positions, best, -1), ops.take(score, best, 0.0)


def _find_entries(context: SearchContext) -> Array:
    """Entry points into long-term memory, positions [B, E] with repeats and -1."""
    state, config, ops = context.state, context.config, context.state.ops
    ties = None
    if config.tie_break == "hash":
        ties = TieRule(config.seed, context.step, context.lane_ids)
    closed = state.types != LONGTERM
    entries = context.connections.strongest(context.reminded, closed, state.ids, ties)
    if config.random_entries == "unreminded":
        draws, most = context.unreminded, int(context.unreminded.max())
    else:
        most = config.random_entries
        draws = ops.full((state.lanes,), most, "int64")
    if most == 0 or state.capacity == 0:
        return entries
    available = state.longterm_count()[:, None]
    at_once = max(16, _DRAWS_AT_ONCE // state.lanes)
    for first in range(0, most, at_once):
        number = (ops.arange(min(most - first, at_once)) + first)[None]
        hashes = hash_keys(config.seed, ENTRY_STREAM, context.step, context.lane_ids, number)
        drawn = state.nth_living(hashes % ops.maximum(available, 1))
        drawn = ops.fill(drawn, (number >= draws[:, None]) | (available == 0), -1)
        entries = ops.concatenate((entries, drawn), 1)
        if most > at_once:  # drop repeats, and stop once every long-term engram is an entry
            entries = ops.distinct(entries)
            if bool(((entries >= 0).sum(1)[:, None] >= available).all()):
                break
    return entries


def _follow_connections(context: SearchContext, entries: Array) -> Array:
    """Positions found by walking from ``entries`` along the strongest connections, ascending."""
    state, ops = context.state, context.state.ops
    paths = ops.distinct(entries)
    closed = state.types != LONGTERM
    ops.mark(closed, paths)
    found = [paths]
    for _ in range(context.config.ltm_search_depth):
        if paths.shape[1] == 0:
            break
        # paths that meet go on as one: from there they would choose alike
        paths = ops.distinct(context.connections.strongest(paths, closed, state.ids, None))
        ops.mark(closed, paths)
        found.append(paths)
    return ops.distinct(ops.concatenate(found, 1))


def _start_cold(
    state: EngramState, cue: Array, stm: Array, longterm: Array, score: Array
) -> tuple[Array, Array]:
    """Make the oldest engram the reminder of a lane with short-term but no long-term memory."""
    if stm.shape[1] == 0:
        return longterm, score
    ops = state.ops
    cold = (stm[:, 0] >= 0) & (state.longterm_count() == 0)
    if not bool(cold.any()):
        return longterm, score
    oldest = stm[:, :1]
    oldest_score = log_correlation(cue, state.data_at(oldest), ops)
    if longterm.shape[1] == 0:
        longterm = ops.full(oldest.shape, -1, "int64")
        score = ops.full(oldest.shape, 0, "float64")
    longterm, score = ops.copy(longterm), ops.copy(score)
    longterm[:, 0] = ops.where(cold, oldest[:, 0], longterm[:, 0])
    score[:, 0] = ops.where(cold, oldest_score[:, 0], score[:, 0])
    return longterm, score


def _newest_first(state: EngramState, positions: Array, score: Array) -> tuple[Array, Array]:
    """Descending by position."""
    order = state.ops.argsort(-positions)
    return state.ops.take(positions, order, -1), state.ops.take(score, order, 0.0)
