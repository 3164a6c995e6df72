"""The experiment ``evidence``: which turns of a conversation answer a question about it.

What is counted stands in `memoria.experiments.evidence.measure`, who is compared in
`memoria.experiments.evidence.policies`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, field_validator

from memoria.experiments.config import ExperimentConfig, ModelNames
from memoria.experiments.evidence.measure import MEASURES, RANKED, means, measures
from memoria.experiments.experiment import Experiment, Metric
from memoria.experiments.records import RunRecord, finished_runs
from memoria.experiments.run import Run
from memoria.experiments.statistics import bootstrap_interval

if TYPE_CHECKING:
    from memoria.experiments.evidence.conversations import Conversation

_POLICIES: Final = ("ask", "hybrid", "bm25", "neighbours", "remind")


class EvidenceConfig(ExperimentConfig):
    """What is read and asked, and by what memory."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"small": {}, "paper": {}}

    models: ModelNames = Field(
        list(_POLICIES), description="Who ranks: the first with each of the others."
    )
    seeds: list[StrictInt] = Field(
        [0], min_length=1, description="Nothing is drawn: one is enough."
    )
    data: list[StrictStr] = Field(
        [], description="Conversations: files (.json, .jsonl), or folders of them."
    )
    backbone: StrictStr = Field("hash", min_length=1, description="What makes vectors of texts.")
    memory: dict[StrictStr, StrictStr | StrictBool | StrictInt | StrictFloat] = Field(
        default_factory=dict, description="Settings of the memory of ask and remind, or a preset."
    )

    @field_validator("models")
    @classmethod
    def _models_are_known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in _POLICIES:
                raise ValueError(f"{name!r} is unknown: {', '.join(_POLICIES)}")
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
    )

    def execute(self, config: EvidenceConfig, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.evidence.conversations import read_conversations

        conversations = read_conversations(config.data)
        kept = run.restored() or {"read": 0, "measured": []}
        measured: list[dict[str, float]] = kept["measured"]
        for number, conversation in enumerate(conversations):
            if number < kept["read"]:
                continue
            for question, found in _asked(config, conversation):
                measured.append(found)
                run.log({"kind": "question", "conversation": conversation.name, **question})
            run.progress(number + 1, len(conversations))
            run.checkpoint({"read": number + 1, "measured": measured})
        import numpy as np

        categories = [one.category for each in conversations for one in each.questions]
        for name in MEASURES:
            run.array(name, np.array([one[name] for one in measured]))
        turns = sum(len(one.turns) for one in conversations)
        return {**means(measured, categories), "questions": len(measured), "turns": turns}

    def tell(self, records: Sequence[RunRecord]) -> list[str]:
        """Means with intervals over questions, and paired differences to the first."""
        finished = {name: runs[0].arrays() for name, runs in finished_runs(records).items() if runs}
        lines = []
        for metric in self.metrics:
            first: Any = None
            for name, arrays in finished.items():
                values = arrays[metric.name]
                line = f"{metric.title}: {name} {values.mean():.3f}{_interval(values)}"
                if first is None:
                    first = values
                elif len(values) == len(first):
                    behind = first - values
                    line += f", the first {behind.mean():+.3f}{_interval(behind, '+')}"
                lines.append(line)
        return lines


def _asked(
    config: EvidenceConfig, conversation: Conversation
) -> list[tuple[dict[str, Any], dict[str, float]]]:
    """For each question of a conversation a row about it, and what is measured."""
    from memoria.backbones import load_backbone
    from memoria.experiments.evidence.policies import make_policy

    rows = []
    with tempfile.TemporaryDirectory(prefix="memoria-evidence-") as folder:
        place = Path(folder) / "memory"
        backbone = load_backbone(config.backbone)
        policy = make_policy(config.model, conversation, backbone, config.memory, place)
        try:
            for question in conversation.questions:
                ranked = policy.rank(question.text, RANKED)
                found = measures(ranked, question.evidence)
                about = {"question": question.text, "category": question.category}
                rows.append(({**about, "ranked": ranked[:10], **found}, found))
        finally:
            policy.close()
    return rows


def _interval(values: Any, sign: str = "") -> str:
    """The bootstrap interval of the mean of ``values`` in brackets."""
    ends = bootstrap_interval(values)
    return "" if ends is None else f" [{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]"
