"""How often an answer that was found like this one is one."""

from __future__ import annotations

import numpy as np

from memoria.search.quantized import Floats
from memoria.search.ranked import Ranked
from memoria.search.ranking import Weights


def confidence(found: Ranked, weights: Weights) -> Floats:
    """Of each of the answers, 0 to 1."""
    sure: Floats = np.clip(found.shares, 0, 1)
    return sure
