"""Ways to rank the turns of a conversation for a question."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memoria.backbones import Backbone
from memoria.config import MemoriaConfig
from memoria.experiments.evidence.conversations import Conversation
from memoria.search.languages import find_language
from memoria.search.lexical import bm25
from memoria.search.text_index import TextBatch, TextIndex
from memoria.store import MemoryStore

_Scores = NDArray[np.float64]


class Policy(Protocol):
    """Something that has read a conversation."""

    def rank(self, question: str, most: int) -> list[int]:
        """Numbers of turns, the best first, at most so many."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def make_policy(
    name: str,
    conversation: Conversation,
    backbone: Backbone,
    settings: Mapping[str, Any],
    folder: str | os.PathLike[str],
) -> Policy:
    """The policy of that name, after it has read the conversation.

    Args:
        name: neighbours (cosine of vectors), bm25, hybrid (both, each scaled to 0..1, half and
            half), ask (`MemoryStore.ask`) or remind (`MemoryStore.peek`, by correlation).
        conversation: what is read, session by session.
        backbone: what makes vectors; of neighbours and hybrid with the date before each turn.
        settings: fields of `MemoriaConfig` for ask and remind, or ``preset``.
        folder: where their store is made.
    """
    if name in ("ask", "remind"):
        return _Stored(conversation, backbone, settings, folder, name == "ask")
    return _Scored(
        conversation,
        None if name == "bm25" else backbone,
        name != "neighbours",
    )


class _Scored:
    """Neighbours, BM25, or half of each."""

    def __init__(
        self, conversation: Conversation, backbone: Backbone | None, by_words: bool
    ) -> None:
        turns = conversation.turns
        self._backbone = backbone
        if backbone is not None:
            dated = [f"({one.date}) {one.text}" if one.date else one.text for one in turns]
            self._vectors = _unit(backbone.encode(dated))
        self._index = None
        if by_words:
            count = len(turns)
            self._index = TextIndex(find_language("english"), None, 0)
            times = [-1 if one.time is None else one.time for one in turns]
            self._index.append(
                TextBatch(
                    keys=np.arange(count),
                    texts=[one.text for one in turns],
                    times=np.array(times, np.int64),
                    sources=np.full(count, -1),
                    offsets=np.full(count, -1),
                    speakers=[""] * count,
                    groups=np.arange(count),
                )
            )

    def rank(self, question: str, most: int) -> list[int]:
        parts: list[_Scores] = []
        if self._backbone is not None:
            parts.append(self._vectors @ _unit(self._backbone.encode([question]))[0])
        if self._index is not None:
            parts.append(bm25(self._index, question)[0].astype(np.float64))
        scores = parts[0] if len(parts) == 1 else _scaled(parts[0]) + _scaled(parts[1])
        best: list[int] = np.argsort(-scores, kind="stable")[:most].tolist()
        return best

    def close(self) -> None:
        """Nothing is held."""


class _Stored:
    """A real store, stepped session by session."""

    def __init__(
        self,
        conversation: Conversation,
        backbone: Backbone,
        settings: Mapping[str, Any],
        folder: str | os.PathLike[str],
        asks: bool,
    ) -> None:
        config = memory_config(backbone, settings)
        self._backbone, self._asks = backbone, asks
        self._store = MemoryStore.create(folder, config)
        for _, session in groupby(conversation.turns, key=lambda one: one.session):
            turns = list(session)
            for first in range(0, len(turns), config.wm_length):
                part = turns[first : first + config.wm_length]
                texts = [one.text for one in part]
                self._store.step(
                    backbone.encode(texts), texts=texts, times=[one.time for one in part]
                )
        self._store.commit()

    def rank(self, question: str, most: int) -> list[int]:
        if self._asks:
            return self._store.ask(question, top=most).ids
        reminded = self._store.peek(self._backbone.encode([question]))
        ids, scores = reminded.ids[0], reminded.correlation[0]
        order = np.argsort(-np.asarray(scores), kind="stable")
        return [int(ids[at]) for at in order if ids[at] >= 0][:most]

    def close(self) -> None:
        self._store.close()


def memory_config(backbone: Backbone, settings: Mapping[str, Any]) -> MemoriaConfig:
    """The configuration of a memory of one lane. Raises `ConfigError`."""
    own = {
        "backbone": backbone.name,
        "hidden_dim": backbone.dimension,
        "backbone_options": dict(backbone.options),
        "backbone_fingerprint": backbone.fingerprint,
    }
    return MemoriaConfig.from_values({**settings, **own, "lanes": 1})


def _unit(vectors: NDArray[np.float32]) -> _Scores:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    units: _Scores = vectors / np.maximum(lengths, 1e-12)
    return units


def _scaled(scores: _Scores) -> _Scores:
    """To 0..1."""
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)
