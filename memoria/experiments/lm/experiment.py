"""The settings of language modelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from pydantic import Field, StrictBool, StrictStr, model_validator

from memoria.experiments.config import ModelNames
from memoria.experiments.experiment import Metric, TrainedExperiment
from memoria.experiments.training_config import TrainingConfig

_MODELS: Final = ["memoria", "none", "xl"]
_RIVALS: Final = ["memoria", "none", "xl", "compressive", "infinity", "gated-delta"]


def _wikitext(segment: int, batch: int) -> dict[str, Any]:
    """WikiText-2 in bytes, small networks; a budget divided as in the paper."""
    return {
        "data": "wikitext-2",
        "segment": segment,
        "memory": 48,
        "batch": batch,
        "steps": 2000,
        "learning_rate": 2e-3,
        "reset_period": 100,
        "validate_every": 200,
        "held_out": 50,
        "models": _RIVALS,
        "settings": {
            "memoria": {
                "working": 16,
                "reminded_stm": 16,
                "reminded_ltm": 16,
                "stm_capacity": 128,
            }
        },
    }


# Size, batch, rate, warm-up, six epochs, lifespan 9, 50 engrams, 400 short-term, 50 and 50
# reminded, depth 10: the authors' released configuration (memoria-gpt2, default arguments), to be
# trusted. The reset period is the paper's appendix as a review quotes it, and the code's. The
# budget is what a layer of theirs attends to: 50 + 50 + 50; Transformer-XL's 150 too. Their models
# keep the feed-forward width, so that Memoria's has more parameters.
_PAPER: Final[Mapping[str, Any]] = {
    "tokenizer": "gpt2",
    "hidden": 768,
    "layers": 12,
    "heads": 12,
    "inner": 3072,
    "equal_parameters": False,
    "segment": 150,
    "memory": 150,
    "dropout": 0.1,
    "init_std": 0.02,
    "batch": 8,
    "steps": 600_000,  # about six epochs of WikiText-103's 118 million tokens
    "learning_rate": 2e-4,
    "warmup": 0.06,
    "reset_period": 500,
    "log_every": 100,
    "validate_every": 10_000,
    "checkpoint_every": 1000,
    "models": [*_MODELS, "compressive", "infinity"],
}
_PAPER_MEMORIA: Final[Mapping[str, Any]] = {
    "working": 50,
    "reminded_stm": 50,
    "reminded_ltm": 50,
    "stm_capacity": 400,
    "depth": 10,
    "lifespan": 9.0,
    "alpha": 8.0,
    "form": "paper",
}
_WIKITEXT_103: Final[Mapping[str, Any]] = {
    **_PAPER,
    "data": "wikitext-103",
    "settings": {"memoria": _PAPER_MEMORIA},
}


class LMConfig(TrainingConfig):
    """Which text, as what, and how long it is remembered."""

    tuned: ClassVar[tuple[str, ...]] = ("gpt2", "memoria-gpt2")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "data": "pydoc",
            "tokenizer": "byte",
            "segment": 64,
            "memory": 64,
            "batch": 16,
            "steps": 600,
            "learning_rate": 2e-3,
            "reset_period": 100,
            "validate_every": 150,
        },
        # The paper's segments on a text that two cores can read: data=TRAIN,VALID takes files.
        "small-150": _wikitext(segment=150, batch=8),
        "small-50": _wikitext(segment=50, batch=16),
        # WikiText-103, segments of 150. Their tables, known second-hand: perplexity 23.5 against
        # 24.5 (Transformer-XL), 24.8 (Compressive), 24.7 (infinity-former).
        "paper": _WIKITEXT_103,
        "wikitext-150": _WIKITEXT_103,
        # Segments of 50: 30.0 against 31.8 (infinity-former), second-hand. The budgets are those
        # of 150, as no other is known.
        "wikitext-50": {
            **_WIKITEXT_103,
            "segment": 50,
            "steps": 1_770_000,
        },
        # The first 7 % of the books: 29.15 against 29.15 (infinity-former), second-hand. How long
        # they trained is not known; as many steps as for WikiText.
        "pg19": {**_PAPER, "data": "pg19", "settings": {"memoria": _PAPER_MEMORIA}},
        # 1.16 bits against 1.16 (Compressive), second-hand, of 204 characters; here of bytes, on
        # the published split. The reset period is the code's; the appendix is quoted with 1,500.
        "enwik8": {
            **_PAPER,
            "data": "enwik8",
            "tokenizer": "byte",
            "hidden": 512,
            "heads": 8,
            "inner": 2048,
            "segment": 512,
            "memory": 512,
            "steps": 440_000,  # 20 epochs of 90 million bytes
            "settings": {
                "memoria": {
                    **_PAPER_MEMORIA,
                    "working": 128,
                    "reminded_stm": 192,
                    "reminded_ltm": 192,
                    "stm_capacity": 1536,
                }
            },
        },
        # GPT-2 small from scratch, as far as nine minutes of a GPU go; without a network.
        "gpt2": {
            **_PAPER,
            "data": "pydoc",
            "tokenizer": "byte",
            "models": ["memoria-gpt2", "none"],
            "seeds": [0],
            "max_seconds": 540.0,
            "precision": "bfloat16",
            "steps": 4000,
            "log_every": 10,
            "validate_every": 500,
            "settings": {"memoria": _PAPER_MEMORIA},
        },
    }

    models: ModelNames = _MODELS
    data: StrictStr = Field(
        "pydoc",
        min_length=1,
        description="pydoc (Python's own help, no network), from the hub wikitext-2, wikitext-103, "
        "pg19, enwik8, or a path: "
        "a text file, a folder with train*, valid*, test*, or files: TRAIN,VALID or "
        "TRAIN,VALID,TEST.",
    )
    tokenizer: StrictStr = Field(
        "byte",
        min_length=1,
        description="byte, char, word, or one of transformers by path or name.",
    )
    segments: int = Field(
        1, ge=1, description="Segments that one optimiser step learns from, one after the other."
    )
    reset_period: int = Field(
        500, ge=1, description="Optimiser steps after which the memory is emptied."
    )
    histories: int = Field(
        0,
        ge=0,
        description="Rows of the test split whose engrams' lives are kept, as history-ROW.npz in "
        "the run's folder; `experiment run engrams --set store=FILE` reads them.",
    )
    held_out: int = Field(
        0, ge=0, description="Segments of each row to validate and test with; 0 takes all."
    )
    contents: StrictBool = Field(
        False,
        description="Test also with the memory of another row, and with one that is emptied before "
        "each segment: what the content of the memory is worth (`loss_other`, `loss_emptied`).",
    )
    equal_compute: StrictBool = Field(
        False,
        description="`steps` are those of `none`; others take as many as need the same operations "
        "(of matrix products, counted on a segment; the number is in the log and in run.json).",
    )

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.equal_compute and self.pretrained is not None:
            raise ValueError("equal_compute: only networks from scratch are counted")
        if self.contents and self.batch < 2:
            raise ValueError("contents: a batch of one has no other row")
        return self


class LM(TrainedExperiment[LMConfig]):
    """Each row of a batch is one long stretch of the text, read segment by segment."""

    name = "lm"
    summary = "Predict a text that is read one segment at a time: WikiText-103, PG-19, enwik8."
    Config = LMConfig
    task = "memoria.experiments.lm.task:LMTask"
    metrics = (
        Metric("perplexity", "perplexity of a token", "lower"),
        Metric("bits_per_character", "bits per character", "lower"),
    )

    def check(self, config: LMConfig) -> None:
        from memoria.experiments.texts import check_text

        super().check(config)
        check_text(config.data)
