"""B'MOJO (Zancato et al. 2024): a window, what fades, and tokens kept because they surprised.

Each layer attends, in one softmax, to its segment, to *eidetic* tokens and to *faded* ones:

    eidetic   its past inputs x that were hardest to foretell, as they were
    faded     what its linear state answered at its last inputs before the segment

The state S of a layer learns values of keys by the gated delta rule, at each token; what of a value
v it does not answer already, |v - S^T k|^2 before it learns it, is that token's surprise, and the
most surprising of all that was read stay. The budget is shared by state, eidetic and faded tokens,
about a third each; ``eidetic = 0`` is the authors' variant without those tokens (B'MOJO-F).

The window is the segment, not a number of tokens. The paper's innovation test is the same idea; its
predictor, learned beside the state, and its threshold are not followed: a fixed number is kept
instead. Surprise has no gradient. The projections of the state are its own, not tied to attention.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from memoria.errors import ConfigError
from memoria.experiments.rivals.regression_rules import GATED_DELTA, State, Written, answer, learn
from memoria.experiments.rivals.segment_model import MemorySize
from memoria.experiments.rivals.trunk import (
    Block,
    Past,
    Unrolled,
    UnrolledSettings,
    all_real,
    split_heads,
)

_SLOW = -6.9  # softplus of it is 0.001: the past fades by a half in about 700 tokens


class BMojoSettings(UnrolledSettings):
    """Settings of B'MOJO."""

    eidetic: int | None = Field(None, ge=0, description="Surprising tokens kept; a third if null.")
    faded: int | None = Field(None, ge=0, description="Faded tokens; half of the rest if null.")
    chunk: int = Field(64, ge=1, description="Tokens computed at once; changes only rounding.")


class _State(nn.Module):
    """The projections around one layer's state."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.query, self.key, self.value, self.out = (nn.Linear(hidden, hidden) for _ in range(4))
        self.weight, self.fading = (nn.Linear(hidden, heads) for _ in range(2))


class BMojo(Unrolled):
    """Each layer attends to [eidetic, faded, segment].

    Carries for each layer ``stateN`` [B, H, E, E]; ``eideticN`` [B, K, D] in the order read, with
    ``eideticN_real`` and ``surpriseN`` [B, K]; ``fadedN`` [B, F, D] with ``fadedN_real`` [B, F].
    """

    settings_class = BMojoSettings

    def add_memory(self) -> None:
        hidden, memory = self.config.hidden, self.config.memory
        kept, faded = self.settings.eidetic, self.settings.faded
        self.eidetic = memory // 3 if kept is None else kept
        left = memory - self.eidetic
        self.faded = left // 2 if faded is None else faded
        left -= self.faded
        fitting = [n for n in range(1, hidden + 1) if hidden % n == 0 and hidden // n <= left]
        if not fitting:
            message = f"memory = {memory}: nothing is left for the state of BMojo"
            raise ConfigError(message, "choose eidetic + faded below memory")
        self.state_heads = fitting[0]
        self.states = self.each_layer(lambda: _State(hidden, self.state_heads))

    def scale_weights(self) -> None:
        super().scale_weights()
        for state in self.states:
            assert isinstance(state, _State)
            nn.init.constant_(state.fading.bias, _SLOW)

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        state, there = self.states[number], all_real(states, real)
        assert isinstance(state, _State)
        past = [self._past(f"{kind}{number}") for kind in ("eidetic", "faded")]
        known = [one for one in past if one is not None]
        if known:
            attended = block.attend(
                states,
                real,
                torch.cat([one[0] for one in known], 1),
                torch.cat([one[1] for one in known], 1),
            )
        else:
            attended = block.attend(states, real)
        answers, surprise = self._learned(number, state, states, there)
        if self.faded:
            self._keep(f"faded{number}", _latest(past[1], answers, there, self.faded))
        if self.eidetic:
            self._choose(number, past[0], states, there, surprise)
        return block.fed(attended)

    def _learned(
        self, number: int, state: _State, states: Tensor, real: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Let the state learn ``states`` [B, S, D]: its answers, [B, S, D], and surprise [B, S]."""
        normed = state.norm(states)
        query, key, value = (
            split_heads(made(normed), self.state_heads)
            for made in (state.query, state.key, state.value)
        )
        query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
        there = real.unsqueeze(1).to(states.dtype)
        weight = state.weight(normed).sigmoid().transpose(1, 2) * there
        decay = -functional.softplus(state.fading(normed)).transpose(1, 2) * there
        written = Written(key, value, weight, decay)
        size = key.shape[-1]
        empty = states.new_zeros((len(states), self.state_heads, size, size))
        before = State(self._carried.get(f"state{number}", empty))
        none = states.new_zeros(())
        answers, after = learn(GATED_DELTA, before, query, written, none, self.settings.chunk)
        with torch.no_grad():
            # what the state answers to a key is asked after the token before it
            later, _ = learn(
                GATED_DELTA, before, key.roll(-1, 2), written, none, self.settings.chunk
            )
            first = answer(before, key[:, :, :1], none)
            missed = value - torch.cat((first, later[:, :, :-1]), 2)
            surprise = missed.square().sum((1, 3))
        self._carried[f"state{number}"] = after.values
        out: Tensor = state.out(answers.transpose(1, 2).flatten(2))
        return out, surprise

    def _choose(
        self, number: int, past: Past | None, states: Tensor, real: Tensor, surprise: Tensor
    ) -> None:
        """Keep the most surprising of all tokens read; of equals those read first."""
        if past is not None:
            states, real = torch.cat((past[0], states), 1), torch.cat((past[1], real), 1)
            surprise = torch.cat((self._carried[f"surprise{number}"], surprise), 1)
        ranked = surprise.masked_fill(~real, -torch.inf)
        order = ranked.argsort(dim=1, descending=True, stable=True)
        chosen = order[:, : self.eidetic].sort(dim=1).values
        self._keep(f"eidetic{number}", (_gathered(states, chosen), real.gather(1, chosen)))
        self._carried[f"surprise{number}"] = surprise.gather(1, chosen)

    def memory_size(self) -> MemorySize:
        vectors = self.eidetic + self.faded + self.config.hidden // self.state_heads
        return MemorySize(vectors, vectors * self.config.layers)

    def _past(self, name: str) -> Past | None:
        states = self._carried.get(name)
        return None if states is None else (states, self._carried[f"{name}_real"])

    def _keep(self, name: str, past: Past) -> None:
        self._carried[name], self._carried[f"{name}_real"] = past


def _latest(past: Past | None, states: Tensor, real: Tensor, count: int) -> Past:
    """The last ``count`` real vectors of each lane, in order and on the right, with gradients."""
    if past is not None:
        states, real = torch.cat((past[0], states), 1), torch.cat((past[1], real), 1)
    order = real.to(torch.uint8).argsort(dim=1, stable=True)[:, -count:]
    return _gathered(states, order), real.gather(1, order)


def _gathered(states: Tensor, places: Tensor) -> Tensor:
    """``states`` [B, N, D] at ``places`` [B, K]."""
    return states.gather(1, places.unsqueeze(2).expand(-1, -1, states.shape[2]))
