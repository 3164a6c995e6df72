"""The memory of Titans' variants: a small network for each head, learned while it is read.

M has L matrices W_1 .. W_L [E, E] with SiLU between them, and starts from learned ones. Token by
token, with gates theta, eta and alpha of each token (Behrouz et al. 2024, equations 8-14):

    S_t = eta_t S_(t-1) - theta_t grad |M(k_t) - v_t|^2 / 2,    M_t = (1 - alpha_t) M_(t-1) + S_t

A chunk of tokens is learned at once, as in the paper (3.2): gradients are those at the memory
before the chunk, which is also the one that its tokens ask, and S and M after the chunk are the
sums that the two lines make of them. Two bounds are ours, since long chunks diverge without them.
A chunk's theta is divided by the Frobenius norm, if above 1, of

    G_ij = sqrt(c_i c_j) sum over layers of |a_i . a_j| b^2

where c_t is the weight that M after the chunk gives to what token t adds to S, a_t the input of a
layer and b a bound on how much the output moves with the layer's; for one layer and a chunk of one
token that is 1. And momentum from before moves a memory by no more than sqrt(E) in a chunk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from memoria.experiments.rivals.trunk import split_heads

_KERNEL = 4
_STEEPEST = 1.1  # largest slope of SiLU


@dataclass(frozen=True)
class DeepState:
    """A memory and its momentum.

    Attributes:
        weights: M [B, H, L, E, E].
        momentum: S, the same shape.
    """

    weights: Tensor
    momentum: Tensor


@dataclass(frozen=True)
class Lesson:
    """What a memory is to learn of N tokens.

    Attributes:
        key: [B, H, N, E].
        value: [B, H, N, E].
        step: theta [B, H, N].
        log_kept: log of 1 - alpha [B, H, N].
        log_momentum: log of eta [B, H, N].
        there: 1 for tokens, 0 for padding, which changes nothing, [B, 1, N].
    """

    key: Tensor
    value: Tensor
    step: Tensor
    log_kept: Tensor
    log_momentum: Tensor
    there: Tensor

    def part(self, tokens: slice) -> Lesson:
        """Some of its tokens."""
        return Lesson(
            self.key[:, :, tokens],
            self.value[:, :, tokens],
            *(
                one[:, :, tokens]
                for one in (self.step, self.log_kept, self.log_momentum, self.there)
            ),
        )


class DeepMemory(nn.Module):
    """The projections around one layer's memory, and its learned start.

    Args:
        hidden: D.
        heads: H; E = D / H.
        depth: L.
    """

    def __init__(self, hidden: int, heads: int, depth: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(hidden)
        self.query, self.key, self.value, self.out = (nn.Linear(hidden, hidden) for _ in range(4))
        self.mixes = nn.ModuleList(
            nn.Conv1d(hidden, hidden, _KERNEL, groups=hidden, bias=False) for _ in range(3)
        )
        self.rates = nn.Linear(hidden, 3 * heads)
        size = hidden // heads
        self.shape = heads, depth, size, size
        self.rows = nn.Embedding(heads * depth * size, size)

    @property
    def start(self) -> Tensor:
        """[H, L, E, E]; numbers of deviation 1 / sqrt(E) if the rows' is 1 / sqrt(D)."""
        rows: Tensor = self.rows.weight
        return rows.view(self.shape) * math.sqrt(self.heads)

    def beginning(self, lanes: int) -> DeepState:
        """The memory of ``lanes`` lanes that have read nothing."""
        weights = self.start.expand(lanes, *self.shape)
        return DeepState(weights, torch.zeros_like(weights))

    def queries(self, states: Tensor) -> Tensor:
        """[B, S, D] to [B, H, S, E], of length 1."""
        return functional.normalize(self._projected(0, self.query, self.norm(states)), dim=-1)

    def lesson(self, states: Tensor, real: Tensor, rate: float) -> Lesson:
        """What ``states`` [B, S, D] are to teach, with steps up to ``rate``."""
        normed = self.norm(states)
        key, value = (
            self._projected(number, made, normed)
            for number, made in ((1, self.key), (2, self.value))
        )
        there = real.unsqueeze(1).to(states.dtype)
        theta, eta, alpha = self.rates(normed).transpose(1, 2).unflatten(1, (3, -1)).unbind(1)
        return Lesson(
            functional.normalize(key, dim=-1),
            value,
            theta.sigmoid() * rate * there,
            functional.logsigmoid(-alpha) * there,
            functional.logsigmoid(eta) * there,
            there,
        )

    def joined(self, answers: Tensor) -> Tensor:
        """[B, H, S, E] to [B, S, D]."""
        return answers.transpose(1, 2).flatten(2)

    def _projected(self, number: int, made: nn.Module, normed: Tensor) -> Tensor:
        """Project, mix each number with its last ones in the segment, and apply SiLU."""
        states = functional.pad(made(normed).transpose(1, 2), (_KERNEL - 1, 0))
        mixed: Tensor = self.mixes[number](states)
        return split_heads(functional.silu(mixed).transpose(1, 2), self.heads)


