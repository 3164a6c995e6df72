"""Inputs to working memories: how they are cut, dealt to lanes, passed over and refused."""

from __future__ import annotations

import io
import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoria.backbones import BackboneBase, load_backbone
from memoria.backbones.base import Batch, Vectors
from memoria.backbones.hf_image import HfImageBackbone
from memoria.backbones.streams import InputStream, store_backbone
from memoria.config import MemoriaConfig
from memoria.errors import BackboneError, ConfigError, InputError, MemoriaError, ShapeError
from memoria.io.inputs import Piece, WorkingMemory
from memoria.io.record_lines import RecordLines

D = 16
WORDS = "one two three four five six seven eight nine ten".split()


def config(lanes: int = 1, wm_length: int = 3, **more: Any) -> MemoriaConfig:
    return MemoriaConfig(hidden_dim=D, lanes=lanes, wm_length=wm_length, **more)


def lines(folder: Path, name: str, count: int) -> str:
    """A file of ``count`` sentences."""
    path = folder / name
    path.write_text(" ".join(f"Sentence {WORDS[i % 10]} of {name}." for i in range(count)))
    return str(path)


def array(folder: Path, name: str, *shape: int) -> str:
    path = folder / name
    np.save(path, np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    return str(path)


def texts_of(memories: list[WorkingMemory]) -> list[list[list[str | None]]]:
    return [memory.texts for memory in memories]


def widths(memories: list[WorkingMemory]) -> list[int]:
    return [memory.data.shape[1] for memory in memories]


def test_one_lane_chains_its_inputs_and_ends_short(tmp_path: Path) -> None:
    inputs = [lines(tmp_path, "a.txt", 4), lines(tmp_path, "b.txt", 3)]
    stream = InputStream(config(), inputs)
    memories = list(stream)
    assert widths(memories) == [3, 3, 1]
    assert memories[1].texts == [
        ["Sentence four of a.txt.", "Sentence one of b.txt.", "Sentence two of b.txt."]
    ]
    sources = [source for memory in memories for source, _ in memory.places[0]]
    assert sources == [inputs[0]] * 4 + [inputs[1]] * 3
    assert stream.count() == 3
    assert stream.notices == []


def test_places_are_where_the_text_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("First one.\nSecond, wrapped\nover lines. Third.")
    whole = path.read_text()
    (memory,) = InputStream(config(), [str(path)])
    for text, (source, offset) in zip(memory.texts[0], memory.places[0], strict=True):
        assert text is not None
        assert source == str(path)
        assert whole[offset : offset + len(text)] == text


def test_vectors_are_those_of_the_backbone_with_wrapped_lines_joined(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Wrapped\nover lines. Plain.")
    (memory,) = InputStream(config(), [str(path)])
    expected = load_backbone("hash", D).encode(["Wrapped over lines.", "Plain."])
    assert memory.data.dtype == np.float32
    np.testing.assert_array_equal(memory.data[0], expected)


def test_lanes_read_side_by_side_until_the_shortest_ends(tmp_path: Path) -> None:
    inputs = [lines(tmp_path, "a.txt", 8), lines(tmp_path, "b.txt", 5)]
    stream = InputStream(config(lanes=2), inputs)
    memories = list(stream)
    assert widths(memories) == [3, 2]
    assert memories[0].texts[1][0] == "Sentence one of b.txt."
    assert [len(lane) for lane in memories[1].texts] == [2, 2]
    (notice,) = stream.notices
    assert "b.txt" in notice
    assert "ended first" in notice


def test_lanes_of_equal_length_give_no_notice(tmp_path: Path) -> None:
    for count in (3, 4, 6):
        inputs = [lines(tmp_path, "a.txt", count), lines(tmp_path, "b.txt", count)]
        stream = InputStream(config(lanes=2), inputs)
        assert sum(widths(list(stream))) == count
        assert stream.notices == []


@pytest.mark.parametrize(
    ("lanes", "shape", "expected"),
    [
        (1, (7, D), [(1, 3, D), (1, 3, D), (1, 1, D)]),
        (1, (4, 5, D), [(1, 5, D)] * 4),
        (1, (4, 1, 5, D), [(1, 5, D)] * 4),
        (2, (2, 5, D), [(2, 5, D)]),
        (2, (4, 2, 5, D), [(2, 5, D)] * 4),
    ],
)
def test_array_shapes(
    tmp_path: Path, lanes: int, shape: tuple[int, ...], expected: list[tuple[int, ...]]
) -> None:
    path = array(tmp_path, "a.npy", *shape)
    stream = InputStream(config(lanes=lanes), [path])
    memories = list(stream)
    assert [memory.data.shape for memory in memories] == expected
    assert stream.count() == len(expected)
    if lanes == 1:
        flat = np.concatenate([memory.data[0] for memory in memories])
        np.testing.assert_array_equal(flat, np.load(path).reshape(-1, D))
    else:
        np.testing.assert_array_equal(
            np.stack([memory.data for memory in memories]),
            np.load(path).reshape(-1, 2, 5, D),
        )


def test_rows_for_each_lane(tmp_path: Path) -> None:
    inputs = [array(tmp_path, "a.npy", 4, D), array(tmp_path, "b.npy", 4, D)]
    memories = list(InputStream(config(lanes=2), inputs))
    assert [memory.data.shape for memory in memories] == [(2, 3, D), (2, 1, D)]
    assert memories[1].places == [[(inputs[0], 3)], [(inputs[1], 3)]]


def test_whole_arrays_stand_between_units(tmp_path: Path) -> None:
    inputs = [
        lines(tmp_path, "a.txt", 2),
        array(tmp_path, "b.npy", 2, 4, D),
        lines(tmp_path, "c.txt", 1),
    ]
    assert widths(list(InputStream(config(), inputs))) == [2, 4, 4, 1]


def test_literals_and_standard_input(tmp_path: Path) -> None:
    stream = InputStream(
        config(), ["-"], texts=["Third one."], stdin=io.StringIO("First one. Second one.")
    )
    assert stream.count() == 1
    (memory,) = stream
    assert memory.texts == [["First one.", "Second one.", "Third one."]]
    assert [source for source, _ in memory.places[0]] == ["-", "-", "text:1"]


def test_limit_stops_before_the_rest_is_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []

    class Counting:
        dimension = D

        def encode(self, batch: list[str]) -> Any:
            encoded.extend(batch)
            return np.zeros((len(batch), D), np.float32)

        def notices(self) -> list[str]:
            return ["told"]

    monkeypatch.setattr("memoria.backbones.streams.store_backbone", lambda *_, **__: Counting())
    stream = InputStream(config(), [lines(tmp_path, "a.txt", 50)], limit=2)
    assert stream.count() == 2
    assert encoded == []
    assert widths(list(stream)) == [3, 3]
    assert len(encoded) == 6
    assert stream.notices == ["told"]


@pytest.mark.parametrize("held", [0, 2**26])
def test_what_was_counted_is_not_read_again_unless_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr("memoria.backbones.streams._HELD_BYTES", held)
    inputs = [lines(tmp_path, "a.txt", 4), array(tmp_path, "b.npy", 3, D)]
    expected = list(InputStream(config(), inputs))
    stream = InputStream(config(), inputs)
    assert stream.count() == 3
    lines(tmp_path, "a.txt", 1)
    found = list(stream)
    shorter = [[["Sentence one of a.txt.", None, None]], [[None]]]
    assert texts_of(found) == (texts_of(expected) if held else shorter)
    assert len(list(stream)) == 2, "a second time everything is read again"


def test_encodes_many_steps_in_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    hashing = load_backbone("hash", D)

    class Watched:
        dimension = D

        def encode(self, batch: list[str]) -> Any:
            calls.append(len(batch))
            return hashing.encode(batch)

        def notices(self) -> list[str]:
            return []

    monkeypatch.setattr("memoria.backbones.streams.store_backbone", lambda *_, **__: Watched())
    memories = list(InputStream(config(), [lines(tmp_path, "a.txt", 600)]))
    assert len(memories) == 200
    assert sum(calls) == 600
    assert 1 < len(calls) < 5  # neither a call a step nor everything at once


class Behind:
    """A choice of the units that are not among the first ``known`` of all inputs."""

    def __init__(self, known: int) -> None:
        self.known = known
        self.first: dict[int, int] = {}
        self.seen = 0

    def see(self, number: int, piece: Piece) -> None:
        self.first.setdefault(number, self.seen)
        self.seen += 1

    def known_lines(self, number: int) -> None:
        """All units are seen."""

    def see_lines(self, number: int, lines: RecordLines) -> None:
        raise AssertionError

    def taken_of_lines(self, number: int) -> list[int]:
        raise AssertionError

    def fail(self, number: int) -> None:
        raise AssertionError

    def decide(self) -> None:
        assert self.seen

    def count(self, number: int, units: int) -> int:
        return sum(self.takes(number, unit) for unit in range(units))

    def takes(self, number: int, unit: int) -> bool:
        return self.first[number] + unit >= self.known


def test_units_that_are_not_chosen_are_passed_over(tmp_path: Path) -> None:
    inputs = [lines(tmp_path, "a.txt", 4), lines(tmp_path, "b.txt", 4)]
    stream = InputStream(config(), inputs, choice=Behind(3))
    assert stream.count() == 2
    memories = list(stream)
    assert stream.skipped == 3
    assert memories[0].texts[0][0] == "Sentence four of a.txt."
    assert [(piece.input, piece.unit) for piece in memories[0].pieces[0]] == [
        (0, 3),
        (1, 0),
        (1, 1),
    ]
    assert sum(widths(memories)) == 5
    assert stream.totals == {0: 1, 1: 4}


@given(
    counts=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    wm_length=st.integers(1, 5),
    stop=st.integers(0, 8),
)
def test_stopping_anywhere_and_going_on_is_as_not_stopping(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], wm_length: int, stop: int
) -> None:
    folder = tmp_path_factory.mktemp("resume")
    inputs = [lines(folder, f"{i}.txt", count) for i, count in enumerate(counts)]
    setting = config(wm_length=wm_length)
    whole = list(InputStream(setting, inputs))
    done = whole[:stop]
    stream = InputStream(setting, inputs, choice=Behind(sum(widths(done))))
    assert stream.count() == len(whole) - len(done)
    assert texts_of(done + list(stream)) == texts_of(whole)


def test_of_a_step_all_units_are_taken_or_none(tmp_path: Path) -> None:
    path = array(tmp_path, "a.npy", 5, 2, 4, D)
    whole = list(InputStream(config(lanes=2), [path]))
    stream = InputStream(config(lanes=2), [path], choice=Behind(16))
    assert stream.count() == 3
    rest = list(stream)
    assert len(rest) == 3
    np.testing.assert_array_equal(rest[0].data, whole[2].data)


def test_an_input_that_may_fail_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"Fine so far. But \xff is not.")
    inputs = [lines(tmp_path, "a.txt", 2), str(tmp_path / "bad.txt"), lines(tmp_path, "c.txt", 2)]
    with pytest.raises(InputError):
        InputStream(config(), inputs).count()
    stream = InputStream(config(), inputs, may_fail=[inputs[1]])
    assert stream.count() == 2
    assert sum(widths(list(stream))) == 4
    assert [*stream.faults] == [inputs[1]]


