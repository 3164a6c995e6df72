"""Asking a store: what is found, that nothing changes, and that the index changes no answer."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from memoria import MemoriaConfig, MemoryStore
from memoria.errors import ConfigError, InputError, ShapeError
from memoria.search.words import words_of
from memoria.store import lane_texts as lane_texts_module
from memoria.store.archive import write_archive
from memoria.store.asking import AskFilter, Asking, ask_files, bring_up_index
from memoria.store.reading import open_files

D = 96
HOUR = 3_600_000
CHAT = [
    "Ann: I went to Oslo yesterday.",
    "Bob: Nice! What did you see there?",
    "Ann: The museum of bees, it was wonderful.",
    "Bob: I read a book called Honey last week.",
    "Ann: My sister Carla makes honey in Rome.",
    "Bob: How is Carla?",
    "Ann: She is allergic to nuts since 2019.",
    "Bob: Good to know, thanks!",
]


class Encoder:
    """Stands in for a sentence encoder: a text's vector is the sum of its words' vectors."""

    def encode(self, batch: Sequence[str]) -> Any:
        return np.stack([self.word_vectors(words_of(text) or [""]).sum(0) for text in batch])

    def word_table(self) -> Encoder:
        return self

    def word_vectors(self, words: Sequence[str]) -> Any:
        seeds = [crc32(word.encode()) for word in words]
        rows = [np.random.default_rng(seed).normal(size=D) for seed in seeds]
        return np.array(rows, np.float32).reshape(-1, D)

    def is_word(self, word: str) -> bool:
        return False


@pytest.fixture(autouse=True)
def _every_index_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_texts_module, "LEAST_SAVED", 1)
    monkeypatch.setattr(Asking, "_backbone", Encoder())


def config(**changes: Any) -> MemoriaConfig:
    values = {"hidden_dim": D, "backbone": "hash", "initial_lifespan": 1e6, "rule": "uniform:0"}
    return MemoriaConfig(**{**values, "num_reminded_stm": 1, "num_final_ltms": 0, **changes})


def tell(store: MemoryStore, texts: Sequence[str], **beside: Any) -> None:
    store.step(Encoder().encode(texts), texts=texts, **beside)


def many(count: int, first: int = 0) -> list[str]:
    draw = np.random.default_rng(first)
    words = "bees honey wax hive queen Oslo Rome sister museum went made saw".split()
    return [f"{'Ann' if n % 2 else 'Bob'}: {' '.join(draw.choice(words, 5))}" for n in range(count)]


@pytest.fixture(params=["hash", "st:any"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A store of a chat behind fifty other texts."""
    path = tmp_path / "store"
    with MemoryStore.create(path, config(backbone=request.param)) as store:
        for first in range(0, 48, 8):
            tell(store, many(8, first))
        places = [("chat.txt", 100 * n) for n in range(len(CHAT))]
        meta = [{"mood": "good", "n": n} for n in range(len(CHAT))]
        times = [1683504000000 + n * HOUR for n in range(len(CHAT))]
        tell(store, CHAT, places=places, times=times, meta=meta)
    return path


QUESTION = "What is Carla allergic to?"


def ask(path: Path | str, question: Any = QUESTION, at: Any = None, **filters: Any) -> Any:
    files = open_files(path, at)
    try:
        return ask_files(files, question, 10, AskFilter(**filters))
    finally:
        files.close()


def test_the_answer_comes_first_with_what_is_known_of_it(path: Path) -> None:
    with MemoryStore.open(path) as store:
        answers = store.ask(QUESTION, top=3, context=2)
        digest = store.digest()
    best = answers[0]
    assert best.text == CHAT[6]
    assert (best.id, best.lane, best.source, best.offset) == (54, 0, "chat.txt", 600)
    assert best.meta == {"mood": "good", "n": 6}
    assert best.time == 1683504000000 + 6 * HOUR
    assert [one.text for one in best.before] == CHAT[4:6]
    assert [one.text for one in best.after] == CHAT[7:]
    assert sum(best.parts.values()) == pytest.approx(best.score, abs=1e-4)
    assert 0 <= best.confidence <= 1
    assert answers.ids[0] == 54
    assert answers.texts[0] == CHAT[6]
    assert answers.scores == sorted(answers.scores, reverse=True)
    assert "54: Ann: She is allergic" in repr(answers)
    assert len(answers) == len(answers[:3]) == 3
    with MemoryStore.open(path) as store:
        assert store.digest() == digest


