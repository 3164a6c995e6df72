"""Training steps of transformers models with memory against those of the plain models.

The memory is the authors' for each family (GPT-2: 50 engrams a segment, 50 + 50 reminded, life 9)
and is filled first. Parameters of both are told, for memory attention is not free of them. On the
CPU times are the process's own processor seconds, which other programs disturb less than a clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from benchmarks.options import fill, parser
from benchmarks.results import TableOf, finish, milliseconds, ratio, say, start, timing

NAME = "models"


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--device", default="cpu")
    made.add_argument("--layers", type=int, help="default 4")
    made.add_argument("--hidden", type=int, help="default 128")
    made.add_argument("--heads", type=int, default=4)
    made.add_argument("--vocabulary", type=int, default=2048, help="tokens there are")
    made.add_argument("--only", default="", help="models whose name begins so: GPT-2")
    made.add_argument("--batch", type=int, help="lanes (default 8)")
    made.add_argument("--length", type=int, help="tokens of a segment (default 150)")
    made.add_argument("--steps", type=int, help="steps timed (default 20)")
    made.add_argument("--warm-up", type=int, help="steps that fill the memory (default 30)")
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    import torch

    arguments = options().parse_args(words)
    fill(
        arguments,
        {
            "layers": (3, 4),
            "hidden": (32, 128),
            "batch": (2, 8),
            "length": (16, 150),
            "steps": (3, 20),
            "warm_up": (3, 30),
        },
    )
    torch.set_num_threads(arguments.threads)
    document = start(arguments)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        document["rows"] = [
            _case(name, make, arguments)
            for name, make in _cases(arguments).items()
            if name.startswith(arguments.only)
        ]
    by_name = {row["name"]: row["step"]["median_seconds"] for row in document["rows"]}
    document["over_plain"] = {
        name: ratio(seconds, by_name[f"{name.split()[0]} plain"])
        for name, seconds in by_name.items()
        if not name.endswith("plain")
    }
    finish(NAME, arguments, document, _tables(document))
    return document


def _cases(arguments: argparse.Namespace) -> dict[str, Callable[[], tuple[Any, Any]]]:
    """(model, its memory or None) by name."""
    import transformers

    from memoria import models

    size: dict[str, Any] = {
        "num_hidden_layers": arguments.layers,
        "hidden_size": arguments.hidden,
        "num_attention_heads": arguments.heads,
        "vocab_size": arguments.vocabulary,
        "max_position_embeddings": arguments.length + 2,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    wide = {**size, "intermediate_size": 4 * arguments.hidden}

    def plain(model: Any) -> tuple[Any, Any]:
        return model, None

    def own(model: Any) -> tuple[Any, Any]:
        return model, model.memory

    def adapted(model: Any) -> tuple[Any, Any]:
        adapter = models.with_memory(model, train_base=True)
        model.adapter = adapter  # its weights learn too
        return model, adapter.memory

    gpt2 = transformers.GPT2Config(**size)
    ours = models.MemoriaGPT2Config(**size)
    bert = transformers.BertConfig(**wide)
    upper = models.MemoriaBertConfig(**wide, memory_layer=arguments.layers - 2)
    return {
        "GPT-2 plain": lambda: plain(transformers.GPT2LMHeadModel(gpt2)),
        "GPT-2 with memory": lambda: own(models.MemoriaGPT2LMHeadModel(ours)),
        "GPT-2 with an adapter": lambda: adapted(transformers.GPT2LMHeadModel(gpt2)),
        "BERT plain": lambda: plain(transformers.BertForMaskedLM(bert)),
        "BERT with memory": lambda: own(models.MemoriaBertForMaskedLM(upper)),
    }


def _case(
    name: str, make: Callable[[], tuple[Any, Any]], arguments: argparse.Namespace
) -> dict[str, Any]:
    import torch

    say(name)
    model, memory = make()
    model.to(arguments.device).train()
    remembering = _timed_memory(memory, arguments.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    generator = torch.Generator().manual_seed(0)
    shape = (arguments.batch, arguments.length)
    steps, alone = [], []
    for number in range(arguments.warm_up + 1 + arguments.steps):
        segment = torch.randint(3, arguments.vocabulary, shape, generator=generator)
        segment = segment.to(arguments.device)
        before, started = remembering[0], now(arguments.device)
        learn = number >= arguments.warm_up  # gradients would only cost time before
        with torch.set_grad_enabled(learn):
            loss = model(segment, labels=segment).loss
        if learn:
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if number > arguments.warm_up:
            steps.append(now(arguments.device) - started)
            alone.append(remembering[0] - before)
    engrams = None if memory is None else memory.memoria.engrams
    return {
        "name": name,
        "step": timing(steps),
        "memory": None if memory is None else timing(alone),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "engrams": 0 if engrams is None else int((engrams.engrams_types > 0).sum()),
    }


def _timed_memory(memory: Any, device: str) -> list[float]:
    """Seconds spent in the memory itself so far, in a list of one."""
    spent = [0.0]
    if memory is None:
        return spent

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            started = now(device)
            result = call(*arguments)
            spent[0] += now(device) - started
            return result

        return run

    for name in ("add_working_memory", "remind", "adjust_lifespan_and_memories"):
        setattr(memory.memoria, name, timed(getattr(memory.memoria, name)))
    return spent


def now(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def _tables(document: dict[str, Any]) -> list[TableOf]:
    rows = [
        [
            row["name"],
            milliseconds(row["step"]),
            milliseconds(row["memory"]),
            document["over_plain"].get(row["name"]),
            row["parameters"],
            row["engrams"],
        ]
        for row in document["rows"]
    ]
    columns = ("", "ms a step", "of them in the memory", "over plain", "parameters", "engrams")
    return [("a training step", columns, rows)]
