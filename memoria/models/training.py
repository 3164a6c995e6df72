"""Training with transformers' `Trainer`: batches that are streams, a memory in every checkpoint.

A model with a memory reads batch after batch as one stream a row. So batches must come in that
order, validation must not enter the memory of training, and a checkpoint holds the memory too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback

from memoria.errors import ConfigError, InputError
from memoria.models.memory import SegmentMemory

MEMORY_FILE: Final = "memory.safetensors"  # in a checkpoint's folder


class StreamSampler(Sampler[int]):
    """Order in which batches of ``len(streams)`` rows read each stream in its own row.

    ``streams[0][0], streams[1][0], ..., streams[0][1], streams[1][1], ...`` up to the end of the
    shortest stream; what longer ones have beyond it is left out, as every row must go on.

    Args:
        streams: for each row the indices of its segments in the data set, in reading order.

    Raises:
        ConfigError: there is no stream, or an empty one.
    """

    def __init__(self, streams: Sequence[Sequence[int]]) -> None:
        if not streams or not all(len(stream) for stream in streams):
            raise ConfigError("streams: every row of a batch needs a segment to read")
        self.streams = streams

    def __len__(self) -> int:
        return len(self.streams) * min(map(len, self.streams))

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(zip(*self.streams, strict=False))


def stream_order(segments: int, lanes: int) -> StreamSampler:
    """The order for one long text of ``segments`` segments, cut into ``lanes`` equal streams."""
    if lanes < 1 or segments < lanes:
        raise ConfigError(f"lanes = {lanes}: the text has {segments} segments")
    length = segments // lanes
    return StreamSampler([range(lane * length, (lane + 1) * length) for lane in range(lanes)])


class MemoriaCallback(TrainerCallback):
    """Saves the memory in every checkpoint of a `Trainer`, and goes on from it when training does.

    Args:
        memory: ``model.memory`` of a model with memory, or of an adapter.
    """

    def __init__(self, memory: SegmentMemory) -> None:
        self.memory = memory

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Load the memory of the checkpoint that training resumes from."""
        if state.global_step == 0:
            return
        named = args.resume_from_checkpoint
        latest = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        load_memory_state(self.memory, Path(named) if isinstance(named, str) else latest)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the memory beside the checkpoint that was written."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        save_memory_state(self.memory, folder)


class MemoriaTrainer(Trainer):
    """transformers' `Trainer` for a model with memory.

    - Batches are read in the order of the data set, a row of the batch a stream; give ``streams``,
      or a data set that is in that order already. The last, smaller batch is left out.
    - Evaluation and prediction use another, empty memory; that of training is untouched.
    - A checkpoint holds the memory; training resumed from it goes on as if it had not stopped.

    Args:
        streams: order of the training segments, a `StreamSampler`; None: that of the data set.
        arguments, keywords: of `Trainer`. ``args.dataloader_drop_last`` is set.

    Raises:
        ConfigError: the model has no ``memory``.
    """

    def __init__(
        self, *arguments: Any, streams: StreamSampler | None = None, **keywords: Any
    ) -> None:
        super().__init__(*arguments, **keywords)
        memory = getattr(self.model, "memory", None)
        if not isinstance(memory, SegmentMemory):
            raise ConfigError("the model has no memory", "give a model of memoria.models")
        self.memory, self.streams = memory, streams
        if streams is not None and len(streams.streams) != self.args.train_batch_size:
            size, rows = self.args.train_batch_size, len(streams.streams)
            raise ConfigError(f"batches of {size} rows for {rows} streams", "one row for each")
        self.args.dataloader_drop_last = True
        self.add_callback(MemoriaCallback(memory))

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        if self.streams is not None:
            return self.streams
        data: Any = self.train_dataset if train_dataset is None else train_dataset
        return SequentialSampler(data)

    def evaluation_loop(self, *arguments: Any, **keywords: Any) -> Any:
        """As in `Trainer`, with a memory of its own."""
        with self.memory.aside():
            return super().evaluation_loop(*arguments, **keywords)


def save_memory_state(memory: SegmentMemory, folder: Path) -> None:
    """Write ``memory.state()`` to a checkpoint's folder."""
    from safetensors.torch import save_file

    state = {name: value.contiguous() for name, value in memory.state_dict().items()}
    save_file(state, folder / MEMORY_FILE)


def load_memory_state(memory: SegmentMemory, folder: Path) -> None:
    """Go on from the memory in a checkpoint's folder. Raises `InputError` where there is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / MEMORY_FILE
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        hint = "only checkpoints of MemoriaTrainer or MemoriaCallback hold a memory"
        raise InputError(f"{path}: cannot read: {error}", hint) from None
    memory.load_state_dict(state)
