"""What comes next in a series with days and weeks, by sparse codes and weights of one trial.

    python examples/taxi.py [WEEKS]

The series is made up after the counts of taxi passengers on which HTM was shown: a value each half
hour, with the peaks of working days, other weekends, and noise. What is learned is read once, in
order. The last two weeks are foretold half an hour ahead: the mean of the values that stood at the
end of the ten windows of the past whose codes are the likeliest to come next.
"""

# %% Sparse codes of windows, and weights from each to what came next
from __future__ import annotations

import sys

import numpy as np

from memoria.experiments.policies.sparse_codes import Transitions, sparse_codes

DAY, WEEK = 48, 336  # half hours
WINDOW = 24
FORETOLD = 2 * WEEK
BEST = 10


# %% The series
def passengers(weeks: int, seed: int = 0) -> np.ndarray:
    """Passengers of each half hour, in thousands."""
    draw, time = np.random.default_rng(seed), np.arange(weeks * WEEK)
    hour, day = time % DAY / 2, time // DAY % 7

    def peak(at: float, width: float) -> np.ndarray:
        return np.exp(-(((hour - at + 12) % 24 - 12) ** 2) / (2 * width**2))

    working = 9 * peak(8.5, 1.5) + 11 * peak(18.5, 3) + 4 * peak(13, 2)
    weekend = 3 * peak(14, 4) + 9 * peak(23, 3)
    return 5 + np.where(day < 5, working, weekend) + draw.normal(0, 0.7, len(time))


# %% It is read once, and its end foretold
def errors(weeks: int) -> dict[str, float]:
    """Mean absolute errors of the last two weeks, in thousands."""
    series = passengers(weeks)
    windows = np.lib.stride_tricks.sliding_window_view(series, WINDOW)
    codes = sparse_codes((windows - series[:WEEK].mean()).astype(np.float32))
    ends = series[WINDOW - 1 :]
    transitions = Transitions(codes.shape[1])
    found: dict[str, list[float]] = {"what comes next": [], "a week before": [], "the last": []}
    for at in range(len(codes) - 1):
        if at >= len(codes) - 1 - FORETOLD:
            past = slice(0, at + 1)
            likely = np.argsort(-transitions.likely(codes[at], codes[past]), kind="stable")
            guesses = (ends[past][likely[:BEST]].mean(), ends[at + 1 - WEEK], ends[at])
            for values, guess in zip(found.values(), guesses, strict=True):
                values.append(abs(guess - ends[at + 1]))
        transitions.learn(codes[at], codes[at + 1])
    return {name: float(np.mean(values)) for name, values in found.items()}


# %% How far off each guess is
if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:] if word.isdigit()]
    for name, error in errors(given[0] if given else 6).items():
        print(f"{name:<16} {error:.3f} thousand passengers off")
