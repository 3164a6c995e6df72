"""Recall: which engrams a cue brings back (paper, section 3.2; DESIGN 3). It changes nothing.

Short-term engrams by correlation with the cue; long-term engrams by a search that starts from
those, then by correlation. B lanes; positions int64, -1 on the right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from memoria.config import MemoriaConfig
from memoria.core.connections import Connections, Links
from memoria.core.similarity import log_correlation, may_be_nearest
from memoria.core.state import LONGTERM, EngramState, positions_of
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

    longterm: Tensor
    shortterm: Tensor
    longterm_score: Tensor
    shortterm_score: Tensor
    partial: Tensor

    def packed(self) -> tuple[Tensor, Tensor]:
        """Both memories side by side, as `Memoria.remind` returns them.

        Returns:
            (positions, scores) [B, R]: long-term, short-term, then -1 with score 0. One -1 closes
            a lane that is ``partial``.
        """
        positions = torch.cat((self.longterm, self.shortterm), dim=1)
        scores = torch.cat((self.longterm_score, self.shortterm_score), dim=1)
        counts = (positions >= 0).sum(1)
        width = int((counts + self.partial).max())
        order = (positions < 0).to(torch.uint8).argsort(dim=1, stable=True)[:, :width]
        positions, scores = positions.gather(1, order), scores.gather(1, order)
        missing = (0, width - positions.shape[1])
        positions = torch.nn.functional.pad(positions, missing, value=-1)
        scores = torch.nn.functional.pad(scores, missing).masked_fill_(positions < 0, 0.0)
        return positions, scores


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
    lane_ids: Tensor
    reminded: Tensor
    unreminded: Tensor


# Finds candidates for `recall`, which keeps those that correlate best: distinct positions of
# long-term engrams [B, N], ascending.
LongTermSearch = Callable[[SearchContext], Tensor]


def graph_search(context: SearchContext) -> Tensor:
    """Memoria's own `LongTermSearch`: from the entry points along the strongest connections."""
    return _follow_connections(context, _find_entries(context))


