"""What is counted of recognition, at one moment.

- two-choice recognition: of a sentence and its foil the one that is more familiar is said to be
  the one read; the share that is right, a tie as a half (Shepard 1967; Orhan 2023).
- cued recall: how much of a sentence comes back from its first half.
- retention: both, after further steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moment:
    """What was measured after so many further steps.

    Attributes:
        after: steps since the sentences were studied.
        recognition: share told rightly, by kind of foil.
        recalled: cued recall, 0 to 1.
    """

    after: int
    recognition: Mapping[str, float]
    recalled: float


def two_choice(seen: Floats, foil: Floats) -> float:
    """The share of pairs [N] in which the seen is more familiar; ties are guesses."""
    return float(((seen > foil) + 0.5 * (seen == foil)).mean())


def first_half(sentence: str) -> str:
    """The first half of its words."""
    words = sentence.split()
    return " ".join(words[: (len(words) + 1) // 2])


def numbers_of(moments: Sequence[Moment]) -> dict[str, float]:
    """The numbers that a run ends with: of the first moment, and of recognition after each."""
    first = moments[0]
    found = {
        "recognition": first.recognition["new"],
        **{name: value for name, value in first.recognition.items() if name != "new"},
        "recalled": first.recalled,
    }
    for moment in moments[1:]:
        found[f"recognition_after_{moment.after}"] = moment.recognition["new"]
        found[f"recalled_after_{moment.after}"] = moment.recalled
    return found
