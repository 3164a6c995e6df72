"""transformers' Trainer with a memory: streams, evaluation aside, checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from model_tools import GPT2, SMALL, VOCABULARY, drawn, quiet

from memoria.errors import ConfigError, InputError

pytest.importorskip("accelerate")

from memoria.models import (
    MemoriaGPT2Config,
    MemoriaGPT2LMHeadModel,
    MemoriaTrainer,
    StreamSampler,
    stream_order,
)

LANES, LENGTH, SEGMENTS = 2, 8, 6
# What Trainer restores of torch's generator is its own affair.
STILL = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}


class Segments(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """One text of LANES * SEGMENTS segments."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        count = LANES * SEGMENTS
        self.tokens = torch.randint(3, VOCABULARY, (count, LENGTH), generator=generator)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.tokens[at], "labels": self.tokens[at]}


def trainer(folder: Path, steps: int = SEGMENTS, data: Any = None, **settings: Any) -> Any:
    from transformers import TrainingArguments

    config = MemoriaGPT2Config(**GPT2, **STILL, **SMALL, reset_period=None)
    model = drawn(lambda: MemoriaGPT2LMHeadModel(config))
    usual: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": LANES,
        "per_device_eval_batch_size": LANES,
        "save_strategy": "steps",
        "save_steps": 3,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "lr_scheduler_type": "constant",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 0,
    }
    arguments = TrainingArguments(**{**usual, **settings})
    data = Segments() if data is None else data
    streams = stream_order(len(data), LANES)
    made = MemoriaTrainer(model, arguments, train_dataset=data, eval_dataset=data, streams=streams)
    return made


def test_rows_of_batches_are_streams() -> None:
    assert list(StreamSampler([[0, 1, 2, 3], [5, 6]])) == [0, 5, 1, 6, 2]
    assert list(StreamSampler([[5, 6], [0, 1, 2]])) == [0, 5, 1, 6, 2]
    assert list(stream_order(6, 2)) == [0, 3, 1, 4, 2, 5]
    assert list(stream_order(7, 2)) == [0, 4, 1, 5, 2, 6, 3]
    assert list(stream_order(8, 3)) == [0, 3, 6, 1, 4, 7, 2, 5]
    for segments in range(3, 12):
        order = stream_order(segments, 3)
        assert sorted(order) == list(range(segments))
        assert len(order) == segments
    with pytest.raises(ConfigError, match="lanes = 3"):
        stream_order(2, 3)
    with pytest.raises(ConfigError, match="every row"):
        StreamSampler([[1], []])


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    with quiet():
        whole = trainer(tmp_path / "whole")
        whole.train()
        trainer(tmp_path / "half", steps=3).train()
        rest = trainer(tmp_path / "half")
        rest.train(resume_from_checkpoint=str(tmp_path / "half" / "checkpoint-3"))
    assert whole.memory.timestep == rest.memory.timestep == SEGMENTS - 1
    assert whole.memory.memoria.engrams == rest.memory.memoria.engrams
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, rest.model.state_dict()[name]), name


def test_evaluation_does_not_enter_the_memory_of_training(tmp_path: Path) -> None:
    with quiet():
        made = trainer(tmp_path, steps=3)
        made.train()
        before = made.memory.state()
        first = made.evaluate()["eval_loss"]
        assert made.evaluate()["eval_loss"] == first
    after = made.memory.state()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


class Documents(Segments):
    """Seven segments for two lanes: the last batch is smaller; a document begins in lane 1."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = self.tokens[:7]

    def __getitem__(self, at: int) -> dict[str, Any]:
        return {**super().__getitem__(at), "document_start": at == 5}


def test_documents_and_a_smaller_batch_are_read_as_in_a_plain_loop(tmp_path: Path) -> None:
    data = Documents()
    with quiet():
        made = trainer(tmp_path, steps=4, data=data, learning_rate=0.0, save_strategy="no")
        plain = trainer(tmp_path / "plain").model.train()
        made.train()
    for rows in ((0, 4), (1, 5), (2, 6), (3,)):
        if 5 in rows:
            plain.memory.reset_lanes(torch.tensor([False, True]))
        plain(torch.stack([data.tokens[row] for row in rows]))
    found, expected = made.memory.state(), plain.memory.state()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    with quiet():
        assert made.evaluate()["eval_loss"] > 0


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with quiet():
        made = trainer(tmp_path)
    made.args.eval_strategy = "no"
    with pytest.raises(ConfigError, match="batches of 2 rows for 1 streams"):
        MemoriaTrainer(made.model, made.args, streams=StreamSampler([[0, 1]]))
    (tmp_path / "checkpoint-1").mkdir()
    from memoria.models.training import load_memory_state

    with pytest.raises(InputError, match=r"memory\.safetensors"):
        load_memory_state(made.memory, tmp_path / "checkpoint-1")
