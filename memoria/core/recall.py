"""Remind: which engrams come back for a working memory (paper, section 3.2; DESIGN 3).

A pure function of the state, their connections and the step number: it changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from memoria.config import MemoriaConfig
from memoria.core.connections import Connections
from memoria.core.similarity import log_correlation, may_be_nearest
from memoria.core.state import LONGTERM, EngramState, positions_of
from memoria.core.ties import ENTRY_STREAM, TieRule, hash_keys

__all__ = ["Recalled", "Search", "graph_search", "recall"]

_DRAWS_AT_ONCE: Final = 2**16  # random entries, at some 800 bytes each; bounds memory
_LEAST_KEY: Final = -3e38  # above float32's lowest, so that the far away still beats padding


@dataclass(frozen=True)
class Recalled:
    """Positions in `EngramState`, newest first, -1 on the right.

    longterm [B, Rl] and shortterm [B, Rs] with their log correlations (float64, same shapes);
    ``partial`` bool [B]: some short-term engram of the lane was not reminded.
    """

    longterm: Tensor
    shortterm: Tensor
    longterm_score: Tensor
    shortterm_score: Tensor
    partial: Tensor

    def packed(self) -> tuple[Tensor, Tensor]:
        """(positions, scores) [B, R]: long-term, short-term, then -1 (score 0).

        One -1 closes a lane of which some short-term engram was not reminded.
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


class Search(Protocol):
    """Finds the long-term engrams of which recall keeps those that correlate best."""

    def __call__(
        self,
        state: EngramState,
        connections: Connections,
        config: MemoriaConfig,
        step: int,
        lane_ids: Tensor,
        shortterm: Tensor,
        unreminded: Tensor,
    ) -> Tensor:
        """Positions [B, N], each once, ascending, -1 on the right.

        From the reminded ``shortterm`` [B, Rs] and the number of ``unreminded`` ones [B].
        """


def graph_search(
    state: EngramState,
    connections: Connections,
    config: MemoriaConfig,
    step: int,
    lane_ids: Tensor,
    shortterm: Tensor,
    unreminded: Tensor,
) -> Tensor:
    """Memoria's own `Search`: from the entry points along the strongest connections."""
    entries = _entries(state, connections, config, step, lane_ids, shortterm, unreminded)
    return _walk(state, connections, entries, config.ltm_search_depth)


def recall(
    state: EngramState,
    connections: Connections,
    config: MemoriaConfig,
    step: int,
    lane_ids: Tensor,
    cue: Tensor | None = None,
    search: Search = graph_search,
) -> Recalled:
    """What ``cue`` [B, W, D] (default: the working memory) brings back."""
    if cue is None:
        cue = state.data_at(state.working())
    stm = state.shortterm()
    shortterm, shortterm_score = _nearest(state, cue, stm, config.num_reminded_stm)
    reminded = (shortterm >= 0).sum(1)
    unreminded = (stm >= 0).sum(1) - reminded
    if config.num_final_ltms:
        found = search(state, connections, config, step, lane_ids, shortterm, unreminded)
        longterm, longterm_score = _nearest(state, cue, found, config.num_final_ltms)
        longterm, longterm_score = _cold_start(state, cue, stm, longterm, longterm_score)
        again = (shortterm.unsqueeze(2) == longterm.unsqueeze(1)).any(2)
        shortterm = shortterm.masked_fill(again, -1)
    else:
        longterm, longterm_score = shortterm[:, :0], shortterm_score[:, :0]
    longterm, longterm_score = _newest_first(longterm, longterm_score)
    shortterm, shortterm_score = _newest_first(shortterm, shortterm_score)
    return Recalled(longterm, shortterm, longterm_score, shortterm_score, unreminded > 0)


