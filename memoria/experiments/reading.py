"""What experiments share that let a memory read passages, a few at a step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, StrictInt, StrictStr, field_validator

from memoria.backbones import Backbone, load_backbone
from memoria.errors import ConfigError, InputError
from memoria.experiments.config import ExperimentConfig
from memoria.experiments.demo_texts import help_text
from memoria.io.arrays import open_array
from memoria.io.inputs import InputReader, Piece
from memoria.io.units import flatten, split
from memoria.timeline.gain import parse_rule

if TYPE_CHECKING:
    from memoria.config import MemoriaConfig

Vectors = NDArray[np.float32]
Indices = NDArray[np.int64]

_TEXTS: Final = (".txt", ".md", ".jsonl")

# Fields of `MemoriaConfig` that both `ReadingConfig` and `make_memoria` have.
_SHARED: Final = (
    "num_reminded_stm",
    "stm_capacity",
    "ltm_search_depth",
    "initial_lifespan",
    "num_final_ltms",
    "seed",
)
MEMORY_SETTINGS: Final = (*_SHARED, "random_entries", "tie_break")  # of `make_memoria`

# The authors' settings for GPT-2, and units short enough for as many steps as a text gives.
GPT2_SETTINGS: Final = {
    "unit": "window:8",
    "wm_length": 50,
    "stm_capacity": 400,
    "num_reminded_stm": 50,
    "num_final_ltms": 50,
    "initial_lifespan": 9.0,
    "hidden_dim": 768,
    "seeds": [0, 1, 2, 3, 4],
}


class ReadingConfig(ExperimentConfig):
    """What is read, and the settings of the memory that reads it."""

    data: list[StrictStr] = Field(
        [], description="Files or folders to read; the help that every Python brings if none."
    )
    backbone: StrictStr = Field("hash", min_length=1, description="What makes vectors of it.")
    hidden_dim: Annotated[StrictInt, Field(ge=1, le=1_048_576)] = Field(
        384, description="Numbers in a vector, where the backbone leaves a choice."
    )
    unit: StrictStr = Field(
        "sentence", description="A passage: sentence, paragraph, line, window:N."
    )
    steps: StrictInt | None = Field(None, ge=2, description="Steps read; all that the data makes.")
    chapter: StrictInt = Field(
        40, ge=1, description="Passages that stay in order; chapters are shuffled by the seed."
    )
    wm_length: StrictInt = Field(4, ge=1, description="Passages read in a step.")
    num_reminded_stm: StrictInt = Field(8, ge=0, description="Short-term engrams reminded.")
    stm_capacity: StrictInt = Field(64, ge=0, description="Short-term engrams kept.")
    ltm_search_depth: StrictInt = Field(10, ge=0, description="Rounds of the walk.")
    initial_lifespan: FiniteFloat = Field(50.0, gt=0, description="Steps a new engram lives.")
    num_final_ltms: StrictInt = Field(16, ge=0, description="Long-term engrams reminded.")
    rule: StrictStr = Field(
        "correlation:8", description="Lifespan rule: uniform:X or correlation:ALPHA."
    )

    @field_validator("data")
    @classmethod
    def _from_anywhere(cls, value: list[str]) -> list[str]:
        return [one if one == "-" else os.path.abspath(one) for one in value]

    @field_validator("rule")
    @classmethod
    def _rule_is_known(cls, value: str) -> str:
        try:
            parse_rule(value)
        except ConfigError as error:
            raise ValueError(f"{error.message}; {error.hint}") from None
        return value

    def passages(self) -> Passages:
        """What is read. Raises `InputError`, `BackboneError`."""
        wanted = self.hidden_dim if self.backbone == "hash" else None
        return read_passages(self.data, backbone=self.backbone, dimension=wanted, unit=self.unit)

    def stream(self, passages: Passages, unseen: float = 0.0) -> Stream:
        """In which order they are read, and which never (a share of ``unseen``)."""
        return streamed(
            passages,
            width=self.wm_length,
            steps=self.steps,
            chapter=self.chapter,
            unseen=unseen,
            seed=self.seed,
        )

    def memory(self, dimension: int) -> MemoriaConfig:
        """Memoria's own configuration. Raises `ConfigError`."""
        from memoria.config import MemoriaConfig

        own = {name: getattr(self, name) for name in (*_SHARED, "wm_length", "rule")}
        return MemoriaConfig(hidden_dim=dimension, **own)


