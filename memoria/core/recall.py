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
from memoria.core.connections import Connections, Links, Walk
from memoria.core.similarity import Cue
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
        partial: whether some short-term engram of the lane was not reminded, bool [B].
        cue: what they were compared with.
    """

    longterm: Array
    shortterm: Array
    partial: Array
    cue: Cue

    def packed(self, ops: ArrayOps) -> Array:
        """Both memories side by side, as `Memoria.remind` returns them.

        Returns:
            Positions [B, R]: long-term, short-term, then -1. One -1 closes a lane that is
            ``partial``.
        """
        positions = ops.concatenate((self.longterm, self.shortterm), 1)
        width = int(((positions >= 0).sum(1) + self.partial).max())
        order = ops.columns(positions >= 0)
        null = ops.full((positions.shape[0], width - order.shape[1]), -1, "int64")
        return ops.take(positions, ops.concatenate((order, null), 1), -1)

    def scores(self, state: EngramState, positions: Array) -> Array:
        """`log_correlation` of the engrams at ``positions`` [B, R] with the cue; 0 where -1."""
        found = self.cue.log_correlation(state.data_at(positions))
        return state.ops.fill(found, positions < 0, 0.0)


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
        cue: vectors [B, W, D]; None takes the working memory, and lanes without any find nothing.
        search: how long-term engrams are found.

    Returns:
        At most ``config.num_reminded_stm`` short-term and ``config.num_final_ltms`` long-term
        engrams of each lane.
    """
    ops = state.ops
    stm, idle = state.shortterm(), None
    if cue is not None:
        asked = Cue(cue, ops)
    else:
        working = state.working()
        vectors, squares = state.vectors.compare(working, state.ids)
        asked = Cue(vectors, ops, squares)
        if working.shape[1]:
            idle = working[:, :1] < 0  # a lane that stands still in this step
            stm = ops.where(idle, -1, stm)
    shortterm = _select_nearest(state, asked, stm, config.num_reminded_stm)
    unreminded = (stm >= 0).sum(1) - (shortterm >= 0).sum(1)
    if config.num_final_ltms:
        found = search(
            SearchContext(state, connections, config, step, lane_ids, shortterm, unreminded)
        )
        found = found if idle is None else ops.where(idle, -1, found)
        longterm = _select_nearest(state, asked, found, config.num_final_ltms)
        longterm = _start_cold(state, stm, longterm)
        again = (shortterm[:, :, None] == longterm[:, None]).any(2)
        shortterm = ops.where(again, -1, shortterm)
    else:
        longterm = shortterm[:, :0]
    newest = _newest_first(ops, longterm), _newest_first(ops, shortterm)
    return Recalled(*newest, unreminded > 0, asked)


def _select_nearest(state: EngramState, cue: Cue, positions: Array, count: int) -> Array:
    """The best ``count`` of ``positions`` [B, N] (ascending), in any order; the older of equals.

    Ranked on float32(score - 1): scores end at 0, so this rounds away what the order of summation
    does to float64 and nothing more, and equal vectors tie on every machine.
    """
    ops = state.ops
    if positions.shape[1] <= count:
        return positions
    if count == 0:
        return positions[:, :0]
    valid = positions >= 0
    keys, squares = state.vectors.compare(positions, state.ids)
    if not ops.is_host:
        order = ops.argsort(ops.where(valid, -_rank_keys(cue, keys), math.inf))
        return ops.take(positions, order[:, :count], -1)
    sure, undecided = cue.split_nearest(keys, squares, valid, count)
    chosen = sure | undecided
    if bool((chosen.sum(1) > count).any()):
        room = (count - sure.sum(1))[:, None]
        at = ops.columns(undecided)
        ranks = -_rank_keys(cue, ops.take_rows(keys, at))
        order = ops.argsort(ops.where(at < 0, math.inf, ranks))
        best = ops.where(ops.arange(at.shape[1]) < room, ops.take(at, order, -1), -1)
        chosen = sure
        ops.mark(chosen, best)
    return ops.take(positions, ops.columns(chosen), -1)


def _rank_keys(cue: Cue, keys: Array) -> Array:
    score = cue.log_correlation(keys)
    return cue.ops.cast(cue.ops.maximum(score - 1.0, _LEAST_KEY), "float32")


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
    state, ops, links = context.state, context.state.ops, context.connections
    paths = ops.distinct(entries)
    closed = state.types != LONGTERM
    walk: Walk | None = getattr(links, "walk", None)
    walked = None if walk is None else walk(paths, closed, context.config.ltm_search_depth)
    if walked is not None:
        return walked
    ops.mark(closed, paths)
    found = [paths]
    for _ in range(context.config.ltm_search_depth):
        if paths.shape[1] == 0:
            break
        # paths that meet go on as one: from there they would choose alike
        paths = ops.distinct(links.strongest(paths, closed, state.ids, None))
        ops.mark(closed, paths)
        found.append(paths)
    return ops.distinct(ops.concatenate(found, 1))


def _start_cold(state: EngramState, stm: Array, longterm: Array) -> Array:
    """Make the oldest engram the reminder of a lane with short-term but no long-term memory."""
    if stm.shape[1] == 0:
        return longterm
    ops = state.ops
    cold = (stm[:, 0] >= 0) & (state.longterm_count() == 0)
    if not bool(cold.any()):
        return longterm
    if longterm.shape[1] == 0:
        longterm = ops.full((state.lanes, 1), -1, "int64")
    longterm = ops.copy(longterm)
    longterm[:, 0] = ops.where(cold, stm[:, 0], longterm[:, 0])
    return longterm


def _newest_first(ops: ArrayOps, positions: Array) -> Array:
    """Descending, -1 last."""
    return -ops.sort(-positions)
