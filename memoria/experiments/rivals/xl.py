"""Transformer-XL (Dai et al. 2019, section 3.2): each layer also attends to its own past inputs.

The last ``memory`` inputs of every layer are kept, without gradient. Positions are rotary instead
of the paper's relative ones: both make attention depend on distances alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memoria.errors import MissingExtraError
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.segment_model import SegmentModel, SegmentOutput
from memoria.experiments.rivals.trunk import Block, Trunk, all_real, newest


class TransformerXL(Trunk):
    """Each layer attends to [its last ``memory`` inputs, itself].

    Carries ``layer0``, ``layer1``, ... [B, P, D] and ``real`` [B, P], P up to ``memory``.
    """

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


class PackagedXL(SegmentModel):
    """Each layer attends to [its last ``memory`` inputs, itself].

    Carries ``layer0``, ``layer1``, ... [B, P, D] and ``real`` [B, P], P up to ``memory``.
    """

    def __init__(self, config: RivalConfig) -> None:
        super().__init__(config)
        try:
            from x_transformers import Decoder, TransformerWrapper
        except ImportError:
            raise MissingExtraError("rival 'xl-x-transformers'", "rivals") from None
        layers = Decoder(
            dim=config.hidden,
            depth=config.layers,
            heads=config.heads,
            attn_dim_head=config.hidden // config.heads,
            ff_mult=(config.inner + 0.5) / config.hidden,  # the package rounds the product down
            rotary_pos_emb=True,
            attn_dropout=config.dropout,
            ff_dropout=config.dropout,
        )
        self.network: Any = TransformerWrapper(
            num_tokens=config.vocab_size,
            max_seq_len=config.segment,
            max_mem_len=config.memory + config.segment,  # we cut it, by lane
            emb_dropout=config.dropout,
            tie_embedding=True,
            use_abs_pos_emb=False,
            attn_layers=layers,
        )

    def forward(self, tokens: Tensor, attention_mask: Tensor | None = None) -> SegmentOutput:
        mask = self.checked_tokens(tokens, attention_mask)
        names = [f"layer{number}" for number in range(self.config.layers)]
        past = [self._carried[name] for name in names if name in self._carried]
        there = self._carried.get("real")
        (logits, hidden), passed = self.network(
            tokens,
            mask=mask,
            mems=past or None,
            mem_masks=None if there is None else [there] * len(past),
            return_logits_and_embeddings=True,
            return_mems=True,
        )
        real = all_real(hidden, mask)
        if there is not None:
            real = torch.cat((there, real), 1)
        for name, states in zip(names, passed, strict=True):
            (kept, kept_real), _ = newest(None, states, real, self.config.memory)
            self._carried[name], self._carried["real"] = kept, kept_real
        return SegmentOutput(logits, hidden, logits.new_zeros(()))