def test_a_question_about_something_else_seems_unanswered(path: Path) -> None:
    foreign = ask(path, "Which violinist composed the Zagreb symphony?")
    assert not foreign.seems_answered
    assert ask(path).seems_answered
    assert ask(path).confidence > 3 * foreign.confidence


def test_the_document_is_as_the_design_says(path: Path) -> None:
    document = ask(path).document()
    assert set(document) == {"step", "answers"}
    assert list(document["answers"][0]) == (
        "id lane text score confidence parts source line offset time meta before after".split()
    )


def test_asking_from_the_shell_loads_no_torch(path: Path) -> None:
    code = (
        "import sys; from memoria.store.reading import open_files;"
        "from memoria.store.asking import ask_files;"
        f"print(ask_files(open_files({str(path)!r}), 'bees').ids, 'torch' in sys.modules)"
    )
    if "hash" in open_files(path).config.backbone:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.endswith("] False\n"), done.stderr


def index_of(path: Path) -> Path:
    return path / "index" / "lane-0.sqlite"


def remove(path: Path) -> None:
    shutil.rmtree(path / "index")


def damage(path: Path) -> None:
    raw = bytearray(index_of(path).read_bytes())
    for at in range(200, len(raw), 997):
        raw[at] ^= 0xFF
    index_of(path).write_bytes(bytes(raw))


def forge(path: Path) -> None:
    index_of(path).write_text("no index at all")


def block(path: Path) -> None:
    remove(path)
    (path / "index").write_text("a file")


@pytest.mark.parametrize("harm", [remove, damage, forge, block])
def test_whatever_becomes_of_the_index_the_answers_are_the_same(
    path: Path, harm: Callable[[Path], None]
) -> None:
    with MemoryStore.open(path) as store:
        digest = store.digest()
    fresh = ask(path)
    kept = ask(path)
    assert index_of(path).is_file()
    harm(path)
    for again in (ask(path), ask(path)):
        assert again.ids == kept.ids == fresh.ids
        assert again.scores == kept.scores == fresh.scores
    with MemoryStore.open(path) as store:
        assert store.digest() == digest


def test_an_index_that_is_behind_is_brought_up(path: Path) -> None:
    ask(path)
    other = path.with_name("other")
    with MemoryStore.open(path, "r+") as store:
        tell(store, many(8, 77))
        tell(store, ["Ann: Carla is allergic to bees, too.", "Bob: Oh no!"])
    shutil.copytree(path, other)
    remove(other)
    assert ask(path).scores == ask(other).scores
    assert ask(path).ids == ask(other).ids
    assert 64 in ask(path).ids[:2]


def test_the_index_can_be_brought_up_before_anybody_asks(path: Path) -> None:
    bring_up_index(path, Encoder())  # type: ignore[arg-type]
    before = index_of(path).read_bytes()
    assert ask(path).ids[0] == 54
    assert index_of(path).read_bytes() == before


def test_an_index_that_is_ahead_or_of_another_past_is_not_used(path: Path) -> None:
    other = path.with_name("other")
    shutil.copytree(path, other)
    for place, texts in ((path, many(8, 5)), (other, many(8, 6))):
        with MemoryStore.open(place, "r+") as store:
            tell(store, texts)
            if place == path:
                tell(store, many(8, 7))
    ask(path)
    wanted = ask(other)
    for name in os.listdir(path / "index"):
        shutil.copy(path / "index" / name, other / "index" / name)
    assert ask(other).scores == wanted.scores


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_cannot_be_written_is_asked_too(path: Path) -> None:
    wanted = ask(path)
    remove(path)
    path.chmod(0o555)
    try:
        found = ask(path)
    finally:
        path.chmod(0o755)
    assert found.scores == wanted.scores
    assert "no index" in found.notes[0]


