"""Which examples a batch holds, as a function of the seed and the step alone."""

from __future__ import annotations

from typing import Final

import numpy as np

__all__ = ["batch_order"]

_STREAM: Final = 3  # apart from those that make data


def batch_order(seed: int, step: int, batch: int, count: int) -> list[int]:
    """Which of ``count`` examples the batch of ``step`` holds; every epoch is shuffled anew."""
    chosen: list[int] = []
    orders: dict[int, list[int]] = {}
    for place in range(step * batch, (step + 1) * batch):
        epoch, at = divmod(place, count)
        if epoch not in orders:
            orders[epoch] = (
                np.random.default_rng([seed, _STREAM, epoch]).permutation(count).tolist()
            )
        chosen.append(orders[epoch][at])
    return chosen
