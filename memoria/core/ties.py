"""The hash behind every tie and every random entry point.

``h = 0; for x in (seed, stream, step, lane, key): h = mix((h ^ x) + golden)``, modulo 2^64, and
the value is ``h >> 1``: 63 bits, so that signed integers, of numpy and of torch, compare alike. The
mixer is the finaliser of splitmix64 (Steele, Lea and Flood 2014). No generator state exists, so
runs repeat, and any step can be computed again from its number alone.
"""

from __future__ import annotations

from typing import Final

from memoria.core.arrays import Array

TIE_STREAM: Final = 0
ENTRY_STREAM: Final = 1

_GOLDEN: Final = 0x9E3779B97F4A7C15
_MULTIPLIERS: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_MASK: Final = 2**64 - 1


def hash_keys(seed: int, stream: int, step: int, lanes: Array, keys: Array) -> Array:
    """63-bit hashes of ``keys``, the same on every device.

    Args:
        seed, stream, step: any integers, taken modulo 2^64.
        lanes: identity of each lane, int64 [B].
        keys: what is hashed, int64 [B, N].

    Returns:
        int64 [B, N], from 0 to 2^63 - 1.
    """
    h = _fold(_fold(_fold(0, seed), stream), step)
    state = _mix((lanes ^ _signed(h)) + _signed(_GOLDEN))[:, None]
    return _shift(_mix((state ^ keys) + _signed(_GOLDEN)), 1)


class TieRule:
    """Rank of equally connected engrams at one step: the greatest hash of the local id wins."""

    def __init__(self, seed: int, step: int, lanes: Array) -> None:
        self.seed, self.step, self.lanes = seed, step, lanes

    def values(self, ids: Array) -> Array:
        """Hashes [B, N] of local ids [B, N]."""
        return hash_keys(self.seed, TIE_STREAM, self.step, self.lanes, ids)

    def values_of_lane(self, lane: int, ids: Array) -> Array:
        """Hashes [N] of the local ids [N] of one lane."""
        lanes = self.lanes[lane : lane + 1]
        return hash_keys(self.seed, TIE_STREAM, self.step, lanes, ids[None])[0]


def _fold(h: int, x: int) -> int:
    z = ((h ^ (x & _MASK)) + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * _MULTIPLIERS[0]) & _MASK
    z = ((z ^ (z >> 27)) * _MULTIPLIERS[1]) & _MASK
    return z ^ (z >> 31)


def _mix(z: Array) -> Array:
    z = (z ^ _shift(z, 30)) * _signed(_MULTIPLIERS[0])
    z = (z ^ _shift(z, 27)) * _signed(_MULTIPLIERS[1])
    return z ^ _shift(z, 31)


def _shift(z: Array, bits: int) -> Array:
    """Logical shift to the right: that of signed integers copies the sign bit."""
    return (z >> bits) & (2 ** (64 - bits) - 1)


def _signed(x: int) -> int:
    return x - 2**64 if x >= 2**63 else x