def test_an_archive_is_asked_without_an_index_and_says_so(path: Path, tmp_path: Path) -> None:
    wanted = ask(path)
    archive = tmp_path / "store.zip"
    write_archive(open_files(path), archive)
    found = ask(archive)
    assert found.ids == wanted.ids
    assert found.scores == wanted.scores
    assert "no index" in found.notes[0]
    assert not wanted.notes


def test_the_past_is_asked_as_it_was(path: Path) -> None:
    ask(path)
    past = ask(path, "bees in Oslo", at=3)
    assert past.step == 3
    assert max(past.ids) < 24
    other = path.with_name("other")
    with MemoryStore.create(other, config(backbone=open_files(path).config.backbone)) as store:
        for first in range(0, 24, 8):
            tell(store, many(8, first))
    assert past.scores == ask(other, "bees in Oslo").scores


def test_a_step_that_has_begun_is_found_and_rolled_back(path: Path) -> None:
    with MemoryStore.open(path, "r+") as store:
        before = store.ask(QUESTION)
        texts = ["Ann: Carla is allergic to wool."]
        store.add(Encoder().encode(texts), texts=texts)
        assert store.ask("wool").texts[0] == texts[0]
        more = ["Bob: And the sheep?"]
        store.add(Encoder().encode(more), texts=more)
        assert store.ask("sheep").texts[0] == more[0]
        store.remind()
        store.adjust()
        assert store.ask("sheep").texts[0] == more[0]
        store.rollback()
        assert store.ask(QUESTION).scores == before.scores
    assert ask(path).scores == before.scores


def test_an_edited_text_is_found_by_what_it_says_now(path: Path) -> None:
    ask(path)
    with MemoryStore.open(path, "r+") as store:
        store.edit(54, text="Ann: She is fond of hedgehogs.")
        store.edit(3, vector=Encoder().encode(["allergic"])[0])
        assert store.ask("hedgehogs").ids[0] == 54
    found = ask(path, "Who is fond of hedgehogs?")
    assert found.texts[0] == "Ann: She is fond of hedgehogs."
    remove(path)
    assert ask(path, "Who is fond of hedgehogs?").scores == found.scores


def test_what_is_forgotten_is_only_found_on_demand(path: Path) -> None:
    with MemoryStore.open(path, "r+") as store:
        store.forget([54, 3])
        assert 54 not in store.ask(QUESTION, top=100).ids
        gone = store.ask(QUESTION, forgotten=True)
        assert gone.ids == [54, 3]
    assert ask(path, forgotten=True).ids == [54, 3]


def test_filters_leave_scores_as_they_are(path: Path) -> None:
    with MemoryStore.open(path) as store:
        whole = store.ask(QUESTION, top=100)
        scores = dict(zip(whole.ids, whole.scores, strict=True))
        start = 1683504000000
        for filters, wanted in (
            ({"sources": ["chat*"]}, range(48, 56)),
            ({"sources": ["x", "*.txt"], "since": start + 5 * HOUR}, range(53, 56)),
            ({"sources": ["chat.txt"], "until": start + 2 * HOUR}, range(48, 51)),
            ({"until": start + 2 * HOUR}, range(48, 51)),
            ({"meta": {"mood": "good", "n": "3"}}, [51]),
            ({"meta": {"n": 3}}, [51]),
            ({"meta": {"mood": "bad"}}, []),
            ({"types": ["shortterm"]}, whole.ids),
            ({"types": ["working"]}, []),
        ):
            found = store.ask(QUESTION, top=100, **filters)  # type: ignore[arg-type]
            assert sorted(found.ids) == sorted(wanted), filters
            assert found.scores == [scores[one] for one in found.ids]


@pytest.mark.parametrize(
    ("asked", "filters", "message"),
    [
        (" ", {}, "the question is empty"),
        ("bees", {"top": 0}, "top = 0: must be 1 or more"),
        ("bees", {"context": -1}, "context = -1"),
        ("bees", {"lane": 1}, "lane = 1: there is none"),
        ("bees", {"types": ["old"]}, "type = 'old': unknown"),
        (np.full(D, np.nan), {}, "the question holds NaN"),
    ],
)
def test_what_cannot_be_asked_is_an_input_error(
    path: Path, asked: Any, filters: Any, message: str
) -> None:
    with MemoryStore.open(path) as store, pytest.raises(InputError, match=message):
        store.ask(asked, **filters)