def recall(
    state: EngramState,
    connections: Connections,
    config: MemoriaConfig,
    step: int,
    lane_ids: Tensor,
    cue: Tensor | None = None,
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
        again = (shortterm.unsqueeze(2) == longterm.unsqueeze(1)).any(2)
        shortterm = shortterm.masked_fill(again, -1)
    else:
        longterm, longterm_score = shortterm[:, :0], shortterm_score[:, :0]
    longterm, longterm_score = _newest_first(longterm, longterm_score)
    shortterm, shortterm_score = _newest_first(shortterm, shortterm_score)
    return Recalled(longterm, shortterm, longterm_score, shortterm_score, unreminded > 0)


def _select_nearest(
    state: EngramState, cue: Tensor, positions: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """(positions, scores) [B, count] of the best of ``positions`` (ascending); the older of equals.

    Ranked on float32(score - 1): scores end at 0, so this rounds away what the order of summation
    does to float64 and nothing more, and equal vectors tie on every machine.
    """
    count = min(count, positions.shape[1])
    if count == 0:
        return positions[:, :0], torch.zeros_like(positions[:, :0], dtype=torch.float64)
    keys = state.data_at(positions)
    if keys.device.type == "cpu" and positions.shape[1] > 2 * count:
        near = may_be_nearest(cue, keys, positions >= 0, count)
        positions, keys = _keep(near, positions, keys)
    score = log_correlation(cue, keys)
    key = (score - 1.0).clamp_min(_LEAST_KEY).float().masked_fill(positions < 0, -torch.inf)
    best = key.sort(dim=1, descending=True, stable=True).indices[:, :count]
    return positions.gather(1, best), score.gather(1, best)


def _keep(near: Tensor, positions: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """``positions`` [B, N] and ``keys`` [B, N, D] where ``near``, in order, -1 on the right."""
    column = positions_of(near)
    at = column.clamp_min(0)
    positions = positions.gather(1, at).masked_fill_(column < 0, -1)
    return positions, torch.stack([row.index_select(0, i) for row, i in zip(keys, at, strict=True)])


def _find_entries(context: SearchContext) -> Tensor:
    """Entry points into long-term memory, positions [B, E] with repeats and -1."""
    state, config = context.state, context.config
    ties = None
    if config.tie_break == "hash":
        ties = TieRule(config.seed, context.step, context.lane_ids)
    closed = state.types != LONGTERM
    entries = context.connections.strongest(context.reminded, closed, state.ids, ties)
    if config.random_entries == "unreminded":
        draws, most = context.unreminded, int(context.unreminded.max())
    else:
        most = config.random_entries
        draws = torch.full_like(context.unreminded, most)
    if most == 0 or state.capacity == 0:
        return entries
    available = state.longterm_count().unsqueeze(1)
    at_once = max(16, _DRAWS_AT_ONCE // state.lanes)
    for first in range(0, most, at_once):
        number = torch.arange(first, min(most, first + at_once), device=entries.device)
        number = number.expand(state.lanes, -1)
        hashes = hash_keys(config.seed, ENTRY_STREAM, context.step, context.lane_ids, number)
        drawn = state.nth_living(hashes % available.clamp_min(1))
        drawn = drawn.masked_fill((number >= draws.unsqueeze(1)) | (available == 0), -1)
        entries = torch.cat((entries, drawn), dim=1)
        if most > at_once:  # drop repeats, and stop once every long-term engram is an entry
            entries = _distinct(entries)
            if bool(((entries >= 0).sum(1, keepdim=True) >= available).all()):
                break
    return entries


def _follow_connections(context: SearchContext, entries: Tensor) -> Tensor:
    """Positions found by walking from ``entries`` along the strongest connections, ascending."""
    state = context.state
    paths = _distinct(entries)
    closed = (state.types != LONGTERM) | state.mask(paths)
    found = [paths]
    for _ in range(context.config.ltm_search_depth):
        if paths.shape[1] == 0:
            break
        # paths that meet go on as one: from there they would choose alike
        paths = _distinct(context.connections.strongest(paths, closed, state.ids, None))
        closed |= state.mask(paths)
        found.append(paths)
    return _distinct(torch.cat(found, dim=1))


def _distinct(positions: Tensor) -> Tensor:
    """Each of ``positions`` [B, N] once, ascending, -1 on the right of the longest row."""
    last = torch.iinfo(positions.dtype).max
    ordered = positions.masked_fill(positions < 0, last).sort(dim=1).values
    ordered[:, 1:].masked_fill_(ordered[:, 1:] == ordered[:, :-1].clone(), last)
    ordered = ordered.sort(dim=1).values
    width = int((ordered < last).sum(1).max()) if ordered.shape[1] else 0
    ordered = ordered[:, :width]
    return ordered.masked_fill(ordered == last, -1)


def _start_cold(
    state: EngramState, cue: Tensor, stm: Tensor, longterm: Tensor, score: Tensor
) -> tuple[Tensor, Tensor]:
    """Make the oldest engram the reminder of a lane with short-term but no long-term memory."""
    if stm.shape[1] == 0:
        return longterm, score
    cold = (stm[:, 0] >= 0) & (state.longterm_count() == 0)
    if not bool(cold.any()):
        return longterm, score
    oldest = stm[:, :1]
    oldest_score = log_correlation(cue, state.data_at(oldest))
    if longterm.shape[1] == 0:
        longterm = torch.full_like(oldest, -1)
        score = torch.zeros_like(oldest_score)
    longterm, score = longterm.clone(), score.clone()
    longterm[:, 0] = torch.where(cold, oldest[:, 0], longterm[:, 0])
    score[:, 0] = torch.where(cold, oldest_score[:, 0], score[:, 0])
    return longterm, score


def _newest_first(positions: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    positions, order = positions.sort(dim=1, descending=True)
    return positions, score.gather(1, order)