@dataclass(frozen=True)
class Passages:
    """What a memory reads. No two vectors are equal, since equal passages could not be told apart.

    Attributes:
        vectors: float32 [N, D].
        texts: of each vector; None for rows of arrays.
        backbone: what made the vectors; None where all came as arrays.
    """

    vectors: Vectors
    texts: Sequence[str | None]
    backbone: Backbone | None

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class Stream:
    """In which order passages are read.

    Attributes:
        read: passages of each step, int64 [T, W].
        unseen: passages that are never read, int64 [U].
    """

    read: Indices
    unseen: Indices


def read_passages(
    data: Sequence[str],
    *,
    backbone: str = "hash",
    dimension: int | None = None,
    unit: str = "sentence",
) -> Passages:
    """Read passages and encode them.

    Args:
        data: files as `memoria add` takes them (texts, images for image backbones, arrays [N, D] as
            they are), or folders, of which texts (.txt .md .jsonl) are read; the help that every
            Python brings if empty.
        backbone: what makes vectors of them.
        dimension: D, where the backbone leaves a choice.
        unit: what a passage is: "sentence", "paragraph", "line", "window:N".

    Returns:
        The passages in order, each vector once.

    Raises:
        InputError: fewer than two different passages.
    """
    if not data:
        pieces = [
            Piece(flatten(one.text), False, one.text, ("help", one.offset))
            for one in split(help_text(every_topic=True), unit)
        ]
        chosen = load_backbone(backbone, dimension)
        return _distinct(chosen.encode([one.content for one in pieces]), pieces, chosen)
    width = int(open_array(data[0]).shape[-1]) if backbone == "array" else dimension
    chosen = load_backbone(backbone, width)
    reader = InputReader(1, chosen.dimension, _files(data), (), None, unit)
    for source in reader.specs:
        if source.kind == "steps":
            raise InputError(f"{source.name}: holds working memories", "give an array [N, D]")
    pieces = [piece for source in reader.specs for piece in reader.pieces(source)]
    waiting = [piece.content for piece in pieces if not piece.is_vector]
    encoded = iter(chosen.encode(waiting)) if waiting else iter(())
    rows = [piece.content if piece.is_vector else next(encoded) for piece in pieces]
    if not rows:
        raise InputError(f"{', '.join(data)}: nothing to read", "name text files or arrays")
    return _distinct(np.stack(rows), pieces, chosen if waiting else None)


def streamed(
    passages: Passages, *, width: int, steps: int | None, chapter: int, unseen: float, seed: int
) -> Stream:
    """Draw the order in which passages are read. What does not fill the last step is left out.

    Args:
        passages: all there are.
        width: passages of a step (W).
        steps: how many (T); None reads all.
        chapter: passages that keep their order; chapters are shuffled.
        unseen: share of all passages that is never read: at least one, unless it is 0.
        seed: of the order and of what is not read.

    Raises:
        InputError: too few passages.
    """
    rng = np.random.default_rng((seed, 1))
    count = len(passages)
    held = max(1, round(unseen * count)) if unseen else 0
    hidden = np.sort(rng.permutation(count)[:held])
    read = np.setdiff1d(np.arange(count), hidden)
    chapters = np.arange(0, len(read), chapter)
    order = np.concatenate([read[at : at + chapter] for at in rng.permutation(chapters)] or [read])
    most = len(order) // width
    taken = most if steps is None else min(most, steps)
    if taken < 2 or (steps is not None and taken < steps):
        wanted = "2" if steps is None else str(steps)
        raise InputError(
            f"{count} different passages make {most} steps of {width}, not {wanted}",
            "give more data, a shorter unit, or smaller steps and wm_length",
        )
    return Stream(order[: taken * width].reshape(taken, width), hidden)


def _distinct(vectors: Vectors, pieces: Sequence[Piece], backbone: Backbone | None) -> Passages:
    _, first = np.unique(vectors, axis=0, return_index=True)
    kept = np.sort(first)
    if len(kept) < 2:
        raise InputError(f"{len(kept)} different passages", "two at least are needed")
    texts = [None if pieces[at].text is None else str(pieces[at].content) for at in kept]
    return Passages(np.ascontiguousarray(vectors[kept]), texts, backbone)


def _files(data: Sequence[str]) -> list[str]:
    """``data`` with every folder replaced by the texts in it, in order of their paths."""
    found: list[str] = []
    for name in data:
        if name == "-":
            raise InputError("'-': an experiment reads its data again and again", "name a file")
        if not os.path.isdir(name) or name.endswith(".zarr"):
            found.append(name)
            continue
        inner = sorted(str(one) for one in Path(name).rglob("*") if one.suffix in _TEXTS)
        if not inner:
            raise InputError(f"{name}: no text in this folder", "name .txt, .md or .jsonl files")
        found += inner
    return found