def test_records_have_a_source_each(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"Number {word}."}) for word in WORDS[:4]))
    (first, second) = InputStream(config(), [str(path)])
    assert first.places[0][1] == (f"{path}:2", 0)
    assert second.texts == [["Number four."]]


def test_single_takes_all_inputs_of_one_lane(tmp_path: Path) -> None:
    inputs = [lines(tmp_path, "a.txt", 2), lines(tmp_path, "b.txt", 1)]
    assert InputStream(config(), inputs).single().data.shape == (1, 3, D)
    with pytest.raises(InputError, match=r"more than 3 units.*memoria step"):
        InputStream(config(), [*inputs, inputs[0]]).single()
    longer = InputStream(config(), [*inputs, inputs[0]], wm_length=5).single()
    assert longer.data.shape == (1, 5, D)


def test_single_takes_arrays_of_any_length(tmp_path: Path) -> None:
    path = array(tmp_path, "a.npy", 7, D)
    assert InputStream(config(), [path]).single().data.shape == (1, 7, D)
    whole = array(tmp_path, "b.npy", 2, 7, D)
    assert InputStream(config(lanes=2), [whole]).single().data.shape == (2, 7, D)
    with pytest.raises(InputError, match=r"2 working memories, one is taken"):
        InputStream(config(), [whole]).single()


