"""Infinity-former (Martins et al. 2022): the past as a continuous signal over [0, 1].

Each layer's past inputs are approximated by ``memory`` Gaussian basis functions psi of height 1 and
width 1 / N, as x(t) = psi(t)^T B, fitted by ridge regression. For a new segment the old signal is
squeezed into [0, tau] and the segment takes the rest. Attention is a Gaussian density over t for
each query and head, whose mean and variance the network chooses; its expectation of psi is known in
closed form. As in the paper a KL term pulls the densities towards a width.

The old signal is sampled evenly, or, with ``sticky``, more densely where attention went. The
authors draw such samples from a histogram of the densities; here they are its quantiles, so that
nothing is random. With ``mask`` inputs are gated by sigmoid(Conv1d) before they enter the signal,
as in the baseline of Memoria's authors. Both are off unless asked for.
"""

from __future__ import annotations

import torch
from pydantic import Field, StrictBool
from torch import Tensor, nn
from torch.nn import functional

from memoria.experiments.rivals.config import NoSettings
from memoria.experiments.rivals.trunk import Attention, Block, Trunk, all_real

_AUTHORS_HEIGHT = 40.0  # of their wider basis functions, densities of width 0.01; the others: 80
_BINS = 128  # of the histogram of attention, as the authors have it


class InfinitySettings(NoSettings):
    """Settings of the Infinity-former; the defaults are the authors'."""

    tau: float = Field(0.5, gt=0.0, lt=1.0, description="Share of [0, 1] for the old signal.")
    ridge: float = Field(
        0.5,
        gt=0.0,
        description="Penalty of the regression, for basis functions 40 high, as the authors' are; "
        "ours have height 1, and it is divided by 40^2.",
    )
    width: float = Field(0.05, gt=0.0, description="Standard deviation that the KL term prefers.")
    kl_weight: float = Field(1e-6, ge=0.0, description="Of the KL term.")
    samples: int | None = Field(None, ge=2, description="Of the old signal; memory if null.")
    sticky: StrictBool = Field(False, description="Sample it more densely where attention went.")
    mask: StrictBool = Field(False, description="Gate what enters the signal, as learned.")


