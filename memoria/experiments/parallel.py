"""The processes that train one model together: one alone, or those of ``accelerate launch``.

Every process takes its share of each batch, gradients are averaged before each optimiser step, and
sums are added over all. Weights start equal because they are drawn from the same seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from memoria.core.checks import as_device
from memoria.errors import MissingExtraError
from memoria.experiments.engines import is_launched

__all__ = ["Alone", "Together", "processes"]


class Alone:
    """A single process."""

    rank = 0
    count = 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Make the gradients the mean over all processes; none counts as zero."""

    def total(self, numbers: Tensor) -> Tensor:
        """The sum over all processes."""
        return numbers

    def gathered(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        """The state of every process, by rank."""
        return [state]


class Together(Alone):
    """One of several processes, through accelerate."""

    def __init__(self, device: str) -> None:
        try:
            from accelerate import Accelerator
        except ImportError:
            raise MissingExtraError("training in several processes", "train") from None
        self._accelerator = Accelerator(cpu=device == "cpu")
        super().__init__(self._accelerator.device)
        self.rank = self._accelerator.process_index
        self.count = self._accelerator.num_processes

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        if self.count == 1:
            return
        parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        flat = torch.cat([part.reshape(-1) for part in parts])
        mean = self._accelerator.reduce(flat, reduction="mean")
        sizes = [one.numel() for one in parameters]
        for parameter, part in zip(parameters, mean.split(sizes), strict=True):
            parameter.grad = part.view_as(parameter)

    def total(self, numbers: Tensor) -> Tensor:
        added: Tensor = self._accelerator.reduce(numbers, reduction="sum")
        return added

    def gathered(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        from accelerate.utils import gather_object

        states: list[dict[str, Any]] = gather_object([state])
        return states


def processes(device: str) -> Alone:
    """Those that this process works with, on ``device`` ("auto": a GPU if there is one).

    Raises `ConfigError` for a device that is not there.
    """
    if is_launched():
        return Together(device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    known = as_device(device)
    assert known is not None
    return Alone(known)