def test_single_needs_equal_lanes(tmp_path: Path) -> None:
    inputs = [lines(tmp_path, "a.txt", 2), lines(tmp_path, "b.txt", 3)]
    with pytest.raises(InputError, match="the lanes get 2, 3 units"):
        InputStream(config(lanes=2), inputs).single()
    even = [inputs[0], lines(tmp_path, "c.txt", 2)]
    assert InputStream(config(lanes=2), even).single().data.shape == (2, 2, D)


def test_a_cue_serves_every_lane(tmp_path: Path) -> None:
    cue = InputStream(config(lanes=3), (), texts=["A cue. " * 5]).single(as_cue=True)
    assert cue.data.shape == (3, 5, D)
    np.testing.assert_array_equal(cue.data[0], cue.data[2])


def bad(tmp_path: Path, name: str) -> tuple[MemoriaConfig, list[str]]:
    """A configuration and inputs that do not go together."""
    nan = np.ones((4, D), np.float32)
    nan[2, 1] = np.nan
    np.save(tmp_path / "nan.npy", nan)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "blank.txt").write_text(" \n ")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 is open. " * 3)
    (tmp_path / "odd.xyz").write_bytes(b"\0\1\2odd")
    good = array(tmp_path, "good.npy", 4, D)
    cases: dict[str, tuple[MemoriaConfig, list[str]]] = {
        "missing": (config(), [str(tmp_path / "none.txt")]),
        "empty": (config(), [str(tmp_path / "empty.txt")]),
        "blank": (config(), [str(tmp_path / "blank.txt")]),
        "directory": (config(), [str(tmp_path)]),
        "latin": (config(), [str(tmp_path / "latin.txt")]),
        "unknown": (config(), [str(tmp_path / "odd.xyz")]),
        "wide": (config(), [array(tmp_path, "wide.npy", 4, D + 1)]),
        "flat": (config(), [array(tmp_path, "flat.npy", D)]),
        "five axes": (config(), [array(tmp_path, "five.npy", 1, 1, 1, 2, D)]),
        "three lanes": (config(lanes=2), [array(tmp_path, "lanes.npy", 3, 4, D)]),
        "one input": (config(lanes=2), [good]),
        "mixed": (config(lanes=2), [array(tmp_path, "both.npy", 2, 4, D), good]),
        "nan": (config(), [str(tmp_path / "nan.npy")]),
        "text": (config(backbone="array"), [lines(tmp_path, "a.txt", 2)]),
        "stdin twice": (config(), ["-", "-"]),
        "nothing": (config(), []),
    }
    return cases[name]


