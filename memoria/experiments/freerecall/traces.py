"""What a memory keeps of lists of words that it reads one after the other.

Words are vectors drawn at random, so that no word is like another. Of Memoria i leads to j by
P(j fires | i fires) = count(i, j) / count(i, i), as its connections have it; what was forgotten
leads nowhere and has no lifespan left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from memoria.experiments.freerecall.curves import Floats

_DIMENSION: Final = 64  # of a word's vector


@dataclass(frozen=True)
class Traces:
    """What is kept of B lists of L words.

    Attributes:
        links: how strongly word i leads to word j, at most 1, [B, L, L]; 1 where i is j.
        strengths: lifespan left, in standard deviations from the list's mean, [B, L].
    """

    links: Floats
    strengths: Floats


def learn(model: str, lists: int, length: int, settings: Mapping[str, Any], seed: int) -> Traces:
    """The traces that ``model`` has after it read lists of words.

    Args:
        model: "memoria", a memory of which less is left, "nearest", or "tcm".
        lists: B.
        length: L.
        settings: of Memoria, with ``rule``; of tcm its rho, gamma and decay.
        seed: of the words, and of random links.

    Raises:
        ConfigError: a setting is unknown or out of bounds.
    """
    if model == "tcm":
        return _temporal_context(length, settings)
    vectors = np.random.default_rng((seed, 3)).standard_normal((lists, length, _DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    if model == "nearest":
        squared = 2 - 2 * vectors @ vectors.transpose(0, 2, 1)
        return Traces(np.exp(-squared), np.zeros((lists, length)))
    read = _read(vectors.astype(np.float32), settings, seed)
    return _LEFT[model](read, np.random.default_rng((seed, 4)))


def _temporal_context(length: int, settings: Mapping[str, Any]) -> Traces:
    """What the temporal context model keeps of a list (Howard & Kahana 2002; Polyn et al. 2009).

    Context drifts, t_j = rho t_(j-1) + sqrt(1 - rho^2) c_j, with c_j of its own for each word.
    Recalled, word i brings back c_i, which the contexts of the words after it hold, and to a part
    gamma the context it was studied in, which words before it share as well: so i leads to j by
    (1 - gamma) rho^(j - i) sqrt(1 - rho^2) for j > i, and gamma rho^|i - j| for both. Words at the
    beginning get more attention, exp(-(j - 1) decay).
    """
    rho, gamma, decay = (settings[name] for name in ("rho", "gamma", "decay"))
    place = np.arange(length)
    lag = place[None, :] - place[:, None]
    shared = rho ** np.abs(lag)
    links = gamma * shared + (1 - gamma) * np.sqrt(1 - rho**2) * np.where(lag > 0, shared, 0.0)
    np.fill_diagonal(links, 1.0)
    attention = np.exp(-decay * place)
    strengths = (attention - attention.mean()) / max(attention.std(), 1e-9)
    return Traces(links[None], strengths[None])


def _shuffled_links(traces: Traces, rng: np.random.Generator) -> Traces:
    """Each list's links between different words, in random places."""
    links = traces.links.copy()
    apart = ~np.eye(links.shape[1], dtype=bool)
    for of_list in links:
        of_list[apart] = rng.permutation(of_list[apart])
    return replace(traces, links=links)


def _without_links(traces: Traces, rng: np.random.Generator) -> Traces:
    return replace(traces, links=np.broadcast_to(np.eye(traces.links.shape[1]), traces.links.shape))


_LEFT: Final[Mapping[str, Callable[[Traces, np.random.Generator], Traces]]] = {
    "memoria": lambda traces, rng: traces,
    "random": _shuffled_links,
    "none": _without_links,
}


def _read(vectors: Floats, settings: Mapping[str, Any], seed: int) -> Traces:
    """Let Memoria read ``vectors`` [B, L, D], a word a step, each list in a lane of its own."""
    import torch

    from memoria.config import MemoriaConfig
    from memoria.core.memoria import Memoria
    from memoria.experiments.reading import MEMORY_SETTINGS
    from memoria.timeline.gain import parse_rule

    config = MemoriaConfig(**{**settings, "seed": seed})
    rule = parse_rule(config.rule)
    memory = Memoria(layout="dense", **{name: getattr(config, name) for name in MEMORY_SETTINGS})
    lists, length, _ = vectors.shape
    for word in range(length):
        cue = torch.from_numpy(vectors[:, word : word + 1])
        memory.add_working_memory(cue)
        found, indices = memory.remind()
        score = np.exp(-((found - cue) ** 2).sum(2).numpy())
        gains = np.zeros(indices.shape)
        for lane, kept in enumerate((indices >= 0).numpy()):
            gains[lane, kept] = rule.gains(score[lane, kept])
        memory.adjust_lifespan_and_memories(indices, torch.from_numpy(gains))
    core = memory.core
    assert core is not None
    links = np.broadcast_to(np.eye(length), (lists, length, length)).copy()
    left = np.zeros((lists, length))
    living, counts = core.living_positions(), core.connections.counts()
    for lane in range(lists):
        at = living[lane][living[lane] >= 0]
        words = core.state.ids[lane, at]
        count = counts[lane][np.ix_(at, at)]
        links[lane][np.ix_(words, words)] = count / np.maximum(count.diagonal(), 1)[:, None]
        left[lane, words] = core.state.expiry[lane, at] - core.step
    apart = left - left.mean(axis=1, keepdims=True)
    return Traces(links, apart / np.maximum(left.std(axis=1, keepdims=True), 1e-9))