def test_a_vector_finds_its_nearest(path: Path) -> None:
    with MemoryStore.open(path) as store:
        vector = Encoder().encode([CHAT[6]])[0]
        assert store.ask(vector).ids[0] == 54
        assert store.ask(vector[None]).ids == store.ask(vector).ids
        with pytest.raises(ShapeError, match=r"question.*\[96\].*\[7\]"):
            store.ask(vector[:7])


def test_vectors_without_texts_are_ranked_by_cosine(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(30, D)).astype(np.float32)
    with MemoryStore.create(tmp_path / "s", config(backbone="array")) as store:
        for first in range(0, 30, 10):
            store.step(data[first : first + 10])
        unit = data / np.linalg.norm(data, axis=1, keepdims=True)
        assert store.ask(data[7], top=30).ids == np.argsort(-(unit @ unit[7])).tolist()
        assert store.ask("words", top=3).ids == [0, 1, 2]


def test_each_lane_is_ranked_by_itself_and_all_are_asked(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "s", config(lanes=2)) as store:
        for first in range(0, 24, 8):
            texts = [many(8, first), CHAT]
            store.step(np.stack([Encoder().encode(one) for one in texts]), texts=texts)
        found = store.ask(QUESTION, top=5)
        assert {one.text for one in found[:3]} == {CHAT[6]}
        assert all(one.id % 2 == one.lane == 1 for one in found[:3])
        assert {one.lane for one in store.ask(QUESTION, lane=0)} == {0}
        assert store.ask(QUESTION, lane=1).scores[0] == found.scores[0]


def test_an_empty_memory_answers_nothing(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "s", config()) as store:
        answers = store.ask("anything?")
        assert answers.ids == []
        assert answers.confidence == 0


def test_what_was_confirmed_helps_a_cue_like_it(path: Path) -> None:
    with MemoryStore.open(path, "r+") as store:
        before = store.ask("Who is the sister of Ann?", top=60)
        store.confirm("Who is the sister of Ann?", None, [54])
        after = store.ask("Who is the sister of Ann?", top=60)
        place = after.ids.index(54)
        assert after.parts[place]["confirmed"] == pytest.approx(4.0, abs=1e-4)
        gain = after.scores[place] - before.scores[before.ids.index(54)]
        assert gain == pytest.approx(4.0, abs=1e-3)


def test_settings_change_what_a_part_counts(path: Path) -> None:
    with MemoryStore.open(path, "r+") as store:
        store.change_settings({"ask": {"information": 0.0, "language": "none"}})
    assert all(parts["information"] == 0 for parts in ask(path).parts)


