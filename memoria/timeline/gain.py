"""Lifespan rules: how many steps each reminded engram gains when no model says so.

Torch-free, so that a configuration can be checked without loading a tensor library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from memoria.errors import ConfigError

_HINT: Final = "give 'uniform:X' or 'correlation:ALPHA', such as uniform:5 or correlation:8"


@dataclass(frozen=True, slots=True)
class LifespanRule:
    """``uniform``: every reminded engram gains ``amount``.

    ``correlation``: engram i of the N reminded in a lane gains ``w_i / sum(w) * N * amount`` with
    ``w = softmax(correlation)`` (paper, section on lifespan; there w is the attention received).
    """

    kind: Literal["uniform", "correlation"]
    amount: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.amount:g}"

    def gains(self, correlation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Steps gained by the reminded engrams of one lane, [N] from their correlations [N]."""
        count = correlation.shape[0]
        if self.kind == "uniform" or count == 0:
            return np.full(count, self.amount)
        weight = np.exp(correlation - correlation.max())
        gains: npt.NDArray[np.float64] = weight / weight.sum() * count * self.amount
        return gains


def parse_rule(text: str) -> LifespanRule:
    """``"uniform:5"``, ``"correlation:8"``, ``"correlation"`` (8, the paper's alpha)."""
    kind, colon, amount = text.strip().partition(":")
    if kind not in ("uniform", "correlation"):
        raise ConfigError(f"rule = {text!r}: unknown rule", _HINT)
    if not colon:
        if kind == "uniform":
            raise ConfigError(f"rule = {text!r}: needs a number of steps", _HINT)
        amount = "8"
    try:
        value = float(amount)
    except ValueError:
        raise ConfigError(f"rule = {text!r}: {amount!r} is no number", _HINT) from None
    if not math.isfinite(value) or abs(value) > 2.0**52:
        raise ConfigError(f"rule = {text!r}: the number must be finite", _HINT)
    return LifespanRule("uniform" if kind == "uniform" else "correlation", value)
