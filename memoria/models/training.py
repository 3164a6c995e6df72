"""Training with transformers' `Trainer`: batches that are streams, a memory in every checkpoint.

A model with a memory reads batch after batch as one stream a row. So batches must come in that
order, validation must not enter the memory of training, and a checkpoint holds the memory too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import torch
from torch.nn import functional
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback

from memoria.errors import ConfigError, InputError
from memoria.models.memory import SegmentMemory

_STARTS: Final = "document_start"  # of a segment, true where a document begins
MEMORY_FILE: Final = "memory.safetensors"  # in a checkpoint's folder


class StreamSampler(Sampler[int]):
    """Order in which batches of ``len(streams)`` rows read each stream in its own row.

    ``streams[0][0], streams[1][0], ..., streams[0][1], streams[1][1], ...`` up to the end of the
    shortest stream, then one more segment of those that are longer, a smaller batch. What a stream
    has beyond that is left out.

    Args:
        streams: for each row the indices of its segments in the data set, in reading order. Those
            longer than the shortest become the first rows.

    Attributes:
        streams: in the order of rows.

    Raises:
        ConfigError: there is no stream, or an empty one.
    """

    def __init__(self, streams: Sequence[Sequence[int]]) -> None:
        if not streams or not all(len(stream) for stream in streams):
            raise ConfigError("streams: every row of a batch needs a segment to read")
        self._shortest = min(map(len, streams))
        self.streams = sorted(streams, key=lambda stream: len(stream) == self._shortest)

    def __len__(self) -> int:
        return len(self.streams) * self._shortest + len(self._last)

    def __iter__(self) -> Iterator[int]:
        return chain(chain.from_iterable(zip(*self.streams, strict=False)), self._last)

    @property
    def _last(self) -> list[int]:
        """The last, smaller batch."""
        longer = (stream for stream in self.streams if len(stream) > self._shortest)
        return [stream[self._shortest] for stream in longer]


def stream_order(segments: int, lanes: int) -> StreamSampler:
    """The order for one long text that is cut into streams, one for each lane.

    They are of equal length, but the first ones one segment longer where that does not come out.

    Args:
        segments: of the text.
        lanes: of the memory.
    """
    if lanes < 1 or segments < lanes:
        raise ConfigError(f"lanes = {lanes}: the text has {segments} segments")
    length, longer = divmod(segments, lanes)
    ends = [(lane + 1) * length + min(lane + 1, longer) for lane in range(lanes)]
    return StreamSampler([range(*ends_of) for ends_of in zip([0, *ends], ends, strict=False)])


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
      or a data set that is in that order already. The last batch may be smaller: lanes beyond its
      rows stand still.
    - Where a segment has a true ``document_start``, its row starts anew, as of a new document; the
      other rows go on.
    - Evaluation and prediction use another, empty memory; that of training is untouched.
    - A checkpoint holds the memory; training resumed from it goes on as if it had not stopped.

    Args:
        streams: order of the training segments, a `StreamSampler`; None: that of the data set.
        arguments, keywords: of `Trainer`.

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
        self.add_callback(MemoriaCallback(memory))

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        if self.streams is not None:
            return self.streams
        data: Any = self.train_dataset if train_dataset is None else train_dataset
        return SequentialSampler(data)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: list[str] = self._signature_columns
        if _STARTS not in columns:
            columns.append(_STARTS)

    def _prepare_inputs(self, inputs: Any) -> Any:
        prepared = dict(super()._prepare_inputs(inputs))
        starts, lanes = prepared.pop(_STARTS, None), self.memory.lanes
        if starts is not None and lanes is not None:
            anew = torch.as_tensor(starts).bool()
            self.memory.reset_lanes(functional.pad(anew, (0, max(0, lanes - len(anew)))))
        return prepared

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
