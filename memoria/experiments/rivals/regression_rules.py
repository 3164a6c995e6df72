"""Memories that regress values on keys while they read: weights, correction and solver.

Each is a matrix S that answers a query q with S^T q, where S is near the least of

    sum over i <= t of gamma_i |v_i - S^T k_i|^2

(Wang, Shi, Fox 2025, "Test-time regression"). A token writes first and then reads:

    linear       S <- S + k v^T                                      one step from S = 0
    mamba2       S <- e^g S + dt k v^T, g = -a dt                    the same, the past fades
    delta        S <- S + beta k (v - S^T k)^T                       one step from the last S
    gated-delta  S <- e^g S, then delta                              the same, the past fades
    mesa         H <- e^g H + beta k k^T, S <- e^g S + beta k v^T    the least itself:
                 read S^T (H + diag(ridge))^-1 q

A chunk of tokens is computed at once, to what one token after the other gives: with T_i the sum of
g up to i, what the tokens write is U = (I + A)^-1 diag(beta) (V - e^T K S), where A_ij is
beta_i e^(T_i - T_j) k_i . k_j for j < i (delta), or 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rule:
    """How a memory learns.

    Attributes:
        weighed: tokens have their own weights beta.
        fading: the past fades by e^g.
        tied: weights are the steps dt that g is made of.
        corrects: what the memory answers already is taken from the value (delta rule).
        solves: the least squares are solved for each query.
    """

    weighed: bool = False
    fading: bool = False
    tied: bool = False
    corrects: bool = False
    solves: bool = False


LINEAR = Rule()
MAMBA2 = Rule(fading=True, tied=True)
DELTA = Rule(weighed=True, corrects=True)
GATED_DELTA = Rule(weighed=True, fading=True, corrects=True)
MESA = Rule(weighed=True, fading=True, solves=True)


@dataclass(frozen=True)
class Written:
    """What a chunk of tokens writes; leading axes are those of the memories.

    Attributes:
        key: [..., S, F].
        value: [..., S, V].
        weight: beta [..., S]; a token of weight 0 writes nothing.
        decay: g [..., S], at most 0.
    """

    key: Tensor
    value: Tensor
    weight: Tensor
    decay: Tensor

    def part(self, tokens: slice) -> Written:
        """Some of its tokens."""
        return Written(
            self.key[..., tokens, :],
            self.value[..., tokens, :],
            self.weight[..., tokens],
            self.decay[..., tokens],
        )


@dataclass(frozen=True)
class State:
    """A memory.

    Attributes:
        values: S [..., F, V].
        products: H [..., F, F] of a rule that solves, otherwise None.
    """

    values: Tensor
    products: Tensor | None = None


def learn(
    rule: Rule, state: State, query: Tensor, written: Written, ridge: Tensor, chunk: int
) -> tuple[Tensor, State]:
    """Write token after token, and read after each.

    Args:
        rule: how it learns.
        state: the memory before.
        query: [..., S, F].
        written: what the S tokens write.
        ridge: [..., F], positive; only for a rule that solves.
        chunk: tokens that are computed at once, which changes nothing but rounding.

    Returns:
        The answers [..., S, V], and the memory afterwards.
    """
    answers = []
    for first in range(0, query.shape[-2], chunk):
        part = slice(first, first + chunk)
        answer, state = _learn_chunk(rule, state, query[..., part, :], written.part(part), ridge)
        answers.append(answer)
    return torch.cat(answers, -2), state


def answer(state: State, query: Tensor, ridge: Tensor) -> Tensor:
    """Read a memory with ``query`` [..., S, F] and write nothing: [..., S, V]."""
    if state.products is not None:
        solved = _solved(state.products, query.transpose(-2, -1), ridge)
        query = solved.transpose(-2, -1)
    return query @ state.values


def _learn_chunk(
    rule: Rule, state: State, query: Tensor, written: Written, ridge: Tensor
) -> tuple[Tensor, State]:
    key, weight = written.key, written.weight.unsqueeze(-1)
    total = written.decay.cumsum(-1)
    fade = _fade(total)  # [..., S, S]: what is left at i of what j wrote
    since = total.exp().unsqueeze(-1)  # what is left of the state before
    wanted = written.value
    if rule.corrects:
        wanted = weight * (wanted - since * (key @ state.values))
        seen = weight * (key @ key.transpose(-2, -1)) * fade
        wanted = torch.linalg.solve_triangular(
            seen.tril(-1), wanted, upper=False, unitriangular=True
        )
    else:
        wanted = weight * wanted
    products = state.products
    if products is not None:
        outer = (key.unsqueeze(-1) * key.unsqueeze(-2)).flatten(-2)
        added = (fade * written.weight.unsqueeze(-2)) @ outer
        each = since.unsqueeze(-1) * products.unsqueeze(-3)
        each = each + added.view(each.shape)
        query = _solved(each, query.unsqueeze(-1), ridge.unsqueeze(-2)).squeeze(-1)
        products = each[..., -1, :, :]
    answers = since * (query @ state.values) + ((query @ key.transpose(-2, -1)) * fade) @ wanted
    left = fade[..., -1, :].unsqueeze(-1)
    values = since[..., -1:, :] * state.values + (left * key).transpose(-2, -1) @ wanted
    return answers, State(values, products)


def _fade(total: Tensor) -> Tensor:
    """e^(T_i - T_j) for j <= i, otherwise 0."""
    between = total.unsqueeze(-1) - total.unsqueeze(-2)
    later = torch.ones_like(between, dtype=torch.bool).triu(1)
    return between.masked_fill(later, -torch.inf).exp()


def _solved(products: Tensor, query: Tensor, ridge: Tensor) -> Tensor:
    """(H + diag(ridge))^-1 q for queries [..., F, N]."""
    factor = torch.linalg.cholesky(products + torch.diag_embed(ridge))
    return torch.cholesky_solve(query, factor)
