"""Which weights learn: with a frozen base, under PEFT, on several processes, compiled."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from model_tools import BERT, GPT2, SMALL, drawn, text, texts
from torch import Tensor, nn

from memoria.models import (
    MemoriaBertConfig,
    MemoriaBertForSequenceClassification,
    MemoriaGPT2Config,
    MemoriaGPT2LMHeadModel,
    with_memory,
)

STILL = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}


def gpt2(**changes: Any) -> Any:
    config = MemoriaGPT2Config(**GPT2, **STILL, **{**SMALL, **changes})
    return drawn(lambda: MemoriaGPT2LMHeadModel(config)).train()


def bert() -> Any:
    config = MemoriaBertConfig(**BERT, **SMALL, memory_layer=0)
    return drawn(lambda: MemoriaBertForSequenceClassification(config)).train()


def adapted() -> Any:
    model = drawn(lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2, **STILL)))
    return drawn(lambda: with_memory(model, **SMALL)).train()


def labels_of(model: Any, segment: Tensor) -> Tensor:
    return segment[:, 0] % 2 if "Bert" in type(model).__name__ else segment


def loss_of(model: Any, segment: Tensor) -> Tensor:
    loss: Tensor = model(segment, labels=labels_of(model, segment)).loss
    return loss


def of_memory(model: nn.Module) -> dict[str, nn.Parameter]:
    parts = ("abstractor", "reader")
    named = model.named_parameters()
    return {name: weight for name, weight in named if any(one in name for one in parts)}


@pytest.mark.parametrize("make", [gpt2, bert, adapted])
def test_every_segment_gives_every_weight_of_the_memory_a_gradient(make: Any) -> None:
    model = make()
    weights = of_memory(model)
    for weight in set(model.parameters()) - set(weights.values()):
        weight.requires_grad_(False)
    for number, segment in enumerate(texts(4)):
        model.zero_grad()
        loss_of(model, segment).backward()
        assert all(weight.grad is not None for weight in weights.values())
        if number == 3:
            assert weights[next(n for n in weights if n.endswith("out.weight"))].grad.any()
    with model.memory.paused():
        model.zero_grad()
        loss_of(model, text()).backward()
        assert not any(weight.grad.any() for weight in weights.values())


def test_an_adapter_leaves_no_gradients_on_the_base_unless_asked() -> None:
    model = drawn(lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2, **STILL)))
    still = model.transformer.wpe.weight.requires_grad_(False)
    adapter = with_memory(model, **SMALL)
    for segment in texts(3):
        loss_of(adapter, segment).backward()
    assert all(weight.grad is None for weight in model.parameters())
    adapter.remove()
    assert all(weight.requires_grad != (weight is still) for weight in model.parameters())
    adapter = with_memory(model, train_base=True, **SMALL)
    loss_of(adapter, text()).backward()
    assert model.transformer.wte.weight.grad is not None


def test_peft_trains_a_memory_that_it_saves() -> None:
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(
        r=2, target_modules=["c_attn"], modules_to_save=["abstractor", "reader"]
    )
    model = peft.get_peft_model(gpt2(initial_lifespan=9), settings).train()
    trained = {name: weight for name, weight in of_memory(model).items() if weight.requires_grad}
    assert any("abstractor" in name for name in trained)
    before = {name: weight.detach().clone() for name, weight in trained.items()}
    optimizer = torch.optim.Adam([w for w in model.parameters() if w.requires_grad], lr=1e-2)
    for segment in texts(4):
        optimizer.zero_grad()
        loss_of(model, segment).backward()
        optimizer.step()
    assert all(not torch.equal(weight, before[name]) for name, weight in trained.items())
    inner = model.base_model.model.transformer
    learned = inner.abstractor.modules_to_save["default"]
    with torch.no_grad():
        learned.output.bias.fill_(7.0)
        learned.output.weight.zero_()
    model(text())
    assert (inner.memory.last.working == 7.0).all()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def train_on_rank(rank: int, port: int, static_graph: bool, folder: str) -> None:
    address = f"tcp://127.0.0.1:{port}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    made = (gpt2(), bert(), adapted())
    for number, model in enumerate(made):
        parallel = nn.parallel.DistributedDataParallel(model, static_graph=static_graph)
        optimizer = torch.optim.SGD(of_memory(model).values(), lr=1e-2)
        for segment in texts(5, lanes=4):
            rows = segment[2 * rank : 2 * rank + 2]
            optimizer.zero_grad()
            parallel(rows, labels=labels_of(model, rows)).loss.backward()
            optimizer.step()
        weights = {name: weight.detach() for name, weight in of_memory(model).items()}
        torch.save(weights, f"{folder}/{number}-{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("static_graph", [False, True])
def test_processes_train_one_model_together(static_graph: bool, tmp_path: Path) -> None:
    arguments = (free_port(), static_graph, str(tmp_path))
    torch.multiprocessing.spawn(train_on_rank, arguments, nprocs=2)
    initial = (gpt2(), bert(), adapted())
    for number, model in enumerate(initial):
        first, second = (torch.load(tmp_path / f"{number}-{rank}.pt") for rank in (0, 1))
        assert first.keys() == second.keys() == of_memory(model).keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert any(not torch.equal(first[name], of_memory(model)[name]) for name in first)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("make", [gpt2, bert, adapted])
def test_a_compiled_model_breaks_at_the_memory_alone(make: Any) -> None:
    model, plain = make().eval(), make().eval()
    for segment in texts(3):
        loss_of(model, segment)
    model.memory.reset()
    torch._dynamo.reset()
    compiled = torch.compile(lambda segment: loss_of(model, segment), backend="eager")
    for segment in texts(7):
        torch.testing.assert_close(compiled(segment), loss_of(plain, segment))
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for segment in texts(4):
        compiled(segment)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs
    torch._dynamo.reset()
    segment = text()
    explained = torch._dynamo.explain(model)(segment, labels=labels_of(model, segment))
    assert explained.graph_break_count <= 4, explained.break_reasons


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_inductor_gives_the_same_losses_and_gradients() -> None:
    if not any(map(shutil.which, ("g++", "clang++"))):
        pytest.skip("inductor needs a C++ compiler")
    torch._dynamo.reset()
    model, plain = (gpt2(reader_zero=False) for _ in range(2))
    compiled = torch.compile(loss_of)
    for segment in texts(5):
        losses = compiled(model, segment), loss_of(plain, segment)
        torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-5)
        for one in losses:
            one.backward()
        for found, weight in zip(model.parameters(), plain.parameters(), strict=True):
            assert found.grad is not None
            assert weight.grad is not None
            near = 1e-3 * weight.grad.abs().max().item() + 1e-6
            torch.testing.assert_close(found.grad, weight.grad, rtol=0.0, atol=near)
    assert all(
        weight.grad is not None and weight.grad.any() for weight in of_memory(model).values()
    )
    torch._dynamo.reset()
