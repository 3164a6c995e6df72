"""What reading the memory costs in a training step of GPT-2, in several forms of the readers.

A step with memory and one without alternate in one process, on one model: without, the memory is
paused, and the model is the plain one. The memory is filled first. Times are the process's own
processor seconds on the CPU; the ratio is the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.models import now
from benchmarks.options import fill, parser
from benchmarks.results import TableOf, finish, milliseconds, say, start, timing

NAME = "readers"


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--device", default="cpu")
    made.add_argument("--layers", type=int, help="default 12, as GPT-2 small")
    made.add_argument("--hidden", type=int, help="default 768")
    made.add_argument("--heads", type=int, help="default 12")
    made.add_argument("--vocabulary", type=int, help="default 50257")
    made.add_argument("--batch", type=int, default=2, help="lanes")
    made.add_argument("--length", type=int, help="tokens of a segment (default 150)")
    made.add_argument("--pairs", type=int, help="steps timed, each with and without (default 5)")
    made.add_argument("--filled", type=int, default=20, help="segments in the memory before")
    made.add_argument("--only", default="", help="forms, by name: paper;joint")
    return made


def forms() -> dict[str, dict[str, Any]]:
    """Settings of the forms that are compared, beside the defaults."""
    from memoria.models import PAPER_READERS

    joint = {**PAPER_READERS, "reader": "joint"}
    shared = {**joint, "share_keys": True}
    return {
        "paper": dict(PAPER_READERS),
        "joint": joint,
        "joint, upper half": {**joint, "reader_layers": "upper"},
        "joint, shared keys": shared,
        "joint, shared keys, half wide": {**shared, "reader_width": "half"},
        "joint, shared keys, upper half": {**shared, "reader_layers": "upper"},
        "default: the same, half wide": {},
    }


def main(words: list[str] | None = None) -> dict[str, Any]:
    import torch

    arguments = options().parse_args(words)
    fill(
        arguments,
        {
            "layers": (2, 12),
            "hidden": (32, 768),
            "heads": (4, 12),
            "vocabulary": (64, 50257),
            "length": (16, 150),
            "pairs": (2, 5),
        },
    )
    torch.set_num_threads(arguments.threads)
    document = start(arguments)
    chosen = forms()
    if arguments.only:
        wanted = [one.strip() for one in arguments.only.split(";")]
        chosen = {name: chosen[name] for name in wanted}
    document["rows"] = []
    with torch.random.fork_rng():
        for name, settings in chosen.items():
            torch.manual_seed(0)
            say(name)
            document["rows"].append(_case(name, settings, arguments))
    finish(NAME, arguments, document, _tables(document))
    return document


def _case(name: str, form: Mapping[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    import torch

    from memoria.models import MemoriaGPT2Config, MemoriaGPT2LMHeadModel

    make: Any = MemoriaGPT2Config
    config = make(
        n_layer=arguments.layers,
        n_embd=arguments.hidden,
        n_head=arguments.heads,
        vocab_size=arguments.vocabulary,
        n_positions=arguments.length,
        bos_token_id=1,
        eos_token_id=2,
        reset_period=None,
        **form,
    )
    model = MemoriaGPT2LMHeadModel(config).to(arguments.device).train()
    model.memory.lanes = arguments.batch
    _fill(model.memory.memoria, config, arguments)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    shape = (arguments.batch, arguments.length)
    plain, own = [], []
    for number in range(arguments.pairs + 1):
        segment = torch.randint(3, arguments.vocabulary, shape, device=arguments.device)
        with model.memory.paused():
            without = _step(model, optimizer, segment, arguments.device)
        seconds = _step(model, optimizer, segment, arguments.device)
        if number:  # the first has no segment before it
            plain.append(without)
            own.append(seconds)
    readers = [weight for name, weight in model.named_parameters() if ".reader" in name]
    return {
        "name": name,
        "form": dict(form),
        "plain": timing(plain),
        "step": timing(own),
        "over_plain": statistics.median(b / a for a, b in zip(plain, own, strict=True)),
        "reader_parameters": sum(weight.numel() for weight in readers),
        "load": list(os.getloadavg()),
    }


def _fill(memoria: Any, config: Any, arguments: argparse.Namespace) -> None:
    import torch

    for _ in range(arguments.filled):
        shape = (arguments.batch, config.num_memories, arguments.hidden)
        memoria.add_working_memory(torch.randn(shape, device=arguments.device))
        _, indices = memoria.remind()
        memoria.adjust_lifespan_and_memories(indices, torch.full(indices.shape, 8.0))


def _step(model: Any, optimizer: Any, segment: Any, device: str) -> float:
    started = now(device)
    loss = model(segment, labels=segment).loss
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return now(device) - started


def _tables(document: Mapping[str, Any]) -> list[TableOf]:
    rows = [
        [
            row["name"],
            milliseconds(row["plain"]),
            milliseconds(row["step"]),
            row["over_plain"],
            row["reader_parameters"],
        ]
        for row in document["rows"]
    ]
    columns = ("readers", "ms without", "ms with", "over plain", "parameters of readers")
    return [("a training step of GPT-2", columns, rows)]
