"""`memoria.abstractor` of memoria-pytorch: Abstractor."""

from __future__ import annotations

from memoria.core.abstractor import Abstractor

__all__ = ["Abstractor"]
