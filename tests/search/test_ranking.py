"""The ranking against its formula, written slowly; and what no way of computing it may change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
import pytest
from ask_oracle import HOUR, Oracle, Said, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.search import postings as postings_module
from memoria.search import ranking
from memoria.search.cues import bare_cue, named_speaker, respell
from memoria.search.languages import ENGLISH, NONE, Language, find_language
from memoria.search.postings import Postings
from memoria.search.quantized import unit
from memoria.search.ranked import Cue, Memory, Ranked, rank
from memoria.search.ranking import SENTENCE, WORDS, Weights
from memoria.search.text_index import TextBatch, TextIndex
from memoria.search.words import is_one_edit, words_of

WORDS_SAID = (
    "the a went go going Oslo yesterday May 2023 bees bee honey honest wax when where book last"
    ' week on Monday three seven? what called "Dune Two" in Rome met Ann Bob\'s 東京都 हिन्दी'
).split(" ")
NAMES = ("", "Ann: ", "Bob: ", "Bob Ross: ", "Note: ")
DIMENSION = 8


@st.composite
def said(draw: st.DrawFn) -> list[Said]:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 40))
    made: list[Said] = []
    group, time, source, offset = 0, 10**12, 0, 0
    for _ in range(count):
        words = random.choice(WORDS_SAID, random.integers(8))
        text = str(random.choice(NAMES)) + " ".join(words)
        time += int(random.choice([0, 1, 7])) * HOUR
        source = int(random.choice([source, source, source, source + 1, -1]))
        group += int(random.integers(2))
        told = str(random.choice(["", "", "", "Cid"]))
        known = time if random.integers(2) else -1
        heading = str(random.choice(["", "", "Bees of May"]))
        made.append(Said(text, known, source, offset, told, group, heading))
        offset += len(text) + int(random.integers(4))
    return made


def batch_of(texts: Sequence[Said], first: int = 0, vectors: Any = None) -> TextBatch:
    return TextBatch(
        keys=np.arange(first, first + len(texts)),
        texts=[one.text for one in texts],
        times=np.array([one.time for one in texts], np.int64),
        sources=np.array([one.source for one in texts], np.int64),
        offsets=np.array([one.offset for one in texts], np.int64),
        speakers=[one.speaker for one in texts],
        groups=np.array([one.group for one in texts], np.int64),
        vectors=vectors,
        headings=[one.heading for one in texts],
    )


def index_of(
    texts: Sequence[Said],
    table: Table | None = None,
    language: Language = ENGLISH,
    vectors: Any = None,
    cuts: Sequence[int] = (),
) -> TextIndex:
    """An index of all texts, taken in between ``cuts``."""
    index = TextIndex(language, table, 0 if vectors is None else DIMENSION)
    for first, last in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        rows = None if vectors is None else vectors[first:last]
        index.append(batch_of(texts[first:last], first, rows))
    return index


def group_ends(texts: Sequence[Said]) -> list[int]:
    return [at for at in range(1, len(texts)) if texts[at].group != texts[at - 1].group]


def all_of(index: TextIndex, cue: Cue, weights: Weights, vectors: Any = None) -> Ranked:
    living = np.arange(len(index))
    exact = None if vectors is None else lambda at: vectors[at]
    return rank(index, cue, Memory(living, exact), weights, len(index))


@given(said(), st.lists(st.sampled_from(WORDS_SAID), min_size=1, max_size=6), st.data())
@settings(max_examples=150, deadline=None)
def test_scores_are_those_of_the_formula(
    texts: list[Said], asked: list[str], data: st.DataObject
) -> None:
    cue = " ".join(asked)
    language = data.draw(st.sampled_from([ENGLISH, NONE]))
    table = data.draw(st.sampled_from([None, Table()]))
    weights = data.draw(st.sampled_from([SENTENCE, WORDS]))
    vectors = np.random.default_rng(len(texts)).normal(size=(len(texts), DIMENSION))
    vectors = vectors.astype(np.float32)
    cues = unit(vectors[[0, -1]] + 1)
    index = index_of(texts, table, language, vectors)
    living = sorted(data.draw(st.sets(st.integers(0, len(texts) - 1), min_size=1)))
    memory = Memory(np.array(living), lambda at: vectors[at])
    found = rank(index, Cue(cue, cues), memory, weights, len(texts))
    cosines = cues @ unit(vectors).T
    wanted = Oracle(texts, language, table).scores(cue, weights, cosines, living)
    by_number = dict(zip(living, wanted, strict=True))
    np.testing.assert_allclose(
        found.scores, [by_number[at] for at in found.texts.tolist()], atol=2e-3
    )
    assert sorted(found.texts.tolist()) == living
    np.testing.assert_allclose(sum(found.parts.values()), found.scores, atol=1e-4)


@given(said(), st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_allowed_changes_no_score(texts: list[Said], data: st.DataObject) -> None:
    index = index_of(texts)
    cue = Cue("When did Ann go to Oslo?", None)
    everything = all_of(index, cue, WORDS)
    scores = dict(zip(everything.texts.tolist(), everything.scores.tolist(), strict=True))
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))))
    some = rank(index, cue, Memory(np.arange(len(texts))), WORDS, 5, allowed)
    assert some.scores.tolist() == [scores[at] for at in some.texts.tolist()]
    assert some.texts.tolist() == [at for at in everything.texts.tolist() if allowed[at]][:5]


@given(said(), st.data())
@settings(max_examples=60, deadline=None)
def test_texts_that_come_little_by_little_make_the_same_index(
    texts: list[Said], data: st.DataObject
) -> None:
    table = data.draw(st.sampled_from([None, Table()]))
    ends = group_ends(texts)
    cuts = sorted(data.draw(st.sets(st.sampled_from(ends)))) if ends else []
    whole, parts = index_of(texts, table), index_of(texts, table, cuts=cuts)
    for name, column in whole.columns().items():
        np.testing.assert_array_equal(parts[name], column, name)
    cue = Cue("Where are the bees of Bob?", None)
    one, other = (all_of(index, cue, WORDS) for index in (whole, parts))
    np.testing.assert_array_equal(one.texts, other.texts)
    np.testing.assert_array_equal(one.scores, other.scores)


@given(said(), said(), st.data())
@settings(max_examples=60, deadline=None)
def test_an_index_that_is_cut_back_is_what_it_was(
    texts: list[Said], more: list[Said], data: st.DataObject
) -> None:
    index, cue = index_of(texts, Table()), Cue("When did Ann go to Oslo?", None)
    before = all_of(index, cue, WORDS)
    mark = index.mark()
    index.append(batch_of(more, len(texts)))
    at = sorted(data.draw(st.sets(st.integers(0, len(texts) - 1), min_size=1)))
    index.revise(np.array(at), batch_of([more[one % len(more)] for one in at]))
    index.cut(mark)
    after = all_of(index, cue, WORDS)
    np.testing.assert_array_equal(before.texts, after.texts)
    np.testing.assert_array_equal(before.scores, after.scores)


def test_a_first_look_at_bytes_finds_what_exact_vectors_find() -> None:
    draw = np.random.default_rng(1)
    texts = [
        Said(f"Ann: {' '.join(draw.choice(WORDS_SAID, 6))} {number}", group=number // 8)
        for number in range(900)
    ]
    vectors = draw.normal(size=(900, DIMENSION)).astype(np.float32)
    index = index_of(texts, Table(), vectors=vectors)
    memory = Memory(np.arange(900), lambda at: vectors[at])
    for number in range(20):
        cue = Cue(" ".join(draw.choice(WORDS_SAID, 4)), unit(vectors[[number, number]]))
        exact, looked = (
            rank(index, cue, memory, SENTENCE, 10, exact_texts=most) for most in (900, 0)
        )
        np.testing.assert_allclose(looked.scores, exact.scores, atol=0.02)
        assert len(set(looked.texts.tolist()) & set(exact.texts.tolist())) >= 9
        np.testing.assert_allclose(looked.cosines, vectors_cosines(cue, vectors, looked), atol=1e-5)


def vectors_cosines(cue: Cue, vectors: Any, found: Ranked) -> Any:
    return cue.vectors @ unit(vectors[found.texts]).T


def test_a_text_that_was_revised_is_found_by_its_new_words_alone() -> None:
    texts = [Said(f"Ann: nothing of note {number}", group=number) for number in range(30)]
    texts[7] = Said("Ann: the bees make honey", group=7)
    for table in (None, Table()):
        index = index_of(texts, table)
        index.revise(np.array([7]), batch_of([Said("Ann: the sheep make wool")]))
        best = all_of(index, Cue("Which sheep?", None), WORDS)
        assert best.texts[0] == 7
        gone = all_of(index, Cue("honey bees", None), WORDS)
        assert gone.shares[gone.texts.tolist().index(7)] < 0.5


def test_surroundings_are_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    base = np.random.default_rng(0).normal(size=(2, 100)).astype(np.float32)
    whole = ranking.around(base)
    monkeypatch.setattr(ranking, "_BLOCK", 30)
    np.testing.assert_array_equal(ranking.around(base), whole)


def test_ties_go_to_the_earlier() -> None:
    index = index_of([Said("same", group=number) for number in range(50)])
    found = rank(index, Cue("other", None), Memory(np.arange(50)), WORDS, 50)
    middle = [at for at in found.texts.tolist() if 14 <= at < 36]
    assert middle == sorted(middle)


@pytest.mark.parametrize(
    ("asked", "searched"),
    [
        ("Where is the hony?", "Where is the honey?"),
        ("Where is Olso?", "Where is oslo?"),
        ("Where is Oslo?", "Where is Oslo?"),
        ("Who can hike?", "Who can hike?"),  # hiker begins with it
        ("What is a zebra?", "What is a zebra?"),
    ],
)
def test_words_that_no_text_has_are_respelt(asked: str, searched: str) -> None:
    index = index_of([Said("honey in Oslo"), Said("a hiker with honey")])
    assert respell(index, asked) == searched


def test_a_word_of_the_encoder_is_not_respelt() -> None:
    index = index_of([Said("the horses")], Table())
    assert respell(index, "hores horzes") == "hores horses"


def test_the_bare_cue_leaves_out_what_many_texts_have_but_never_all() -> None:
    many = [Said("Ann: yes") for _ in range(30)] + [Said("Bob: bees")]
    assert bare_cue(index_of(many), "Did Ann's bees fly?") == "Did bees fly?"
    assert bare_cue(index_of(many), "Ann") == "Ann"
    assert bare_cue(index_of(many[:10]), "Did Ann fly?") == "Did Ann fly?"


def test_a_speaker_is_named_by_a_part_of_the_name_if_only_one_is() -> None:
    index = index_of([Said("Ann Lee: yes"), Said("Bob Lee: no"), Said("a", speaker="Cid")])
    names = [index.speakers[at] if at else None for at in range(len(index.speakers))]
    assert [
        None if (at := named_speaker(index, cue)) is None else names[at]
        for cue in ("What did ann say?", "What did Lee say?", "And Cid?", "And Dan?")
    ] == ["Ann Lee", None, "Cid", None]


def test_scripts_without_spaces_are_found_by_pieces() -> None:
    assert words_of("東京都 Tokyo") == ["東京", "京都", "東京都", "tokyo"]
    index = index_of([Said("東京都に行きました"), Said("大阪の天気"), Said("plain words")])
    assert all_of(index, Cue("東京", None), WORDS).texts[0] == 0


def test_an_edit_is_one_letter_or_two_neighbours_exchanged() -> None:
    assert all(is_one_edit("bees", other) for other in ("bee", "beess", "bets", "bese", "ebes"))
    assert not any(is_one_edit("bees", other) for other in ("bees", "be", "seeb", "beesss", "bats"))


def test_an_unknown_language_is_an_error_that_names_the_known() -> None:
    with pytest.raises(Exception, match=r"klingon.*unknown.*english, none"):
        find_language("klingon")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=80), st.data())
@settings(max_examples=60, deadline=None)
def test_joined_postings_are_those_of_all_texts(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    cut, merged = data.draw(st.integers(0, 31)), data.draw(st.integers(1, 9))
    parts = [[one for one in pairs if (one[1] < cut) == early] for early in (True, False)]
    with mock.patch.object(postings_module, "_MERGED", merged):
        made = [postings_of(part) for part in parts if part]
        joined = made[0].joined(made[1]) if len(made) == 2 else postings_of(pairs)
    whole = postings_of(pairs)
    for name in ("words", "ends", "texts", "counts"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))


def postings_of(pairs: Sequence[tuple[int, int]]) -> Postings:
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return Postings.from_occurrences(table[:, 0], table[:, 1])
