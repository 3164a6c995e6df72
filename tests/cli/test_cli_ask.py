"""`memoria ask` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Cli

from memoria.store import MemoryStore

NOTES = (
    "Ada keeps bees behind the house. The bees like clover. Their honey is dark this year.\n\n"
    "Ben repairs clocks. He oils the old clock every spring. The clock in the hall runs late.\n"
)
RECORDS = [
    {"text": "I moved to Oslo.", "time": "2023-05-08T13:56:00", "meta": {"speaker": "Ann"}},
    {"text": "The boat is red.", "time": "2024-01-02", "meta": {"speaker": "Bob", "room": 3}},
]
KEYS = {
    *("id", "lane", "text", "score", "confidence", "parts", "source", "line", "offset", "time"),
    *("meta", "before", "after"),
}


@pytest.fixture(autouse=True)
def _notes(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(NOTES, encoding="utf-8")
    lines = "".join(json.dumps(one) + "\n" for one in RECORDS)
    (tmp_path / "chat.jsonl").write_text(lines, encoding="utf-8")
    cli.ok("init", "notes", "--wm-length", 2, "--backbone", "hash")
    cli.ok("step", "notes", "notes.md", "chat.jsonl")


def texts(document: Any) -> list[str]:
    return [one["text"] for one in document["answers"]]


def test_the_answer_comes_first_and_nothing_changes(cli: Cli) -> None:
    digest = cli.ok("inspect", "notes", "--json").json["digest"]
    told = cli.ok("ask", "notes", "Who repairs clocks?", "--json").json
    assert set(told) == {"step", "answers"}
    assert all(set(one) == KEYS for one in told["answers"])
    assert texts(told)[0] == "Ben repairs clocks."
    first = told["answers"][0]
    assert sum(first["parts"].values()) == pytest.approx(first["score"], abs=1e-4)
    assert (first["source"], first["offset"]) == ("notes.md", 87)
    assert 0 <= first["confidence"] <= 1
    assert cli.ok("inspect", "notes", "--json").json["digest"] == digest


def test_a_question_may_be_words(cli: Cli) -> None:
    one = cli.ok("ask", "notes", "Who repairs clocks?", "--json").json
    assert cli.ok("ask", "notes", "Who", "repairs", "clocks?", "--json").json == one


def test_answers_are_in_words(cli: Cli) -> None:
    shown = cli.ok("ask", "notes", "Who repairs clocks?", "--top", 1).out
    assert "1. Ben repairs clocks.\n" in shown
    assert "notes.md" in shown
    assert "engram 3" in shown
    shown = cli.ok("ask", "notes", "Who moved to Oslo?", "--top", 1).out
    assert "1. Ann: I moved to Oslo.\n" in shown
    assert "2023-05-08 13:56 UTC" in shown


def test_why_tells_the_parts_in_words(cli: Cli) -> None:
    shown = cli.ok("ask", "notes", "Who repairs clocks?", "--top", 1, "--why").out
    line = next(one for one in shown.splitlines() if "why:" in one)
    assert "words +" in line
    assert "what stands around it" in line
    assert "confidence" in line


def test_context_is_what_stands_around(cli: Cli) -> None:
    told = cli.ok("ask", "notes", "Who repairs clocks?", "--top", 1, "--context", 1, "--json").json
    first = told["answers"][0]
    assert [one["text"] for one in first["before"]] == ["Their honey is dark this year."]
    assert [one["text"] for one in first["after"]] == ["He oils the old clock every spring."]
    shown = cli.ok("ask", "notes", "Who repairs clocks?", "--top", 1, "--context", 1).out
    lines = [line.strip() for line in shown.splitlines()]
    before, after = first["before"][0]["text"], first["after"][0]["text"]
    assert lines.index(before) < lines.index("1. Ben repairs clocks.") < lines.index(after)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--source", "chat*"], {"I moved to Oslo.", "The boat is red."}),
        (["--since", "2024-01-01", "--source", "chat*"], {"The boat is red."}),
        (["--until", "2023-12-31"], {"I moved to Oslo."}),
        (["--meta", "speaker=Ann"], {"I moved to Oslo."}),
        (["--meta", "room=3", "--meta", "speaker=Bob"], {"The boat is red."}),
        (["--meta", "room=4"], set()),
        (["--type", "longterm"], set()),
        (["--forgotten"], set()),
    ],
)
def test_filters(cli: Cli, options: list[str], found: set[str]) -> None:
    assert set(texts(cli.ok("ask", "notes", "Where is it?", *options, "--json").json)) == found


def test_list_filters_by_meta_too(cli: Cli) -> None:
    listed = cli.ok("list", "notes", "--meta", "speaker=Ann", "--json").json
    assert [one["text"] for one in listed["engrams"]] == ["I moved to Oslo."]
    assert cli.ok("list", "notes", "--meta", "room=3", "--json").json["count"] == 1
    assert (
        cli.ok("list", "notes", "--meta", "room=3", "--meta", "speaker=x", "--json").json["count"]
        == 0
    )
    assert cli("list", "notes", "--meta", "room").code == 2


def test_what_was_forgotten_but_still_lies_there(cli: Cli) -> None:
    cli.ok("forget", "notes", 3, "--yes")
    assert "Ben repairs clocks." not in texts(
        cli.ok("ask", "notes", "Who repairs clocks?", "--json").json
    )
    told = cli.ok("ask", "notes", "Who repairs clocks?", "--forgotten", "--json").json
    assert texts(told) == ["Ben repairs clocks."]


def test_the_past_is_asked_as_it_was(cli: Cli) -> None:
    told = cli.ok("ask", "notes@1", "Who repairs clocks?", "--json").json
    assert told["step"] == 1
    assert set(texts(told)) == {"Ada keeps bees behind the house.", "The bees like clover."}


def test_many_questions(cli: Cli, tmp_path: Path) -> None:
    asked = ["Who repairs clocks?", "What do bees like?"]
    lines = "".join(json.dumps({"question": one, "q": "Oslo?"}) + "\n" for one in asked)
    (tmp_path / "q.jsonl").write_text(lines, encoding="utf-8")
    told = cli.ok("ask", "notes", "--questions", "q.jsonl", "--top", 2, "--json").json
    assert [one["question"] for one in told] == asked
    alone = cli.ok("ask", "notes", asked[1], "--top", 2, "--json").json["answers"]
    assert told[1]["answers"] == alone
    shown = cli.ok("ask", "notes", "--questions", "q.jsonl").out
    assert all(question in shown for question in asked)
    other = cli.ok("ask", "notes", "--questions", "q.jsonl:q", "--json").json
    assert [one["question"] for one in other] == ["Oslo?", "Oslo?"]


def test_asking_teaches_when_told_to(cli: Cli) -> None:
    def lifespans() -> dict[int, float]:
        listed = cli.ok("list", "notes", "--json").json["engrams"]
        return {one["id"]: one["lifespan"] for one in listed}

    before = lifespans()
    learned = cli.ok("ask", "notes", "Who repairs clocks?", "--learn", "--json").json
    best = sorted(one["id"] for one in learned["answers"][:5])
    assert learned["learned"] == best
    gained = {id_: life - before[id_] for id_, life in lifespans().items()}
    assert gained == {id_: 20.0 if id_ in best else 0.0 for id_ in before}

    question = "Which insect house stands there?"
    told = cli.ok("ask", "notes", question, "--used", 7, "--json").json
    assert told["used"] == [7]
    assert lifespans()[7] == before[7] + gained[7] + 50
    with MemoryStore.open("notes") as store:
        assert [one.text for one in store.confirmed_cues()] == [question]
    assert "1 engram (7) answered" in cli.ok("ask", "notes", "insects", "--used", 7).out
    assert "5 engrams" in cli.ok("ask", "notes", "insects", "--learn").out
    assert cli.ok("inspect", "notes", "--json").json["step"] == learned["step"]


def test_where_nothing_answers_it_says_so(cli: Cli) -> None:
    shown = cli.ok("ask", "notes", "Quantum chromodynamics lattice?").out
    assert shown.startswith("nothing here seems to answer this")
    cli.ok("init", "empty", "--backbone", "hash")
    assert cli.ok("ask", "empty", "Who is there?").out == "nothing is there to answer this\n"
    assert cli.ok("ask", "empty", "Who is there?", "--json").json == {"step": 0, "answers": []}


class TestStore:
    def test_option_then_argument_then_environment_then_the_nearest(
        self, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("a", "b", "c", ".memoria"):
            cli.ok("init", name, "--backbone", "hash")
            cli.ok("step", name, "--text", f"This is store {name}.")
        (tmp_path / "deep" / "down").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "deep" / "down")

        def answer(*words: str) -> str:
            return texts(cli.ok("ask", *words, "--json").json)[0]

        assert answer("which store?") == "This is store .memoria."
        monkeypatch.setenv("MEMORIA_STORE", str(tmp_path / "c"))
        assert answer("which store?") == "This is store c."
        assert answer(str(tmp_path / "b"), "which store?") == "This is store b."
        place = str(tmp_path / "a")
        assert answer("--store", place, str(tmp_path / "b"), "which?") == "This is store a."

    def test_a_store_that_is_written_to_unnamed_is_told(self, cli: Cli) -> None:
        cli.ok("init", ".memoria", "--backbone", "hash")
        cli.ok("step", ".memoria", "--text", "This is a store.")
        assert cli("ask", "which store?").err == ""
        ran = cli("ask", "which store?", "--learn")
        assert ran.code == 0
        assert ".memoria" in ran.err
        assert cli("ask", ".memoria", "which store?", "--learn").err == ""

    def test_without_a_store(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MEMORIA_STORE", raising=False)
        ran = cli("ask", "nots", "Who repairs clocks?")
        assert (ran.code, ran.out) == (10, "")
        assert "nots: is not a store" in ran.err


@pytest.mark.parametrize(
    "line",
    [
        "ask notes",
        "ask notes x --top -1",
        "ask notes x --context -1",
        "ask notes x --lane 7",
        "ask notes x --type forgotten",
        "ask notes x --meta speaker",
        "ask notes x --since someday",
        "ask notes x --questions chat.jsonl:text",
        "ask notes --questions chat.jsonl",
        "ask notes --questions notes.md",
        "ask notes --questions nowhere.jsonl",
        "ask notes --questions chat.jsonl:text --used 1",
        "ask notes x --used 99",
        "ask notes@1 x --learn",
    ],
)
def test_bad_requests_are_one_line(cli: Cli, line: str) -> None:
    ran = cli(*line.split())
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err


def test_a_cue_of_its_own_needs_no_peek(cli: Cli) -> None:
    digest = cli.ok("inspect", "notes", "--json").json["digest"]
    asked = cli.ok("remind", "notes", "--cue-text", "clocks", "--json").json
    assert cli.ok("remind", "notes", "--peek", "--cue-text", "clocks", "--json").json == asked
    assert cli.ok("inspect", "notes", "--json").json["digest"] == digest
    assert "memoria ask" in cli.ok("remind", "--help").out


def test_asking_loads_no_torch(cli: Cli) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from memoria_cli.__main__ import main;"
        "code = main(['ask', 'notes', 'clocks']); print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("0 False\n"), done.stderr


def test_reencoding_makes_a_memory_outlive_its_encoder(cli: Cli) -> None:
    cli.ok("pin", "notes", 2)
    with MemoryStore.open("notes", "r+") as store:
        store.edit(3, text="Ben mends watches.")
    told = cli.ok("replay", "notes", "--set", "backbone=hash", "-o", "new", "--json").json
    assert (told["steps"], told["skipped_events"]) == (4, 0)
    listed = [cli.ok("list", name, "--json").json["engrams"] for name in ("notes", "new")]
    same = ("id", "text", "source", "offset", "pinned", "type")
    assert [[one[key] for key in same] for one in listed[0]] == [
        [one[key] for key in same] for one in listed[1]
    ]
    assert texts(cli.ok("ask", "new", "watches", "--json").json)[0] == "Ben mends watches."
    assert cli("replay", "notes", "--set", "backbone=array", "-o", "x").code == 2
    assert cli("replay", "notes", "--set", "backbone=nope", "-o", "x").code == 2
    assert not Path("x").exists()


def test_of_a_long_text_the_part_that_is_asked_about_is_shown(cli: Cli, tmp_path: Path) -> None:
    filler = "Nothing of note was said that day, and so it went on and on. " * 60
    text = f"{filler}The anchor lies in the shed. {filler}"
    (tmp_path / "long.txt").write_text(text, encoding="utf-8")
    cli.ok("step", "notes", "long.txt", "--unit", "line")
    shown = cli.ok("ask", "notes", "Where does the anchor lie?", "--top", 1).out
    first = shown.splitlines()[0]
    assert "The anchor lies in the shed." in first
    assert len(first) < 700
    assert first.startswith("1. … ")
    assert first.endswith(" …")
    whole = cli.ok("ask", "notes", "Where does the anchor lie?", "--top", 1, "--json").json
    assert whole["answers"][0]["text"] == text.strip()


def test_filters_that_let_nothing_through_are_told(cli: Cli) -> None:
    told = cli.ok("ask", "notes", "bees", "--source", "*.doc").out
    assert told == "nothing that these filters let through is there\n"


def test_what_is_said_twice_is_shown_once(cli: Cli) -> None:
    cli.ok("step", "notes", "--text", "The anchor is old.", "--text", "The anchor is old.")
    shown = cli.ok("ask", "notes", "How old is the anchor?").out
    assert shown.count("The anchor is old.") == 1
    assert "   the same: engram 9\n" in shown
    told = cli.ok("ask", "notes", "How old is the anchor?", "--json").json
    assert texts(told)[:2] == ["The anchor is old."] * 2
