"""Transformer-XL (Dai et al. 2019, section 3.2): each layer also attends to its own past inputs.

The last ``memory`` inputs of every layer are kept, without gradient. Positions are rotary instead
of the paper's relative ones: both make attention depend on distances alone.
"""

from __future__ import annotations

from torch import Tensor

from memoria.experiments.rivals.past import all_real, newest
from memoria.experiments.segment_model import MemorySize
from memoria.experiments.trunk import Block, Trunk

__all__ = ["TransformerXL"]


class TransformerXL(Trunk):
    """Carries ``layer0``, ``layer1``, ... [B, P, D] and ``real`` [B, P], P up to ``memory``."""

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        name = f"layer{number}"
        past, known = self._carried.get(name), self._carried.get("real")
        result = block.fed(block.attend(states, real, past, known))
        before = None if past is None or known is None else (past, known)
        kept, _ = newest(before, states, all_real(states, real), self.config.memory)
        self._carried[name] = kept[0]
        if number == self.config.layers - 1:  # the same for all layers
            self._carried["real"] = kept[1]
        return result

    def memory_size(self) -> MemorySize:
        return MemorySize(self.config.memory, self.config.layers * self.config.memory)