BAD = {
    "missing": (InputError, "no such file"),
    "empty": (InputError, "is empty"),
    "blank": (InputError, "no text"),
    "directory": (InputError, "is a directory"),
    "latin": (InputError, "byte 3"),
    "unknown": (InputError, "unknown kind"),
    "wide": (ShapeError, r"expected shape .*\[N, 16\].*received \[4, 17\]"),
    "flat": (ShapeError, r"received \[16\]"),
    "five axes": (ShapeError, r"received \[1, 1, 1, 2, 16\]"),
    "three lanes": (ShapeError, r"\[T, 2, W, 16\].*received \[3, 4, 16\]"),
    "one input": (InputError, "1 inputs for 2 lanes"),
    "mixed": (InputError, "holds all lanes"),
    "nan": (InputError, "index 2 holds NaN"),
    "text": (BackboneError, "backbone 'array'"),
    "stdin twice": (InputError, "twice"),
    "nothing": (InputError, "no input"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_are_found_before_the_first_step(tmp_path: Path, name: str) -> None:
    kind, message = BAD[name]
    setting, inputs = bad(tmp_path, name)
    with pytest.raises(kind) as caught:
        InputStream(setting, inputs, stdin=io.StringIO("Text.")).count()
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", [{"wm_length": 0}, {"limit": 0}, {"unit": "word"}])
def test_bad_settings(setting: dict[str, Any]) -> None:
    with pytest.raises(MemoriaError):
        InputStream(config(), (), texts=["A."], **setting)


def test_another_backbone_is_refused() -> None:
    with pytest.raises(BackboneError, match=r"the store holds vectors of 'hash', asked for 'st:x'"):
        InputStream(config(), (), texts=["A."], backbone="st:x")
    assert list(InputStream(config(), (), texts=["A."], backbone="hash"))


def test_images_and_texts_go_to_the_models_that_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"not looked into")
    with pytest.raises(BackboneError, match=r"a\.png is an image, and backbone 'hash' encodes"):
        InputStream(config(), [image]).single()

    class Pictures(HfImageBackbone):
        def __init__(self) -> None:
            BackboneBase.__init__(self, "hf:pictures", D)

        def encode(self, batch: Any) -> Any:
            assert batch == [image]
            return np.ones((1, D), np.float32)

    monkeypatch.setattr("memoria.backbones.streams.store_backbone", lambda *_, **__: Pictures())
    setting = config(backbone="hf:pictures")
    memory = InputStream(setting, [image]).single()
    assert (memory.texts, memory.places) == ([[None]], [[(str(image), 0)]])
    with pytest.raises(BackboneError, match=r"text:1 is text, and .* encodes images"):
        InputStream(setting, (), texts=["A."]).single()


def test_the_backbone_of_a_store_has_its_dimension() -> None:
    assert store_backbone(config()).encode(["A."]).shape == (1, D)
    with pytest.raises(MemoriaError):
        store_backbone(config(backbone="nothing"))
    with pytest.raises(ConfigError):
        config(backbone="")


class Slow(BackboneBase):
    """Stands for a model: says when it works on a batch, and fails on the one of a number."""

    fails_at = -1

    def __init__(self) -> None:
        super().__init__("hf:slow", D)
        self.begun: list[threading.Event] = [threading.Event() for _ in range(8)]
        self.threads: set[int] = set()

    def encode(self, batch: Batch) -> Vectors:
        number = sum(event.is_set() for event in self.begun)
        self.begun[number].set()
        self.threads.add(threading.get_ident())
        if number == self.fails_at:
            raise BackboneError("the model broke")
        return load_backbone("hash", D).encode(batch)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr("memoria.backbones.streams.store_backbone", lambda *_, **__: made)
    monkeypatch.setattr("memoria.backbones.streams._BATCH_UNITS", 6)
    return made


def test_the_next_batch_is_encoded_while_one_is_used(tmp_path: Path, slow: Slow) -> None:
    stream = InputStream(config(backbone="hf:slow"), [lines(tmp_path, "a.txt", 12)])
    assert stream.count() == 4
    memories = iter(stream)
    first = next(memories)
    assert slow.begun[1].wait(30)  # while nobody has asked for more than the first
    assert threading.get_ident() not in slow.threads
    plain = list(InputStream(config(), [lines(tmp_path, "a.txt", 12)]))
    for one, other in zip([first, *memories], plain, strict=True):
        assert np.array_equal(one.data, other.data)
        assert one.texts == other.texts


def test_what_was_not_counted_is_encoded_when_it_is_asked_for(tmp_path: Path, slow: Slow) -> None:
    stream = iter(InputStream(config(backbone="hf:slow"), [lines(tmp_path, "a.txt", 12)]))
    next(stream)
    assert slow.threads == {threading.get_ident()}
    assert not slow.begun[1].is_set()


def test_a_batch_that_fails_ends_the_stream_after_those_before_it(
    tmp_path: Path, slow: Slow
) -> None:
    stream = InputStream(config(backbone="hf:slow"), [lines(tmp_path, "a.txt", 20)])
    assert stream.count() == 7
    slow.fails_at = 2
    memories = iter(stream)
    assert widths([next(memories) for _ in range(4)]) == [3, 3, 3, 3]
    with pytest.raises(BackboneError, match="the model broke"):
        next(memories)


def test_counting_tells_the_bytes_that_were_read(tmp_path: Path) -> None:
    places = [tmp_path / "a.txt", tmp_path / "chat.jsonl", tmp_path / "b.md"]
    places[0].write_text("One bee. " * 30_000)
    places[1].write_text('{"text": "Two bees."}\n' * 1_000)
    places[2].write_text("# Bees\n\nThree bees.\n")
    told: list[tuple[int, int]] = []
    InputStream(config(), places).count(lambda *one: told.append(one))
    total = sum(place.stat().st_size for place in places)
    assert told == sorted(told)
    assert told[-1] == (total, total)
    assert len(told) > 6  # within the long one too
