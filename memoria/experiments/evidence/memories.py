"""Memories that read a conversation and are asked: policies, and a store by ask and remind."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from memoria.backbones import Backbone
from memoria.config import MemoriaConfig
from memoria.experiments.evidence.conversations import Conversation
from memoria.experiments.policies.finding import find_finding, gain_of
from memoria.experiments.policies.keeping import surplus
from memoria.experiments.policies.life import Cue, Floats, Items, Life, unit
from memoria.experiments.policies.policy import Policy, PolicyMemory
from memoria.experiments.policies.scoring import SCORERS
from memoria.store import MemoryStore
from memoria.store.copying import living_ids

STORED: Final = ("ask", "remind")

_Indices = NDArray[np.int64]


class Memory(Protocol):
    """Something that reads a conversation and is asked in between; turns are known by number."""

    def read(self, turns: Sequence[int]) -> None:
        """Read turns together: a step."""
        ...

    def rank(self, question: str, most: int) -> list[int]:
        """Numbers of turns, the best first, at most so many; changes nothing."""
        ...

    def found(self, turns: Sequence[int]) -> None:
        """Let turns have been found: those that still live learn from it."""
        ...

    @property
    def living(self) -> _Indices:
        """Turns that are kept, ascending."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def make_memory(
    policy: Policy,
    conversation: Conversation,
    backbone: Backbone,
    settings: Mapping[str, Any],
    folder: str | os.PathLike[str],
    size: int | None = None,
    seed: int = 0,
) -> Memory:
    """A memory that has read nothing yet.

    Args:
        policy: scored as one of `SCORERS` says, or by ``ask`` (`MemoryStore.ask`) or ``remind``
            (`MemoryStore.peek`, by correlation) in a store.
        conversation: what will be read.
        backbone: what makes vectors; of policies with the date before each turn.
        settings: fields of `MemoriaConfig` for ask and remind, or ``preset``.
        folder: where their store is made.
        size: turns that are kept; None: all, or what the settings keep.
        seed: of what is drawn.
    """
    if policy.scored in STORED:
        return _Stored(policy, conversation, backbone, settings, folder, size, seed)
    return _Scored(policy, conversation, backbone, size, seed)


class _Scored:
    """A policy over the conversation's vectors and words."""

    def __init__(
        self,
        policy: Policy,
        conversation: Conversation,
        backbone: Backbone,
        size: int | None,
        seed: int,
    ) -> None:
        self._turns, self._size = conversation.turns, size
        self._backbone = backbone if SCORERS[policy.scored]().needs.vectors else None
        dated = [f"({one.date}) {one.text}" if one.date else one.text for one in self._turns]
        self._vectors = self._encode(dated)
        self._memory = PolicyMemory(policy, self._vectors.shape[1], seed)

    @property
    def living(self) -> _Indices:
        return self._memory.life.living

    def read(self, turns: Sequence[int]) -> None:
        read = [self._turns[one] for one in turns]
        texts, dates = [one.text for one in read], [one.date for one in read]
        items = Items(self._vectors[turns], texts, [one.time for one in read], dates)
        self._memory.read(items, self._size)

    def rank(self, question: str, most: int) -> list[int]:
        asked = self._encode([question])
        best: list[int] = self._memory.rank(Cue(asked, question), most)[0].tolist()
        return best

    def _encode(self, texts: Sequence[str]) -> Floats:
        if self._backbone is None:
            return np.zeros((len(texts), 1))
        return unit(self._backbone.encode(texts))

    def found(self, turns: Sequence[int]) -> None:
        self._memory.found(np.intersect1d(np.array(turns, np.int64), self.living))

    def close(self) -> None:
        """Nothing is held."""


class _Stored:
    """A real store, stepped session by session.

    Who is kept by ``information`` is kept by the store's own capacity; by any other policy the
    store is told to forget. A `Life` beside it knows what policies look at.
    """

    def __init__(
        self,
        policy: Policy,
        conversation: Conversation,
        backbone: Backbone,
        settings: Mapping[str, Any],
        folder: str | os.PathLike[str],
        size: int | None,
        seed: int,
    ) -> None:
        self._policy, self._size = policy, size
        own = {"capacity": size} if policy.kept == "information" and size is not None else {}
        self._turns, self._backbone = conversation.turns, backbone
        self._vectors = backbone.encode([one.text for one in self._turns])
        self._store = MemoryStore.create(folder, memory_config(backbone, {**settings, **own}))
        self._life = Life(backbone.dimension, seed=seed)
        self._gain = gain_of(policy.found)

    @property
    def living(self) -> _Indices:
        return living_ids(self._store.files)

    def read(self, turns: Sequence[int]) -> None:
        read, vectors = [self._turns[one] for one in turns], self._vectors[turns]
        texts, times = [one.text for one in read], [one.time for one in read]
        self._store.step(vectors, texts=texts, times=times)
        self._store.commit()
        self._life.read(Items(vectors, texts, times))
        self._life.drop(np.setdiff1d(self._life.living, self.living))
        if self._size is not None:
            gone = surplus(self._life, self._policy.kept, self._size)
            if len(gone):
                self._store.forget(gone)
                self._store.commit()
            self._life.drop(gone)
        self._life.end_step()

    def rank(self, question: str, most: int) -> list[int]:
        if self._policy.scored == "ask":
            return self._store.ask(question, top=most).ids
        reminded = self._store.peek(self._backbone.encode([question]))
        ids, scores = reminded.ids[0], reminded.correlation[0]
        order = np.argsort(-np.asarray(scores), kind="stable")
        return [int(ids[at]) for at in order if ids[at] >= 0][:most]

    def found(self, turns: Sequence[int]) -> None:
        ids = np.intersect1d(np.array(turns, np.int64), self.living)
        find_finding(self._policy.found)(self._life, ids)
        if self._gain is not None and len(ids):
            self._store.recall(ids, self._gain)
            self._store.commit()

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