class InfinityFormer(Trunk):
    """Fits each layer's signal when it is next read, so that gradients reach the mask.

    Carries for each layer ``enteringN`` [B, S, D], the last segment's inputs, and ``realN`` [B, S];
    from the second segment on ``layerN`` [B, N, D], the coefficients of the signal before them, and
    ``placesN`` [B, P], where it is sampled.
    """

    settings_class = InfinitySettings

    def add_memory(self) -> None:
        config, count = self.config, self.config.memory
        self.look = self.each_layer(lambda: Attention(config.hidden, config.heads, config.dropout))
        self.place = self.each_layer(lambda: nn.Linear(count, 2))
        if self.settings.mask:
            self.mask = self.each_layer(lambda: nn.Conv1d(config.hidden, config.hidden, 3, 1, 1))
        self.register_buffer("center", torch.linspace(0, 1, count), persistent=False)
        self.spread = 1.0 / count

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        attended, there = block.attend(states, real), all_real(states, real)
        if f"entering{number}" in self._carried:
            signal = self._signal(number)
            mean, variance, looked = self._looked(number, block.attention_norm(states), signal)
            attended = attended + looked
            self._carried[f"layer{number}"] = signal.detach()
            self._carried[f"places{number}"] = self._places(mean, variance, there)
        self._carried[f"entering{number}"] = states.detach()
        self._carried[f"real{number}"] = there
        return block.fed(attended)

    def _looked(self, number: int, states: Tensor, signal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means and variances of the queries' densities [B, H, S], and what they expect of the
        signal [B, N, D]: [B, S, D].
        """
        look, place = self.look[number], self.place[number]
        assert isinstance(look, Attention)
        query, (key, value) = look.queries(states), look.pairs(signal)
        score = query @ key.transpose(2, 3) * key.shape[3] ** -0.5
        mean, width = place(score).unbind(-1)
        mean, variance = mean.sigmoid(), functional.softplus(width).clamp_min(1e-4)
        prior = self.settings.width**2
        kl = 0.5 * (variance / prior - (variance / prior).log() - 1.0)
        self.extra_loss = self.extra_loss + self.settings.kl_weight * kl.mean()
        return mean, variance, look.joined(self._density(mean, variance) @ value)

    def _density(self, at: Tensor, variance: Tensor | float = 0.0) -> Tensor:
        """E[psi_j(t)] for t ~ N(at, variance) and every basis function j: [...] to [..., N]."""
        total = torch.as_tensor(variance, device=at.device).unsqueeze(-1) + self.spread**2
        assert isinstance(self.center, Tensor)
        distance = (at.unsqueeze(-1) - self.center).square()
        peak = self.spread * torch.rsqrt(total)  # psi(center) = 1
        result: Tensor = peak * (-0.5 * distance / total).exp()
        return result

    def _signal(self, number: int) -> Tensor:
        """Coefficients [B, N, D] of the old signal with the last segment's inputs behind it."""
        states, real = self._carried[f"entering{number}"], self._carried[f"real{number}"]
        if self.settings.mask:
            states = states.masked_fill(~real.unsqueeze(2), 0.0)
            states = states * self.mask[number](states.transpose(1, 2)).sigmoid().transpose(1, 2)
        old = self._carried.get(f"layer{number}")
        if old is None:
            return self._fitted(states, real)
        sampled = self._density(self._carried[f"places{number}"]) @ old
        # a lane that read nothing but padding keeps its signal as it was
        return self._fitted(states, real, sampled).where(real.any(1).view(-1, 1, 1), old)

    def _fitted(self, states: Tensor, real: Tensor, sampled: Tensor | None = None) -> Tensor:
        """Fit coefficients [B, N, D] to ``sampled`` [B, P, D], squeezed, and ``states`` behind."""
        lanes, length, _ = states.shape
        first = 0.0 if sampled is None else self.settings.tau
        at = first + (1 - first) * _even(length, states)
        weight = real.to(states.dtype)
        if sampled is not None:
            count = sampled.shape[1]
            states = torch.cat((sampled, states), 1)
            at = torch.cat((first * _even(count, states), at))
            weight = torch.cat((weight.new_ones((lanes, count)), weight), 1)
        basis = self._density(at)  # [P + S, N]
        weighed = basis.t() * weight.unsqueeze(1)  # [B, N, P + S]
        penalty = self.settings.ridge / _AUTHORS_HEIGHT**2
        ridge = penalty * torch.eye(self.config.memory, device=states.device)
        fitted: Tensor = torch.linalg.solve(weighed @ basis + ridge, weighed @ states)
        return fitted

    @torch.no_grad()
    def _places(self, mean: Tensor, variance: Tensor, real: Tensor) -> Tensor:
        """Where to sample the signal [B, P]: evenly, or at quantiles of where attention went."""
        count = self.settings.samples or self.config.memory
        share = _even(count, mean).expand(len(mean), -1).contiguous()
        if not self.settings.sticky:
            return share
        edges = torch.linspace(0, 1, _BINS + 1, device=mean.device)
        below = torch.special.ndtr((edges - mean.unsqueeze(3)) * variance.rsqrt().unsqueeze(3))
        mass = below.diff(dim=3) * real.view(len(real), 1, -1, 1)
        mass = mass.sum((1, 2)) + 1e-6  # [B, bins]; no bin is empty
        bounds = functional.pad((mass / mass.sum(1, keepdim=True)).cumsum(1), (1, 0))
        bin_number = torch.searchsorted(bounds, share).clamp(1, _BINS)
        left, right = (bounds.gather(1, bin_number - side) for side in (1, 0))
        return (bin_number - 1 + ((share - left) / (right - left)).clamp(0, 1)) / _BINS


def _even(count: int, like: Tensor) -> Tensor:
    """``count`` even places within [0, 1], on the device of ``like``."""
    return (torch.arange(count, device=like.device) + 0.5) / count
