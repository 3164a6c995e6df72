"""A fresh life to look at: a memory that reads a text."""

from __future__ import annotations

import numpy as np
import torch

from memoria.analysis import Chronicle
from memoria.config import MemoriaConfig
from memoria.core.similarity import log_correlation
from memoria.experiments.passages import Passages, Stream
from memoria.experiments.reading_config import MEMORY_SETTINGS
from memoria.experiments.variants import make_memoria
from memoria.io.progress import Progress, no_progress
from memoria.timeline.gain import parse_rule

__all__ = ["read_life"]


def read_life(
    config: MemoriaConfig,
    variant: str,
    passages: Passages,
    stream: Stream,
    progress: Progress = no_progress,
) -> Chronicle:
    """The life of a ``variant`` of Memoria that reads ``stream``; gains follow ``config.rule``."""
    settings = {name: getattr(config, name) for name in MEMORY_SETTINGS}
    memory = make_memoria(variant, keep_history=True, layout="dense", **settings)
    rule = parse_rule(config.rule)
    for step, chosen in enumerate(stream.read, 1):
        cue = torch.from_numpy(passages.vectors[chosen]).unsqueeze(0)
        memory.add_working_memory(cue)
        found, indices = memory.remind()
        kept = indices[0] >= 0
        gains = torch.zeros(indices.shape, dtype=torch.float64)
        score = log_correlation(cue, found[:, kept])[0].exp().numpy()
        gains[0, kept] = torch.from_numpy(np.asarray(rule.gains(score)))
        memory.adjust_lifespan_and_memories(indices, gains)
        progress(step, len(stream.read))
    assert memory.history is not None
    return Chronicle.of_history(memory.history)
