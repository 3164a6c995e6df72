"""Hierarchical Memory Transformer (He et al. 2024): a summary looks past segments' memories up.

Each segment leaves one vector; the last ``memory`` of them are kept. Before a segment is read, its
first part, between two copies of a learned vector, goes through the network, and the last output q
says what to look for among the kept vectors m:

    p = sum of softmax(W_q q . W_k m_i / sqrt(D)) m_i

Then [p, segment, p] is read, and what comes out at the last place is the segment's vector. Where
nothing is kept, p is the learned vector.

What is recalled depends on all of the first part. As the authors have it (``early = true``) its
tokens see p too, and so a little of what comes after them; by default they do not. The authors'
last tokens of the segment before (off by default in their code) are left out.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field, StrictBool
from torch import Tensor, nn
from torch.nn import functional

from memoria.experiments.rivals.memory_caching import newer
from memoria.experiments.rivals.segment_model import SegmentOutput
from memoria.experiments.rivals.trunk import Block, Unrolled, UnrolledSettings, all_real


class HierarchicalSettings(UnrolledSettings):
    """Settings of the Hierarchical Memory Transformer."""

    fraction: float = Field(0.5, gt=0.0, le=1.0, description="Share of a segment summed up.")
    early: StrictBool = Field(False, description="Whether that share sees what is recalled.")


class HierarchicalMemory(Unrolled):
    """Reads [recalled, segment, recalled], as above.

    Carries ``memories`` [B, N, D], newest last, and ``kept`` [B, N], false where there is none.
    """

    settings_class = HierarchicalSettings

    def add_memory(self) -> None:
        hidden = self.config.hidden
        self.topic = nn.Embedding(1, hidden)
        self.wanted, self.offered = (nn.Linear(hidden, hidden, bias=False) for _ in range(2))

    def read(self, tokens: Tensor, real: Tensor | None) -> SegmentOutput:
        embedded = self.dropout(self.embed(tokens))
        there = all_real(embedded, real)
        topic = self.topic.weight.expand(len(tokens), 1, -1)
        shape = (len(tokens), self.config.memory)
        memories = self._carried.get("memories", topic.new_zeros((*shape, topic.shape[2])))
        kept = self._carried.get("kept", there.new_zeros(shape))
        first = math.ceil(self.settings.fraction * tokens.shape[1])
        asked = self._through((topic, embedded[:, :first], topic), there[:, :first], 0)[:, -1:]
        recalled = torch.where(
            kept.any(1).view(-1, 1, 1), self.recalled(asked, memories, kept), topic
        )
        blind = 0 if self.settings.early else first
        states = self._through((recalled, embedded, recalled), there, blind)
        hidden, latest = states[:, 1:-1], states[:, -1]
        read = there.any(1)  # a lane that read nothing but padding keeps what it had
        self._carried["memories"] = newer(memories, latest, read)
        self._carried["kept"] = newer(kept, torch.ones_like(read), read)
        logits = functional.linear(hidden, self.embed.weight)
        return SegmentOutput(logits, hidden, states.new_zeros(()))

    def recalled(self, asked: Tensor, memories: Tensor, kept: Tensor) -> Tensor:
        """p [B, 1, D] for the summary ``asked`` [B, 1, D], of the kept ``memories`` [B, N, D]."""
        wanted = self.wanted(asked) * asked.shape[2] ** -0.5
        score = wanted @ self.offered(memories).transpose(1, 2)
        score = score.masked_fill(~kept.unsqueeze(1), torch.finfo(score.dtype).min)
        result: Tensor = score.softmax(2) @ memories
        return result

    def _through(self, parts: tuple[Tensor, Tensor, Tensor], real: Tensor, blind: int) -> Tensor:
        """The output for [vector, tokens, vector]; ``blind`` tokens do not see the first vector."""
        states = torch.cat(parts, 1)
        real = functional.pad(real, (1, 1), value=True)
        places = torch.arange(states.shape[1], device=states.device)
        allowed = (places <= places.unsqueeze(1)) & real.view(len(real), 1, 1, -1)
        allowed = allowed | torch.eye(len(places), dtype=torch.bool, device=states.device)
        allowed[:, :, 1 : 1 + blind, 0] = False
        for block in self.blocks:
            assert isinstance(block, Block)
            normed = block.attention_norm(states)
            attended = block.attention(normed, normed, allowed, (places, places))
            states = block.fed(states + block.dropout(attended))
        result: Tensor = self.norm(states)
        return result
