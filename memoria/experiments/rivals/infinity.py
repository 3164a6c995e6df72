"""Infinity-former (Martins et al. 2022): the past as a continuous signal over [0, 1].

Each layer's past inputs are approximated by ``memory`` Gaussian basis functions psi, as x(t) =
psi(t)^T B, fitted by ridge regression. For a new segment the old signal is squeezed into [0, tau]
and the segment takes the rest. Attention is a Gaussian density over t for each query and head,
whose mean and variance the network chooses; its expectation of psi is known in closed form. As in
the paper a KL term pulls the densities towards a width; its "sticky memories" (denser sampling
where attention went) are left out: the old signal is sampled evenly.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from memoria.experiments.rivals.config import NoSettings
from memoria.experiments.rivals.trunk import Attention, Block, Trunk, all_real


class InfinitySettings(NoSettings):
    """Settings of the Infinity-former; the defaults are the authors'."""

    tau: float = Field(0.5, gt=0.0, lt=1.0, description="Share of [0, 1] for the old signal.")
    ridge: float = Field(0.5, gt=0.0, description="Penalty of the regression.")
    width: float = Field(0.05, gt=0.0, description="Standard deviation that the KL term prefers.")
    kl_weight: float = Field(1e-6, ge=0.0, description="Of the KL term.")
    samples: int | None = Field(None, ge=2, description="Of the old signal; memory if null.")


class InfinityFormer(Trunk):
    """Carries ``layer0``, ``layer1``, ... [B, N, D]: the coefficients of N basis functions."""

    settings_class = InfinitySettings

    def add_memory(self) -> None:
        config, count = self.config, self.config.memory
        self.look = self.each_layer(lambda: Attention(config.hidden, config.heads, config.dropout))
        self.place = self.each_layer(lambda: nn.Linear(count, 2))
        self.register_buffer("center", torch.linspace(0, 1, count), persistent=False)
        self.spread = 1.0 / count

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        name = f"layer{number}"
        signal = self._carried.get(name)
        attended = block.attend(states, real)
        if signal is not None:
            look, place = self.look[number], self.place[number]
            assert isinstance(look, Attention)
            attended = attended + self._looked(look, place, block.attention_norm(states), signal)
        self._carried[name] = self._fitted(signal, states.detach(), all_real(states, real))
        return block.fed(attended)

    def _looked(self, look: Attention, place: nn.Module, states: Tensor, signal: Tensor) -> Tensor:
        """Expectation of the signal [B, N, D] under each query's density: [B, S, D]."""
        query, (key, value) = look.queries(states), look.pairs(signal)
        score = query @ key.transpose(2, 3) * key.shape[3] ** -0.5
        mean, width = place(score).unbind(-1)
        mean, variance = mean.sigmoid(), functional.softplus(width).clamp_min(1e-6)
        prior = self.settings.width**2
        kl = 0.5 * (variance / prior - (variance / prior).log() - 1.0)
        self.extra_loss = self.extra_loss + self.settings.kl_weight * kl.mean()
        return look.joined(self._density(mean, variance) @ value)

    def _density(self, at: Tensor, variance: Tensor | float = 0.0) -> Tensor:
        """E[psi_j(t)] for t ~ N(at, variance) and every basis function j: [...] to [..., N]."""
        total = torch.as_tensor(variance, device=at.device).unsqueeze(-1) + self.spread**2
        assert isinstance(self.center, Tensor)
        distance = (at.unsqueeze(-1) - self.center).square()
        peak = self.spread * torch.rsqrt(total)  # psi(center) = 1
        result: Tensor = peak * (-0.5 * distance / total).exp()
        return result

    @torch.no_grad()
    def _fitted(self, signal: Tensor | None, states: Tensor, real: Tensor) -> Tensor:
        """Fit coefficients [B, N, D] to the old signal, squeezed, and ``states`` behind it."""
        lanes, length, _ = states.shape
        first = 0.0 if signal is None else self.settings.tau
        at = first + (1 - first) * (torch.arange(length, device=states.device) + 0.5) / length
        weight = real.to(states.dtype)
        if signal is not None:
            count = self.settings.samples or self.config.memory
            old = (torch.arange(count, device=states.device) + 0.5) / count
            states = torch.cat((self._density(old) @ signal, states), 1)
            at = torch.cat((old * first, at))
            weight = torch.cat((weight.new_ones((lanes, count)), weight), 1)
        basis = self._density(at)  # [P, N]
        weighed = basis.t() * weight.unsqueeze(1)  # [B, N, P]
        ridge = self.settings.ridge * torch.eye(self.config.memory, device=states.device)
        fitted: Tensor = torch.linalg.solve(weighed @ basis + ridge, weighed @ states)
        if signal is None:
            return fitted
        return fitted.where(real.any(1).view(-1, 1, 1), signal)
