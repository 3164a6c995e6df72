"""Torch's shared generators, lent to one run: seeded for it, and afterwards as they were before.

Initial weights and dropout draw from them and take no generator of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def seeded(seed: int, device: Any = "cpu") -> Iterator[None]:
    """Within the block, torch on the CPU and on ``device`` draws as after ``seed``."""
    import torch

    with torch.random.fork_rng(devices=_gpus(device)):
        torch.manual_seed(seed)
        yield


def generator_states(device: Any = "cpu") -> list[Any]:
    """Where the generators are, as tensors for a checkpoint."""
    import torch

    return [torch.get_rng_state(), *[torch.cuda.get_rng_state(gpu) for gpu in _gpus(device)]]


def set_generator_states(states: Sequence[Any], device: Any = "cpu") -> None:
    """Put the generators back to `generator_states`, within `seeded`."""
    import torch

    torch.set_rng_state(states[0].cpu())
    for gpu, state in zip(_gpus(device), states[1:], strict=False):
        torch.cuda.set_rng_state(state.cpu(), gpu)


def _gpus(device: Any) -> list[int]:
    import torch

    known = torch.device(device)
    if known.type != "cuda":
        return []
    return [torch.cuda.current_device() if known.index is None else known.index]
