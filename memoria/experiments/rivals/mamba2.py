"""Mamba-2 (Dao and Gu 2024) by the mixer of transformers: a fading state in place of attention.

Each block's attention is a `Mamba2Mixer`, with its convolution over four tokens, gate and norm; the
feed-forward layers, which Mamba-2 has none of, stay, so that all rivals are of one size. The state
goes on from segment to segment, with gradients, as if all had been one sequence. It has as many
numbers for each channel as the budget allows, which also holds the convolution's last inputs. The
mixer widens the states by ``expand``; the paper's is 2.

`mamba2-rule` is the same recurrence beside attention, in the frame of the other linear memories.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from memoria.errors import ConfigError, MissingExtraError
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.segment_model import MemorySize
from memoria.experiments.rivals.trunk import Block, Unrolled, UnrolledSettings, all_real


class Mamba2Settings(UnrolledSettings):
    """Settings of Mamba-2."""

    expand: int = Field(1, ge=1, le=8, description="Channels for each number of a state vector.")
    chunk: int = Field(64, ge=1, description="Tokens computed at once; changes only rounding.")


_KERNEL = 4


class Mamba2(Unrolled):
    """Carries ``stateN`` [B, H, E, N] and ``inputsN`` [B, C, 3] of each layer's convolution."""

    settings_class = Mamba2Settings

    def add_memory(self) -> None:
        try:
            from transformers import Mamba2Config
            from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer
        except ImportError:
            raise MissingExtraError("rival 'mamba2'", "hf") from None
        config = self.config
        wide = self.settings.expand * config.hidden
        self.numbers = _largest_state(config, wide)
        mixer: Any = Mamba2Mixer
        size = Mamba2Config(
            hidden_size=config.hidden,
            num_heads=config.heads,
            head_dim=wide // config.heads,
            expand=self.settings.expand,
            state_size=self.numbers,
            n_groups=1,
            conv_kernel=_KERNEL,
            num_hidden_layers=config.layers,
            chunk_size=min(self.settings.chunk, config.segment),
        )
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            made: nn.Module = mixer(size, layer_idx=number)
            block.attention = made  # type: ignore[assignment]

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        mixer: Any = block.attention
        names = f"state{number}", f"inputs{number}"
        shapes = (mixer.num_heads, mixer.head_dim, self.numbers), (mixer.conv_dim, _KERNEL - 1)
        before = [
            self._carried.get(name, states.new_zeros((len(states), *shape)))
            for name, shape in zip(names, shapes, strict=True)
        ]
        normed = block.attention_norm(states)
        lengths = all_real(states, real).sum(1)
        mixed, after = torch.zeros_like(normed), [one.clone() for one in before]
        for length in sorted(set(lengths.tolist())):  # padding must not make the state fade
            if length:
                lanes = (lengths == length).nonzero().squeeze(1)
                carried = _Carried(*(one[lanes] for one in before))
                out = _mixed(mixer, normed[lanes, :length], carried)
                mixed = mixed.index_put(
                    (lanes,), nn.functional.pad(out, (0, 0, 0, states.shape[1] - length))
                )
                after = [
                    one.index_put((lanes,), new)
                    for one, new in zip(after, (carried.state, carried.inputs), strict=True)
                ]
        self._carried.update(zip(names, after, strict=True))
        return block.fed(states + block.dropout(mixed))

    def memory_size(self) -> MemorySize:
        wide = self.settings.expand * self.config.hidden
        vectors = _vectors(self.config.hidden, wide, self.numbers)
        return MemorySize(vectors, vectors * self.config.layers)


class _Carried:
    """What the mixer takes for transformers' cache of this one layer; nothing is changed in place.

    Args:
        state: [B, H, E, N].
        inputs: the convolution's last inputs [B, C, 3].
    """

    def __init__(self, state: Tensor, inputs: Tensor) -> None:
        self.state, self.inputs = state.clone(), inputs

    def get_conv_state(self, layer: int, state_idx: int = 0) -> Tensor:
        return self.inputs

    def get_recurrent_state(self, layer: int, state_idx: int = 0) -> Tensor:
        return self.state  # a single token is written into it in place

    def is_recording_past(self, layer: int) -> bool:
        return True  # so that the convolution does not write in place

    def update_conv_state(self, inputs: Tensor, layer: int, **_: Any) -> Tensor:
        whole = torch.cat((self.inputs, inputs), 2)
        self.inputs = whole[:, :, 1 - _KERNEL :]
        return whole

    def update_recurrent_state(self, state: Tensor, layer_idx: int) -> Tensor:
        self.state = state
        return state


def _mixed(mixer: Any, states: Tensor, carried: _Carried) -> Tensor:
    """The mixer's output for ``states`` [B, S, D].

    It writes the state after a single token in place, so what is saved for gradients is copied.
    """
    if states.shape[1] > 1:
        result: Tensor = mixer(states, cache=carried)
        return result
    with saved_tensors_hooks(lambda one: one.detach().clone(), lambda one: one):
        single: Tensor = mixer(states, cache=carried)
    return single


def _vectors(hidden: int, wide: int, numbers: int) -> int:
    """Vectors [D] that a state and the convolution's inputs would make."""
    return -(-(wide * numbers + (_KERNEL - 1) * (wide + 2 * numbers)) // hidden)


def _largest_state(config: RivalConfig, wide: int) -> int:
    """Numbers for each channel within the budget. Raises `ConfigError` if there are none."""
    sizes = range(config.memory, 0, -1)
    fitting = (n for n in sizes if _vectors(config.hidden, wide, n) <= config.memory)
    largest = next(fitting, None)
    if largest is None:
        message = f"memory = {config.memory}: too small for Mamba2"
        raise ConfigError(message, f"use at least {_vectors(config.hidden, wide, 1)}")
    return largest
