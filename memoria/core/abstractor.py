"""`Abstractor`: compresses hidden states into the engrams of a working memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memoria.errors import ConfigError, ShapeError


class Abstractor(nn.Module):
    """``output(feedforward(softmax(Q (K h)^T) (V h)))`` (paper, memory encoder f_e).

    Q are learned queries; a single head, no scaling by sqrt(D), no activation between the two
    linear layers D -> F -> D, no residual.

    Args:
        num_memories: engrams a lane, the number of queries.
        hidden_dim: D.
        feedforward_dim: F.

    Raises:
        ConfigError: a size below 1.
    """

    def __init__(self, num_memories: int, hidden_dim: int, feedforward_dim: int) -> None:
        super().__init__()
        sizes = {"num_memories": num_memories, "hidden_dim": hidden_dim}
        for name, size in {**sizes, "feedforward_dim": feedforward_dim}.items():
            if size < 1:
                raise ConfigError(f"{name} = {size}: must be at least 1")
        self.query_embeddings = nn.Parameter(torch.empty(1, num_memories, hidden_dim))
        nn.init.normal_(self.query_embeddings, std=0.02)
        self.key_transform = nn.Linear(hidden_dim, hidden_dim)
        self.value_transform = nn.Linear(hidden_dim, hidden_dim)
        self.feedforward = nn.Linear(hidden_dim, feedforward_dim)
        self.output = nn.Linear(feedforward_dim, hidden_dim)

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compress hidden states into engrams.

        Args:
            hidden_states: [B, N, D].
            mask: false at padding, which gets no attention, bool [B, N]; a lane of padding alone
                gets equal attention everywhere.

        Returns:
            Engrams [B, num_memories, D].

        Raises:
            ShapeError: another shape.
        """
        dimension = self.query_embeddings.shape[2]
        if hidden_states.dim() != 3 or hidden_states.shape[2] != dimension:
            received = list(hidden_states.shape)
            raise ShapeError("hidden_states", f"[B, N, {dimension}]", received)
        keys = self.key_transform(hidden_states)
        values = self.value_transform(hidden_states)
        scores = self.query_embeddings @ keys.transpose(1, 2)
        if mask is not None:
            if mask.shape != hidden_states.shape[:2]:
                raise ShapeError("mask", str(list(hidden_states.shape[:2])), list(mask.shape))
            scores = scores.masked_fill(~mask.bool().unsqueeze(1), torch.finfo(scores.dtype).min)
        result: Tensor = self.output(self.feedforward(scores.softmax(dim=-1) @ values))
        return result
