"""Recurrent Memory Transformer (Bulatov et al. 2022): memory tokens before and after the segment.

``memory`` vectors stand before the segment, where all tokens read them, and once more after it,
where they read all of it; what comes out behind is read in the next segment. They are learned by
gradients that flow back through ``unroll`` segments.

The learned tokens are added to what is carried before every segment; the authors feed what is
carried as it is. The tokens of each copy see each other in both directions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from memoria.experiments.rivals.segment_model import MemorySize, SegmentOutput
from memoria.experiments.rivals.trunk import Block, Unrolled, real_or_itself


class RecurrentMemory(Unrolled):
    """Reads [memory, segment, memory]; the second copy, as it comes out, is the next memory.

    Carries ``memory`` [B, M, D].
    """

    def add_memory(self) -> None:
        self.tokens = nn.Embedding(self.config.memory, self.config.hidden)

    def read(self, tokens: Tensor, real: Tensor | None) -> SegmentOutput:
        count = self.config.memory
        memory = self.tokens.weight.expand(len(tokens), -1, -1)
        if "memory" in self._carried:
            memory = memory + self._carried["memory"]
        states = torch.cat((memory, self.dropout(self.embed(tokens)), memory), 1)
        allowed = _visible(states, real, count)
        positions = torch.arange(states.shape[1], device=states.device)
        for block in self.blocks:
            assert isinstance(block, Block)
            normed = block.attention_norm(states)
            attended = block.attention(normed, normed, allowed, (positions, positions))
            states = block.fed(states + block.dropout(attended))
        states = self.norm(states)
        hidden, after = states[:, count:-count], states[:, -count:]
        if real is not None and "memory" in self._carried:
            # a lane that read nothing but padding keeps what it had
            idle = ~real.any(1)
            after = torch.where(idle.view(-1, 1, 1), self._carried["memory"], after)
        self._carried = {"memory": after}
        logits = functional.linear(hidden, self.embed.weight)
        return SegmentOutput(logits, hidden, states.new_zeros(()))

    def memory_size(self) -> MemorySize:
        return MemorySize(self.config.memory, self.config.memory)


def _visible(states: Tensor, real: Tensor | None, count: int) -> Tensor:
    """Who attends to whom, bool [B or 1, 1, N, N], N = M + S + M.

    The first M attend to each other, tokens to what is before them, the last M to everything.
    """
    length = states.shape[1]
    allowed = states.new_ones((length, length), dtype=torch.bool).tril()
    allowed[:count, :count] = True
    allowed[-count:] = True
    if real is None:
        return allowed.view(1, 1, length, length)
    return real_or_itself(allowed, functional.pad(real, (count, count), value=True))