def ask(weights: Tensor, query: Tensor) -> Tensor:
    """M(q) for ``query`` [B, H, N, E]."""
    return _layers(weights, query)[1]


def learn(state: DeepState, query: Tensor, lesson: Lesson, chunk: int) -> tuple[Tensor, DeepState]:
    """Learn chunk after chunk; ``query`` [B, H, N, E] asks the memory before its chunk.

    Returns:
        The answers [B, H, N, E], and the memory afterwards.
    """
    answers = []
    for first in range(0, query.shape[2], chunk):
        part = slice(first, first + chunk)
        answers.append(ask(state.weights, query[:, :, part]))
        state = _learn_chunk(state, lesson.part(part))
    return torch.cat(answers, 2), state


def _learn_chunk(state: DeepState, lesson: Lesson) -> DeepState:
    kept, going = lesson.log_kept.cumsum(-1), lesson.log_momentum.cumsum(-1)
    left = (kept[..., -1:] - kept).exp() * lesson.there  # of what S adds to M at t, at the end
    between = going.unsqueeze(-1) - going.unsqueeze(-2)
    later = torch.ones_like(between, dtype=torch.bool).triu(1)
    passed = between.masked_fill(later, -torch.inf).exp()  # [B, H, t, i]: of S at i, in S at t
    counted = (left.unsqueeze(-2) @ passed).squeeze(-2)  # c
    carried = (left * going.exp()).sum(-1)  # what S before adds to M
    inputs, output = _layers(state.weights, lesson.key)
    step = lesson.step / _norm(state.weights, inputs, counted * lesson.there)
    error = output - lesson.value
    total, moved = (
        _gradients(state.weights, inputs, error * (step * share).unsqueeze(-1))
        for share in (counted, passed[..., -1, :])
    )
    momentum = state.momentum
    reach = carried * momentum.square().sum((2, 3, 4)).clamp_min(1e-12).sqrt()
    size = float(momentum.shape[-1])
    momentum = momentum * _wide((size**0.5 / reach.clamp_min(1e-12)).clamp(max=1.0))
    return DeepState(
        _wide(kept[..., -1].exp()) * state.weights + _wide(carried) * momentum - total,
        _wide(going[..., -1].exp()) * momentum - moved,
    )


def _layers(weights: Tensor, vectors: Tensor) -> tuple[list[Tensor], Tensor]:
    """The inputs of all layers for ``vectors`` [B, H, N, E], the second on before SiLU; M(k)."""
    befores = [vectors]
    for number, one in enumerate(weights.unbind(2)):
        befores.append((functional.silu(befores[-1]) if number else vectors) @ one)
    return befores[:-1], befores[-1]


def _gradients(weights: Tensor, befores: list[Tensor], error: Tensor) -> Tensor:
    """Of the sum over tokens of ``error`` [B, H, N, E] times M, with respect to M."""
    found = []
    for number in range(len(befores) - 1, -1, -1):
        before = befores[number]
        given = functional.silu(before) if number else before
        found.append(given.transpose(2, 3) @ error)
        if number:
            gate = before.sigmoid()
            slope = gate * (1.0 + before * (1.0 - gate))
            error = (error @ weights[:, :, number].transpose(2, 3)) * slope
    return torch.stack(found[::-1], 2)


def _norm(weights: Tensor, befores: list[Tensor], counted: Tensor) -> Tensor:
    """|G|, at least 1: [B, H, 1]."""
    reach = torch.ones_like(counted[..., :1])
    products = torch.zeros_like(counted.unsqueeze(-1) * counted.unsqueeze(-2))
    for number in range(len(befores) - 1, -1, -1):
        given = functional.silu(befores[number]) if number else befores[number]
        products = products + (given @ given.transpose(2, 3)).abs() * reach.unsqueeze(-1).square()
        reach = reach * _STEEPEST * weights[:, :, number].square().sum((2, 3)).sqrt().unsqueeze(-1)
    both = counted.unsqueeze(-1) * counted.unsqueeze(-2)
    total = (both * products.square()).sum((2, 3)).clamp_min(1.0)
    return total.sqrt().unsqueeze(-1)


def _wide(factor: Tensor) -> Tensor:
    """[B, H] to the shape of a memory."""
    return factor[..., None, None, None]
