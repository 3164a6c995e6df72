"""How often an answer that was found like this one is one.

confidence = 1 / (1 + exp(-x)), x = start + bare cos(bare cue) + whole cos(whole cue)
             + share * lexical share + unknown * share of the cue's words that no text has

Raw parts, since scores are relative: they know nothing of a memory that holds no answer. Fitted by
``python -m benchmarks ask_confidence`` to the ten best answers to each question of seven
conversations of LoCoMo, asked of its own conversation and, with half of the weight, of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from memoria.search.quantized import Floats
from memoria.search.ranked import Ranked

UNSURE: Final = 0.05  # of the best answer: below it nothing seems to answer the question


@dataclass(frozen=True)
class Calibration:
    """What each raw part of an answer says of its being one."""

    start: float
    bare: float = 0.0
    whole: float = 0.0
    share: float = 0.0
    unknown: float = 0.0

    def confidence(self, found: Ranked) -> Floats:
        """Of each of the answers, 0 to 1, [k]."""
        bare, whole = found.cosines
        x = self.start + self.bare * bare + self.whole * whole
        x = x + self.share * found.shares + self.unknown * found.unknown
        sure: Floats = (1 / (1 + np.exp(-x))).astype(np.float32)
        return sure


SENTENCE_CALIBRATION: Final = Calibration(-5.13, 1.22, 2.47, 3.39, -2.06)
STATIC_CALIBRATION: Final = Calibration(-4.74, 0.86, 1.79, 3.59, -1.93)
WORDS_CALIBRATION: Final = Calibration(-3.69, share=3.71, unknown=-3.52)
VECTOR_CALIBRATION: Final = Calibration(-4.76, whole=5.51)  # of a question that is a vector
