"""Remembered engrams drawn from a store, for experience replay in training. Torch-free."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import ConfigError, InputError
from memoria.store.life import Life, StepTable, fold
from memoria.store.reading import check_lane, open_files
from memoria.store.texts import StoredTexts
from memoria.timeline.engram_type import EngramType

PRIORITIES: Final = ("uniform", "lifespan", "recency")


def sample(
    path: str | os.PathLike[str],
    count: int,
    priority: str = "uniform",
    seed: int = 0,
    lane: int | None = None,
    at: int | str | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """``count`` living engrams drawn without replacement, by their own generator of ``seed``.

    Chances are equal (``uniform``), as the lifespan left (``lifespan``), or as 1 / (1 + age)
    (``recency``). Returns, by name: ``vectors`` float32 [n, D], ``ids``, ``lanes``, ``ages``
    int64, ``types`` uint8, ``lifespans`` float64, ``probability`` float64 (of a single draw), and
    the texts, as UTF-8 ``text_bytes`` with ``text_ends``. Working memory is left out. Raises
    `InputError` for more than there are.
    """
    if priority not in PRIORITIES:
        raise ConfigError(f"priority = {priority!r}: not known", f"one of {', '.join(PRIORITIES)}")
    if not 0 <= seed < 2**63:
        raise ConfigError(f"seed = {seed}: must be from 0 to 2^63 - 1")
    with closing(open_files(path, at)) as files:
        life = fold(files, files.config, StepTable.read(files))
        check_lane(lane, life.lanes)
        chosen = life.types != EngramType.WORKING
        if lane is not None:
            chosen &= life.of_lane(lane)
        living = np.flatnonzero(chosen)
        if not 1 <= count <= len(living):
            raise InputError(f"sample = {count}: must be from 1 to {len(living)}, all that live")
        weights = _weights(life, priority)[living]
        chances = weights / weights.sum()
        drawn = np.random.default_rng(seed).choice(len(living), count, replace=False, p=chances)
        taken = living[drawn]
        ids = life.ids[taken]
        texts = [(text or "").encode() for text in StoredTexts(files).texts(ids)]
        return {
            "vectors": files.vectors(ids),
            "ids": ids,
            "lanes": ids % life.lanes,
            "ages": life.step - life.born[taken],
            "types": life.types[taken],
            "lifespans": life.lifespan()[taken],
            "probability": chances[drawn],
            "text_bytes": np.frombuffer(b"".join(texts), np.uint8),
            "text_ends": np.cumsum([len(text) for text in texts]),
        }


def _weights(life: Life, priority: str) -> npt.NDArray[np.float64]:
    if priority == "lifespan":
        return life.lifespan()
    if priority == "recency":
        age = (life.step - life.born).astype(np.float64)
        return np.reciprocal(1.0 + age)
    return np.ones(len(life.ids))
