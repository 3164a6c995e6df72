"""Times training steps of a small GPT-2 with and without memory; runs like `memory_harness`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from memory_harness import Memory, peak_bytes
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["run"]

_ALPHA = 8.0
_VOCABULARY = 8192
_LIFESPAN = 9.0


class _Attention(nn.Module):
    """Multi-head attention; the weights are returned when they are asked for."""

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dimension, dimension)
        self.pair = nn.Linear(dimension, 2 * dimension)
        self.out = nn.Linear(dimension, dimension)

    def forward(
        self, states: Tensor, source: Tensor, null: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """``null`` bool [B, N] hides places of the source; without it attention is causal."""
        query = self._split(self.query(states))
        key, value = (self._split(part) for part in self.pair(source).chunk(2, dim=-1))
        if null is None:
            mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            return self.out(mixed.transpose(1, 2).flatten(2)), None
        scores = query @ key.transpose(-2, -1) / key.shape[-1] ** 0.5
        weights = scores.masked_fill(null[:, None, None], -1e9).softmax(-1)
        return self.out((weights @ value).transpose(1, 2).flatten(2)), weights

    def _split(self, states: Tensor) -> Tensor:
        lanes, length, dimension = states.shape
        return states.view(lanes, length, self.heads, dimension // self.heads).transpose(1, 2)


class _Block(nn.Module):
    """Self-attention, attention to working memory and to the reminded, feed-forward."""

    def __init__(self, dimension: int, heads: int, with_memory: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dimension) for _ in range(4))
        self.attention = _Attention(dimension, heads)
        self.recall = _Attention(dimension, heads) if with_memory else None
        self.feed = nn.Sequential(
            nn.Linear(dimension, 4 * dimension), nn.GELU(), nn.Linear(4 * dimension, dimension)
        )

    def forward(
        self, states: Tensor, sources: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor | None]:
        normed = self.norms[0](states)
        states = states + self.attention(normed, normed)[0]
        weights = None
        if self.recall is not None:
            for norm, (source, null) in zip((self.norms[1], self.norms[2]), sources, strict=True):
                added, weights = self.recall(norm(states), source, null)
                states = states + added
        return states + self.feed(self.norms[3](states)), weights


class _Model(nn.Module):
    def __init__(self, job: Mapping[str, Any]) -> None:
        super().__init__()
        dimension, with_memory = int(job["hidden"]), job["mode"] != "none"
        self.embed = nn.Embedding(_VOCABULARY, dimension)
        self.place = nn.Embedding(int(job["length"]), dimension)
        self.blocks = nn.ModuleList(
            _Block(dimension, int(job["heads"]), with_memory) for _ in range(int(job["layers"]))
        )
        self.norm = nn.LayerNorm(dimension)
        self.abstractor = None
        if with_memory:
            from memoria import Abstractor

            self.abstractor = Abstractor(int(job["working"]), dimension, 4 * dimension)

    def forward(
        self, tokens: Tensor, sources: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """(logits, hidden states, attention to the reminded [B, R] over layers and queries)."""
        states = self.embed(tokens) + self.place.weight[: tokens.shape[1]]
        received = []
        for block in self.blocks:
            states, weights = block(states, sources)
            if weights is not None:
                received.append(weights.detach().mean((1, 2)))
        states = self.norm(states)
        logits = states @ self.embed.weight.t()
        return logits, states, torch.stack(received).mean(0) if received else None


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    """``mode``: ``none``, ``attention`` (its layers, nothing remembered) or ``memory``."""
    torch.set_num_threads(int(job["threads"]))
    torch.manual_seed(0)
    trainer = _Trainer(job)
    for _ in range(int(job["warm_up"])):  # fills the memory; gradients would only cost time
        with torch.no_grad():
            trainer.step(learn=False)
    trainer.step(learn=True)
    steps, memory = [], []
    for _ in range(int(job["steps"])):
        trainer.memory_seconds = 0.0
        started = trainer.now()
        trainer.step(learn=True)
        steps.append(trainer.now() - started)
        memory.append(trainer.memory_seconds)
    return {
        "seconds": steps,
        "memory_seconds": memory,
        "engrams": trainer.memory.living() if trainer.memory else 0,
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "peak_bytes": peak_bytes(),
        "device_peak_bytes": torch.cuda.max_memory_allocated() if trainer.on_cuda else None,
        "torch": torch.__version__,
    }


class _Trainer:
    def __init__(self, job: Mapping[str, Any]) -> None:
        self.device = torch.device(str(job["device"]))
        self.on_cuda = self.device.type == "cuda"
        self.model = _Model(job).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-4)
        self.memory = Memory(job, _LIFESPAN) if job["mode"] == "memory" else None
        self.shape = (int(job["batch"]), int(job["length"]))
        self.reminded = int(job["reminded_shortterm"]) + int(job["reminded_longterm"])
        self.generator = torch.Generator().manual_seed(0)
        self.hidden: Tensor | None = None
        self.memory_seconds = 0.0

    def now(self) -> float:
        if self.on_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def step(self, learn: bool) -> None:
        """A segment: recall, forward, backward, and what was attended to lives longer."""
        tokens = torch.randint(_VOCABULARY, self.shape, generator=self.generator).to(self.device)
        sources, indices = self._recall()
        logits, hidden, received = self.model(tokens, sources)
        if learn:
            loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
        if self.memory is not None and indices is not None and received is not None:
            gains = received * (indices >= 0).sum(1, keepdim=True) * _ALPHA
            started = self.now()
            self.memory.memoria.adjust_lifespan_and_memories(indices, gains)
            self.memory_seconds += self.now() - started
        self.hidden = hidden.detach()

    def _recall(self) -> tuple[list[tuple[Tensor, Tensor]], Tensor | None]:
        """Working memory from the last segment's states, and what it brings back."""
        if self.model.abstractor is None:
            return [], None
        dimension = self.model.embed.weight.shape[1]
        if self.hidden is None:
            self.hidden = torch.zeros((*self.shape, dimension), device=self.device)
        working = self.model.abstractor(self.hidden)
        nothing = torch.zeros(working.shape[:2], dtype=torch.bool, device=self.device)
        if self.memory is None:
            memories = torch.zeros((working.shape[0], self.reminded, dimension), device=self.device)
            null = torch.zeros(memories.shape[:2], dtype=torch.bool, device=self.device)
            return [(working, nothing), (memories, null)], None
        started = self.now()
        self.memory.memoria.add_working_memory(working.detach())
        memories, indices = self.memory.memoria.remind()
        self.memory_seconds += self.now() - started
        return [(working, nothing), (memories, indices < 0)], indices


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
