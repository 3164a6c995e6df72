"""Tiny models with random weights, as checkpoints that a user would have, and text for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

VOCABULARY = 64
PAD = 0
SMALL = {
    "num_memories": 4,
    "num_reminded_stm": 4,
    "stm_capacity": 8,
    "ltm_search_depth": 3,
    "num_final_ltms": 4,
    "initial_lifespan": 5,
}
SHAPE = {
    "vocab_size": VOCABULARY,
    "pad_token_id": PAD,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.3,  # far enough from uniform attention that lifespans differ
}
GPT2 = {**SHAPE, "n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 64}
BERT = {
    **SHAPE,
    "num_hidden_layers": 3,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' reports and progress bars."""
    logging = transformers.utils.logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()


def drawn(make: Any, seed: int = 0) -> Any:
    """``make()`` with initial weights of that seed, ready to answer."""
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        return make().eval()


def plain_checkpoint(model_class: Any, config: Any, folder: Path) -> Any:
    """A plain model, and what it has saved in ``folder``."""
    model = drawn(lambda: model_class(config))
    with quiet():
        model.save_pretrained(folder)
    return model


def text(lanes: int = 2, length: int = 12, seed: int = 0) -> Tensor:
    """Token ids [B, N], none of them a special one."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, VOCABULARY, (lanes, length), generator=generator)


def texts(count: int, lanes: int = 2, length: int = 12) -> list[Tensor]:
    """Segments [B, N], one after another."""
    return [text(lanes, length, seed) for seed in range(count)]


def checkpoint_layers(model: Any, **how: Any) -> None:
    """Let the layers be run again for the gradients, under either of its names."""
    new = getattr(model, "activation_checkpointing_enable", None)
    (new or model.gradient_checkpointing_enable)(how or None)