def _nearest(
    state: EngramState, cue: Tensor, positions: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """The ``count`` of ``positions`` (ascending, -1 pads) that correlate best; the older of equals.

    Ranked on float32(score - 1): scores end at 0, so this rounds away what the order of summation
    does to float64 and nothing more, and equal vectors tie on every machine.
    """
    count = min(count, positions.shape[1])
    if count == 0:
        return positions[:, :0], torch.zeros_like(positions[:, :0], dtype=torch.float64)
    keys = state.data_at(positions)
    if keys.device.type == "cpu" and positions.shape[1] > 2 * count:
        near = may_be_nearest(cue, keys, positions >= 0, count)
        positions, keys = _only(near, positions, keys)
    score = log_correlation(cue, keys)
    key = (score - 1.0).clamp_min(_LEAST_KEY).float().masked_fill(positions < 0, -torch.inf)
    best = key.sort(dim=1, descending=True, stable=True).indices[:, :count]
    return positions.gather(1, best), score.gather(1, best)


def _only(near: Tensor, positions: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """``positions`` [B, N] and ``keys`` [B, N, D] where ``near``, in order, -1 on the right."""
    column = positions_of(near)
    at = column.clamp_min(0)
    positions = positions.gather(1, at).masked_fill_(column < 0, -1)
    return positions, torch.stack([row.index_select(0, i) for row, i in zip(keys, at, strict=True)])


def _entries(
    state: EngramState,
    connections: Connections,
    config: MemoriaConfig,
    step: int,
    lane_ids: Tensor,
    shortterm: Tensor,
    unreminded: Tensor,
) -> Tensor:
    """Entry points into long-term memory, positions [B, E] with repeats and -1."""
    ties = TieRule(config.seed, step, lane_ids) if config.tie_break == "hash" else None
    closed = state.types != LONGTERM
    entries = connections.strongest(shortterm, closed, state.ids, ties)
    if config.random_entries == "unreminded":
        draws, most = unreminded, int(unreminded.max())
    else:
        most = config.random_entries
        draws = torch.full_like(unreminded, most)
    if most == 0 or state.capacity == 0:
        return entries
    available = state.longterm_count().unsqueeze(1)
    at_once = max(16, _DRAWS_AT_ONCE // state.lanes)
    for first in range(0, most, at_once):
        number = torch.arange(first, min(most, first + at_once), device=entries.device)
        number = number.expand(state.lanes, -1)
        hashes = hash_keys(config.seed, ENTRY_STREAM, step, lane_ids, number)
        drawn = state.nth_living(hashes % available.clamp_min(1))
        drawn = drawn.masked_fill((number >= draws.unsqueeze(1)) | (available == 0), -1)
        entries = torch.cat((entries, drawn), dim=1)
        if most > at_once:  # what was drawn before is no news, and all of them end it
            entries = _distinct(entries)
            if bool(((entries >= 0).sum(1, keepdim=True) >= available).all()):
                break
    return entries


def _walk(state: EngramState, connections: Connections, entries: Tensor, depth: int) -> Tensor:
    """Walk from ``entries`` along the strongest connections; all found, ascending, -1 right."""
    paths = _distinct(entries)
    closed = (state.types != LONGTERM) | state.mask(paths)
    found = [paths]
    for _ in range(depth):
        if paths.shape[1] == 0:
            break
        # paths that meet go on as one: from there they would choose alike
        paths = _distinct(connections.strongest(paths, closed, state.ids, None))
        closed |= state.mask(paths)
        found.append(paths)
    return _distinct(torch.cat(found, dim=1))


def _distinct(positions: Tensor) -> Tensor:
    """Each of ``positions`` [B, N] once, ascending, -1 on the right; as wide as it must be."""
    last = torch.iinfo(positions.dtype).max
    ordered = positions.masked_fill(positions < 0, last).sort(dim=1).values
    ordered[:, 1:].masked_fill_(ordered[:, 1:] == ordered[:, :-1].clone(), last)
    ordered = ordered.sort(dim=1).values
    width = int((ordered < last).sum(1).max()) if ordered.shape[1] else 0
    ordered = ordered[:, :width]
    return ordered.masked_fill(ordered == last, -1)


def _cold_start(
    state: EngramState, cue: Tensor, stm: Tensor, longterm: Tensor, score: Tensor
) -> tuple[Tensor, Tensor]:
    """A lane with short-term but no long-term memory: its oldest engram is the reminder."""
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
