"""The experiment ``evidence``: which turns of a conversation answer a question about it.

What is counted stands in `memoria.experiments.evidence.measure`, who is compared in
`memoria.experiments.policies`, how they are asked in `memoria.experiments.evidence.asking`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import (
    Field,
    FiniteFloat,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
)

from memoria.errors import ConfigError
from memoria.experiments.config import ExperimentConfig, ModelNames, check_paths
from memoria.experiments.evidence.measure import MEASURES, means, measures
from memoria.experiments.experiment import Experiment, Metric
from memoria.experiments.records import RunRecord
from memoria.experiments.run import Run

if TYPE_CHECKING:
    from memoria.experiments.evidence.conversations import Conversation

_DEFAULT: Final = ("ask", "hybrid", "bm25", "neighbours", "remind")
_BESIDE: Final = ("alive", "asked_before")  # arrays beside the measures


class EvidenceConfig(ExperimentConfig):
    """What is read and asked, and by what memory."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"small": {}, "paper": {}}

    models: ModelNames = Field(
        list(_DEFAULT),
        description="Policies SCORED[+KEPT[+FOUND]], SCORED ask and remind too: the first with "
        "each of the others.",
    )
    seeds: list[StrictInt] = Field(
        [0],
        min_length=1,
        description="One is enough where nothing is drawn: kept by chance, questions=again.",
    )
    data: list[StrictStr] = Field(
        [], description="Conversations: files (.json, .jsonl), or folders of them."
    )
    backbone: StrictStr = Field("hash", min_length=1, description="What makes vectors of texts.")
    memory: dict[StrictStr, StrictStr | StrictBool | StrictInt | StrictFloat] = Field(
        default_factory=dict, description="Settings of the memory of ask and remind, or a preset."
    )
    captions: Literal["shared", "plain"] = Field(
        "shared",
        description="Captions of pictures stand behind a text as [shares ...], or plain, as "
        "published figures have them.",
    )
    budget: FiniteFloat = Field(
        1.0, gt=0, le=1, description="Share of a conversation's turns that is kept."
    )
    width: StrictInt | None = Field(
        None, ge=1, description="Turns read together; the memory's wm_length unless given."
    )
    questions: Literal["end", "again"] = Field(
        "end", description="Asked at the end; with 'again' half of them on the way too."
    )
    feedback: Literal["blind", "right"] = Field(
        "blind",
        description="Found on the way: the best five (blind), the evidence among ten (right).",
    )

    @field_validator("models")
    @classmethod
    def _models_are_known(cls, value: list[str]) -> list[str]:
        from memoria.experiments.evidence.memories import STORED
        from memoria.experiments.policies.policy import Policy

        for name in value:
            try:
                Policy.parse(name, STORED)
            except ConfigError as error:
                raise ValueError(f"{error.message}; {error.hint}") from None
        return value


class Evidence(Experiment[EvidenceConfig]):
    """Evidence that a memory of a conversation finds for questions about it."""

    name = "evidence"
    summary = "Evidence found for questions about conversations: ask, BM25, neighbours, remind."
    Config = EvidenceConfig
    metrics = (
        Metric("recall_at_10", "evidence in the ten best", "higher"),
        Metric("recall_at_5", "evidence in the five best", "higher"),
        Metric("all_at_10", "all of it in the ten best", "higher"),
        Metric("ndcg_at_10", "nDCG@10", "higher"),
        Metric("mrr", "MRR", "higher"),
        Metric("ndcg_at_10_macro", "nDCG@10, mean over categories", "higher"),
        Metric("alive", "evidence still kept", "higher"),
    )

    def check(self, config: EvidenceConfig) -> None:
        check_paths("data", config.data)

    def execute(self, config: EvidenceConfig, run: Run) -> Mapping[str, Any]:
        import numpy as np

        from memoria.experiments.evidence.conversations import read_conversations

        conversations = read_conversations(config.data, config.captions)
        kept = run.restored() or {"read": 0, "measured": [], "living": 0}
        measured: list[dict[str, float]] = kept["measured"]
        for number, conversation in enumerate(conversations):
            if number < kept["read"]:
                continue
            rows, living = _asked(config, conversation)
            kept["living"] += living
            for row in rows:
                measured.append({name: float(row[name]) for name in (*MEASURES, *_BESIDE)})
                run.log({"kind": "question", "conversation": conversation.name, **row})
            run.progress(number + 1, len(conversations))
            run.checkpoint({**kept, "read": number + 1, "measured": measured})
        categories = [one.category for each in conversations for one in each.questions]
        for name in (*MEASURES, *_BESIDE):
            run.array(name, np.array([one[name] for one in measured]))
        turns = sum(len(one.turns) for one in conversations)
        numbers = [{key: one[key] for key in (*MEASURES, "alive")} for one in measured]
        sizes = {"questions": len(measured), "turns": turns, "kept": kept["living"] / turns}
        return {**means(numbers, categories), **sizes}

    def tell(self, records: Sequence[RunRecord]) -> list[str]:
        """Means with intervals over questions, and paired differences to the first."""
        from memoria.experiments.evidence.comparing import comparison, sentences

        return sentences(
            comparison(records, [one.name for one in self.metrics if one.name in MEASURES]),
            {one.name: one.title for one in self.metrics},
        )

    def breakdown(self, records: Sequence[RunRecord]) -> list[dict[str, Any]]:
        """By measure, category and policy: see `comparing.comparison`."""
        from memoria.experiments.evidence.comparing import comparison

        return comparison(records, (*MEASURES, "alive"))


def _asked(config: EvidenceConfig, conversation: Conversation) -> tuple[list[dict[str, Any]], int]:
    """For each question of a conversation a row about it; how many turns are kept at the end."""
    from memoria.backbones import load_backbone
    from memoria.experiments.evidence.asking import read_and_ask
    from memoria.experiments.evidence.memories import STORED, make_memory, memory_config
    from memoria.experiments.policies.policy import Policy

    rows = []
    size = None
    if config.budget < 1:
        size = max(1, round(config.budget * len(conversation.turns)))
    with tempfile.TemporaryDirectory(prefix="memoria-evidence-") as folder:
        backbone = load_backbone(config.backbone)
        width = config.width or memory_config(backbone, config.memory).wm_length
        memory = make_memory(
            Policy.parse(config.model, STORED),
            conversation,
            backbone,
            config.memory,
            Path(folder) / "memory",
            size,
            config.seed,
        )
        try:
            answered = read_and_ask(
                memory, conversation, width, config.questions, config.feedback, config.seed
            )
            for question, ranked, alive, asked_before in answered:
                about = {"question": question.text, "category": question.category}
                beside = {"alive": alive, "asked_before": asked_before, "ranked": ranked[:10]}
                rows.append({**about, **beside, **measures(ranked, question.evidence)})
            return rows, len(memory.living)
        finally:
            memory.close()
