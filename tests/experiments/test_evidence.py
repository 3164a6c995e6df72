"""Evidence: conversations read, policies asked, and what is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memoria.errors import ConfigError, InputError
from memoria.experiments import execute, find_experiment, inside, make_plan
from memoria.experiments.evidence.conversations import read_conversations
from memoria.experiments.evidence.measure import means, measures

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
    path = tmp_path / "chat.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def test_the_form_of_locomo(locomo: Path) -> None:
    (found,) = read_conversations([str(locomo)])
    assert found.name == "26"
    assert found.turns[0].text == "Ann: I adopted a grey cat last week."
    assert found.turns[1].text == "Bob: Our boat needs new paint. [shares a red boat]"
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
    assert [(one.category, one.evidence) for one in found.questions] == [("who", (0,))]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", "{", "holds no conversation"),
        ("a.json", '{"session_1": 3, "qa": []}', "holds no conversation"),
        ("a.json", "[1]", "holds no conversation"),
        ("a.json", '{"qa": []}', "no questions with evidence"),
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
        assert len(told) == 2 * len(find_experiment("evidence").metrics)
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