def test_a_binary_first_pass_is_a_setting_and_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with MemoryStore.create(path, config(backbone="st:any")) as store:
        for first in range(0, 96, 8):
            tell(store, many(8, first))
        tell(store, CHAT)
    wanted = ask(path).ids[:3]
    assert first_pass_of(path) == {"codes": ("|i1", 104 * D), "scales": ("<f4", 104 * 4)}
    for chosen, kept in (
        ({"first_pass": "binary"}, {"codes": ("|u1", 104 * D // 8)}),
        ({}, {"codes": ("|i1", 104 * D), "scales": ("<f4", 104 * 4)}),
    ):
        with MemoryStore.open(path, "r+") as store:
            digest = store.digest()
            store.change_settings({"ask": chosen})
            store.commit()
            assert store.digest() == digest
        with closing(open_files(path)) as files:
            assert Asking(files, exact_texts=0).ask(QUESTION).ids[:3] == wanted
        assert first_pass_of(path) == kept


def first_pass_of(path: Path) -> dict[str, tuple[str, int]]:
    with closing(sqlite3.connect(index_of(path))) as database:
        rows = database.execute(
            "SELECT name, dtype, SUM(size) FROM parts WHERE kind = 'texts' "
            "AND name IN ('codes', 'scales') GROUP BY name, dtype"
        )
        return {name: (dtype, size) for name, dtype, size in rows}


def test_vectors_of_hash_are_looked_at_as_bytes_whatever_the_settings_say(path: Path) -> None:
    with MemoryStore.open(path, "r+") as store:
        if store.config.backbone == "hash":
            with pytest.raises(ConfigError, match=r"first_pass = 'binary': .*misses a third"):
                store.change_settings({"ask": {"first_pass": "binary"}})
            assert store.settings["ask"] == {}
        binary = {"ask": {"first_pass": "binary", "dense": 1.0}}
        store._memory.settings = store._memory.settings.changed(binary)
        store.commit()
    ask(path)
    dtype = "|i1" if store.config.backbone == "hash" else "|u1"
    assert first_pass_of(path)["codes"][0] == dtype


def test_a_line_is_told_where_the_source_still_has_the_text(tmp_path: Path) -> None:
    file = tmp_path / "chat.txt"
    file.write_text("\n".join(CHAT), encoding="utf-8")
    offsets = [sum(len(line) + 1 for line in CHAT[:n]) for n in range(len(CHAT))]
    with MemoryStore.create(tmp_path / "s", config()) as store:
        tell(store, CHAT, places=[(str(file), offset) for offset in offsets])
        assert store.ask(QUESTION)[0].line == 7
        file.write_text("changed\n" + "\n".join(CHAT), encoding="utf-8")
        assert store.ask(QUESTION)[0].line is None
        tell(store, ["wool"], places=[("notes.jsonl:12", 0)])
        assert store.ask("wool")[0].line == 12


def test_what_a_text_stands_under_is_searched_with_it(tmp_path: Path) -> None:
    path, texts = tmp_path / "store", many(40)
    with MemoryStore.create(path, config()) as store:
        tell(store, texts[:20], places=[("diary.md", 50 * n) for n in range(20)])
        meta = [None, {"heading": "Cellar", "title": "House"}, None]
        places = [("notes/Lisbon trip-2.md", 0), ("notes/x.md:3", 0), ("text:3", 0)]
        tell(store, ["We stay at number eight."] * 3, places=places, meta=meta)
        tell(store, texts[20:])
    assert ask(path, "Lisbon").ids[0] == 20
    assert ask(path, "the cellar").ids[0] == 21
    assert ask(path, "house").ids[0] == 21


def test_records_of_one_file_are_one_conversation(tmp_path: Path) -> None:
    asked = ["Have you been there?", "Only once, it was lovely."]
    parts = []
    for names in (["chat.jsonl:8", "chat.jsonl:9"], ["a.jsonl:8", "b.jsonl:9"]):
        path = tmp_path / names[0]
        with MemoryStore.create(path, config()) as store:
            meta = [{"author": "Ann"}, {"author": "Bob"}]
            tell(store, asked, places=[(name, 0) for name in names], meta=meta)
            tell(store, many(20))
        answers = {one.id: one for one in ask(path, "Have you been there once?")}
        parts.append(answers[1].parts["neighbours"])
    assert parts[0] > parts[1]


def test_what_is_told_soon_after_a_day_answers_questions_about_it(tmp_path: Path) -> None:
    path, day = tmp_path / "store", 1683504000000  # 8 May 2023
    with MemoryStore.create(path, config()) as store:
        times = [day + (n - 20) * 24 * HOUR for n in range(40)]
        tell(store, ["We took the boat to the island."] * 40, times=times)
    found = ask(path, "What happened on 2023-05-08?")
    assert found.ids[0] == 20
    near = {one.id: one.parts["day"] for one in found if one.parts["day"]}
    assert near == pytest.approx({20: 2.0, 21: 1.5, 22: 1.0, 23: 0.5})
    assert "day" not in ask(path, "What happened?")[0].parts


def test_after_a_rollback_nothing_answers_from_what_was_dropped(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "store", config()) as store:
        tell(store, ["Ada keeps bees."])
        store.commit()
        tell(store, ["Ben repairs clocks."])
        assert store.ask("clocks").texts[0] == "Ben repairs clocks."
        store.rollback()
        tell(store, ["Cleo paints boats in blue."])
        assert store.ask("boats").texts[0] == "Cleo paints boats in blue."
        assert store.ask("clocks").confidence < store.ask("boats").confidence
