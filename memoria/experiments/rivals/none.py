"""No memory: each segment is read as if it were the first."""

from __future__ import annotations

from memoria.experiments.trunk import Trunk

__all__ = ["NoMemory"]


class NoMemory(Trunk):
    """The shared decoder by itself; the measure of all others' parameters."""
