"""Train with validation, checkpoints, and resumption that ends with the same numbers.

What a step does depends on the weights, the optimiser's state, the number of the step, torch's
generators and what the model carries. A checkpoint holds all of them, so a run that was killed
ends bit for bit as an unbroken one on the same machine.

One process trains, or those of ``accelerate launch`` together: each takes its share of every
batch, gradients are averaged before the optimiser's step, and sums are added over all. Weights
start equal because they are drawn from the same seed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from memoria.core.checks import as_device
from memoria.errors import MissingExtraError, StateError
from memoria.experiments.run import Run, is_launched
from memoria.experiments.seeding import generator_states, seeded, set_generator_states
from memoria.experiments.training_config import TrainingConfig

_FIRST_CHECKPOINT: Final = 10
_RANK_SEEDS: Final = 7919  # apart from each other, so that ranks drop out different units
_ORDER_STREAM: Final = 3  # of random numbers, apart from those that make data

Sums = Mapping[str, float]


class Processes:
    """The processes that train together; this class is a single one.

    Attributes:
        device: where this process computes.
        rank: number of this process, from 0.
        count: number of processes.
    """

    rank = 0
    count = 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def shares(self, count: int, size: int) -> Iterator[range]:
        """Which of ``count`` examples this process takes, in batches of at most ``size``."""
        own = range(self.rank, count, self.count)
        for start in range(0, len(own), size):
            yield own[start : start + size]

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Make the gradients the mean over all processes; a missing one counts as zero."""

    def total(self, numbers: Tensor) -> Tensor:
        """The sum over all processes."""
        return numbers

    def gathered(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        """The state of every process, by rank."""
        return [state]


class LaunchedProcesses(Processes):
    """Several processes, which talk through accelerate."""

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


def find_processes(device: str) -> Processes:
    """The processes that this one trains with.

    Args:
        device: "auto" takes a GPU if there is one.

    Raises:
        ConfigError: there is no such device.
    """
    if is_launched():
        return LaunchedProcesses(device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    known = as_device(device)
    assert known is not None
    return Processes(known)


class Task(ABC):
    """What is trained, on which data: one step, and one measurement of a split.

    Attributes:
        model: what is trained; it must exist when the constructor returns. If it says its
            ``inner``, the width of its feed-forward layers, the run's log and ``run.json`` do too.
        steps: how many to train, where they are not the configuration's; said there too.
    """

    model: nn.Module
    steps: int | None = None

    @abstractmethod
    def learn(self, step: int) -> Sums:
        """Add the gradients of the batch of ``step``, which depends on ``step`` alone.

        Returns:
            Numbers to log, such as the loss.
        """

    @abstractmethod
    def measure(self, split: str) -> Sums:
        """Sums over this process's share of "validation" or "test", without gradients."""

    @abstractmethod
    def metrics(self, sums: Sums) -> dict[str, float]:
        """The experiment's metrics by name, from the sums over all processes."""

    def carried(self) -> dict[str, Any]:
        """What passes from step to step beside the weights, as tensors and plain values."""
        return {}

    def carry(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (most carry nothing)
        """Go on from what `carried` returned."""

    def keep(self, run: Run) -> None:  # noqa: B027 (most keep nothing)
        """Put what is worth keeping into the run's folder, after the test."""


def batch_order(seed: int, step: int, batch: int, count: int) -> list[int]:
    """Which of ``count`` examples the batch of ``step`` holds; every epoch is shuffled anew."""
    epochs, positions = np.divmod(np.arange(step * batch, (step + 1) * batch), count)
    orders = {
        epoch: np.random.default_rng([seed, _ORDER_STREAM, epoch]).permutation(count)
        for epoch in sorted({*epochs.tolist()})
    }
    return [int(orders[epoch][at]) for epoch, at in zip(epochs.tolist(), positions, strict=True)]


def train(config: TrainingConfig, run: Run, make: Callable[[Processes], Task]) -> dict[str, float]:
    """Train to the end, from the last checkpoint if there is one.

    Rows of the run are of kind "training" (step, loss, rate, norm) and "validation" (step,
    metrics). Torch's generators are lent to it and given back.

    Args:
        config: settings of the run.
        run: where rows and checkpoints go.
        make: builds the task for this process.

    Returns:
        Metrics of the test split, with the number of parameters and steps.
    """
    processes = find_processes(config.device)
    config.share(processes.count)
    with seeded(config.seed, processes.device):
        task = make(processes)  # equal weights everywhere
    if task.steps is not None:
        config = config.replace(steps=task.steps)
    with seeded(config.seed + _RANK_SEEDS * processes.rank, processes.device):
        return _Training(config, run, processes, task).finish()


def network_size(model: nn.Module) -> dict[str, int]:
    """Trainable numbers, and the real width of the feed-forward layers where ``model`` says it."""
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    inner = getattr(model, "inner", None)
    return {"parameters": trained} if inner is None else {"inner": inner, "parameters": trained}


class _Training:
    def __init__(self, config: TrainingConfig, run: Run, processes: Processes, task: Task) -> None:
        self.config, self.run, self.processes, self.task = config, run, processes, task
        self.parameters = [one for one in task.model.parameters() if one.requires_grad]
        kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
        options = {"weight_decay": config.weight_decay} if config.optimizer == "adamw" else {}
        self.optimizer = kinds[config.optimizer](
            self.parameters, lr=config.learning_rate, **options
        )
        self.done = 0

    def finish(self) -> dict[str, float]:
        size = network_size(self.task.model)
        planned = {} if self.task.steps is None else {"steps": self.task.steps}
        self.run.mark("running", network={**size, **planned})
        state = self.run.restored()
        if state is None:
            self.run.log({"kind": "network", **size, **planned})
        else:
            self._restore(state)
        last = self.done == self.config.steps
        while not last:
            last = self._step()
        found = self._measure("test")
        self.task.keep(self.run)
        if self.processes.device.type == "cuda":  # in place of this process's own
            peak = torch.cuda.max_memory_allocated(self.processes.device)
            self.run.mark("running", peak_bytes=peak)
        return {**found, **size, "steps": self.done}

    def _step(self) -> bool:
        """Learn once; whether that was the last time."""
        config, step = self.config, self.done
        self.task.model.train()
        with self._precision():
            numbers = self.task.learn(step)
        self.processes.average(self.parameters)
        norm = nn.utils.clip_grad_norm_(self.parameters, config.clip)
        rate = config.rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        last = self.done == config.steps or self._is_late()
        if last or self.done % config.log_every == 0:
            row = {"kind": "training", "step": self.done, **numbers, "rate": rate}
            self.run.log({**row, "norm": float(norm)})
            self._check(numbers)
        if last or self.done % config.validate_every == 0:
            found = self._measure("validation")
            self.run.log({"kind": "validation", "step": self.done, **found})
        due = last or self.done == _FIRST_CHECKPOINT or self.done % config.checkpoint_every == 0
        if due or self.run.stopping:
            self._checkpoint()
        self.run.progress(self.done, config.steps)
        return last

    def _measure(self, split: str) -> dict[str, float]:
        self.task.model.eval()
        with torch.no_grad(), self._precision():
            sums = dict(self.task.measure(split))
        numbers = torch.tensor(list(sums.values()), dtype=torch.float64)
        if self.processes.count > 1:
            numbers = self.processes.total(numbers.to(self.processes.device))
        return self.task.metrics(dict(zip(sums, numbers.tolist(), strict=True)))

    def _precision(self) -> AbstractContextManager[Any]:
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(self.processes.device.type, torch.bfloat16)

    def _is_late(self) -> bool:
        """Whether ``max_seconds`` are over, in any of the processes."""
        if self.config.max_seconds is None:
            return False
        late = self.run.seconds >= self.config.max_seconds
        if self.processes.count == 1:
            return late
        told = torch.tensor([float(late)], device=self.processes.device)
        return bool(self.processes.total(told) > 0)

    def _check(self, numbers: Sums) -> None:
        wrong = next((name for name, value in numbers.items() if value != value), None)
        if wrong is not None:
            hint = "a smaller learning_rate may help"
            raise StateError(f"{wrong} is not a number at step {self.done}", hint)

    def _checkpoint(self) -> None:
        own = {
            "generators": generator_states(self.processes.device),
            "carried": self.task.carried(),
        }
        self.run.checkpoint(
            {
                "step": self.done,
                "model": self.task.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "processes": self.processes.gathered(own),
            }
        )

    def _restore(self, state: Mapping[str, Any]) -> None:
        held = state["processes"]
        if len(held) != self.processes.count:
            raise StateError(
                f"{self.run.path}: trained by {len(held)} processes, not {self.processes.count}",
                "start as many as before, or name another folder",
            )
        self.done = int(state["step"])
        self.task.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        own = held[self.processes.rank]
        self.task.carry(own["carried"])
        set_generator_states(own["generators"], self.processes.device)
