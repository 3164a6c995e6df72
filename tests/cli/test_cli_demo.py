"""`memoria demo`: the tour tells the truth, and leaves a store to go on with."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Cli, Ran, process

from memoria.errors import InputError
from memoria.experiments.demo_texts import QUESTIONS, cues_from, help_text
from memoria.io.units import split
from memoria.query.inspection import Inspection

STORY = " ".join(
    f"On day {day} the {who} went to the {place} and found {thing}."
    for day, (who, place, thing) in enumerate(
        [
            (who, place, thing)
            for who in ("fox", "owl", "badger", "hedgehog")
            for place in ("river", "mill", "forest")
            for thing in ("a silver coin", "three apples", "an old boot", "nothing at all")
        ]
    )
)


@pytest.fixture(autouse=True)
def _story(tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text(STORY, encoding="utf-8")


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    folder = tmp_path_factory.mktemp("tour")
    return folder, process("demo", "--json", cwd=folder)


def by_verb(document: Any, verb: str) -> list[Any]:
    return [one for one in document["commands"] if one["command"].split()[1] == verb]


def test_the_tour_succeeds_in_silence(toured: tuple[Path, Ran]) -> None:
    folder, ran = toured
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["path"] == str(folder / "demo-memory")


def test_its_memory_has_everything_to_show(toured: tuple[Path, Ran]) -> None:
    now = by_verb(toured[1].json, "inspect")[0]["result"]
    assert now["step"] == 120
    lane = now["lanes"][0]
    assert lane["shortterm"] == now["config"]["stm_capacity"]
    assert lane["longterm"] > 100
    assert lane["forgotten"] > 100
    assert now["connections"] > 1000


def test_its_questions_are_answered(toured: tuple[Path, Ran]) -> None:
    reminds = by_verb(toured[1].json, "remind")
    assert len(reminds) == len(QUESTIONS)
    about = {"finally": "finally", "default": "default", "debugger": "break"}
    for question, one in zip(QUESTIONS, reminds, strict=True):
        assert question in one["command"]
        answers = one["result"]["lanes"][0]["reminded"]
        word = next(answer for key, answer in about.items() if key in question)
        assert word in answers[0]["text"]
        assert all(set(answer) >= {"type", "lifespan", "correlation"} for answer in answers)


def test_asking_finds_what_the_questions_are_about(toured: tuple[Path, Ran]) -> None:
    asked = by_verb(toured[1].json, "ask")
    about = {"finally": "finally", "default": "default", "debugger": "break"}
    for question, one in zip(QUESTIONS, asked, strict=True):
        word = next(answer for key, answer in about.items() if key in question)
        assert any(word in answer["text"] for answer in one["result"]["answers"])


def test_forgotten_and_kept_engrams_are_shown_with_texts(toured: tuple[Path, Ran]) -> None:
    results = [one["result"] for one in by_verb(toured[1].json, "inspect")]
    kept = next(one["engram_list"] for one in results if "engram_list" in one)
    forgotten = next(one["forgotten_list"] for one in results if "forgotten_list" in one)
    assert all(one["text"] for one in kept + forgotten)
    assert kept[0]["age"] == 120
    life = results[-1]
    assert life["firings"]
    assert life["text"]


def test_the_commands_it_names_are_those_it_ran(toured: tuple[Path, Ran], cli: Cli) -> None:
    folder, ran = toured
    document = ran.json
    for one in by_verb(document, "remind") + by_verb(document, "inspect"):
        words = shlex.split(one["command"])
        assert words[0] == "memoria"
        words[2] = str(folder / words[2])
        again = cli.ok(*words[1:], "--json").json
        for document_ in (again, one["result"]):
            document_.pop("path", None)
        assert again == one["result"]


def test_its_store_takes_new_steps(toured: tuple[Path, Ran], cli: Cli) -> None:
    store = shutil.copytree(toured[0] / "demo-memory", "copy")
    cue = ("--peek", "--cue-text", "Which cheese does the mouse like?", "--top", 1, "--json")
    cli.ok("step", store, "--text", "The mouse likes Gouda cheese most of all.")
    answers = cli.ok("remind", store, *cue).json["lanes"][0]["reminded"]
    assert "Gouda" in answers[0]["text"]


def test_people_see_every_command_and_its_result(cli: Cli) -> None:
    shown = cli.ok("demo", "story.txt", "--store", "my memory", "--steps", 4).out
    commands = [line[2:] for line in shown.splitlines() if line.startswith("$ memoria ")]
    verbs = [shlex.split(one)[1] for one in commands]
    assert verbs == ["init", "step", *["ask"] * 3, *["remind"] * 3, *["inspect"] * 4]
    assert all(shlex.split(one)[2] == "my memory" for one in commands)
    assert "4 steps, 32 engrams added" in shown
    assert "reminded" in shown
    assert "memoria ask 'my memory' 'your question'" in shown
    assert not Path("my memory.txt").exists()
    with Inspection.open("my memory") as view:
        assert view.summary()["step"] == 4


def test_it_tells_the_same_every_time(cli: Cli) -> None:
    def told(name: str) -> list[Any]:
        document = cli.ok("demo", "--store", name, "--steps", 12, "--json").json
        reminds = [one["result"] for one in by_verb(document, "remind")]
        for engram in (
            one for said in reminds for lane in said["lanes"] for one in lane["reminded"]
        ):
            assert engram.pop("source") == f"{name}.txt"
        now = by_verb(document, "inspect")[0]["result"]
        return [reminds, now["lanes"], now["connections"], now["histograms"]]

    assert told("one") == told("two")
    assert Path("one.txt").read_text(encoding="utf-8") == help_text()


def test_what_is_there_is_not_touched(cli: Cli) -> None:
    Path("demo-memory").mkdir()
    ran = cli("demo")
    assert (ran.code, ran.out) == (1, "")
    assert "demo-memory: exists already; hint: name another with --store" in ran.err
    assert not list(Path("demo-memory").iterdir())
    Path("other.txt").write_text("mine", encoding="utf-8")
    ran = cli("demo", "--store", "other")
    assert (ran.code, ran.out) == (1, "")
    assert "other.txt: exists already" in ran.err
    assert Path("other.txt").read_text(encoding="utf-8") == "mine"
    assert not Path("other").exists()


def test_files_that_cannot_be_read_are_named_before_anything_is_made(cli: Cli) -> None:
    for name in ("gone.txt", "photo.png", "what.xyz"):
        ran = cli("demo", name)
        assert ran.code == 2
        assert name in ran.err
        assert ran.err.count("\n") == 1
        assert not Path("demo-memory").exists()


def test_the_help_text_is_prose_without_repeats() -> None:
    text = help_text()
    assert len(split(text, "sentence")) >= 800
    assert ">>>" not in text
    assert "::=" not in text
    paragraphs = text.strip().split("\n\n")
    assert len(paragraphs) == len(set(paragraphs))


def test_a_python_without_help_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(InputError, match="name text files"):
        help_text()


def test_cues_are_beginnings_spread_over_the_texts() -> None:
    texts = [f"text number {n} has quite a few words in it" for n in range(8)]
    assert cues_from(texts) == [f"text number {n} has quite a few words" for n in (2, 4, 6)]
    assert cues_from(["one two"]) == ["one two"]
    assert cues_from([]) == []
