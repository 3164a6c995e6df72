"""What objects say of themselves, in a shell and in a notebook, and a store as tables."""

from __future__ import annotations

import gc
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from memoria import Engrams, Memoria
from memoria.analysis import open_chronicle
from memoria.backbones import load_backbone
from memoria.config import MemoriaConfig
from memoria.store import MemoryStore
from memoria.store.remembering import remember
from memoria.store.sharing import SharedStore

HOSTILE = "<script>alert(1)</script> was said by Mallory & Co."


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def read(thing: object) -> _Texts:
    """What a notebook shows, read as a browser would."""
    parser = _Texts()
    parser.feed(thing._repr_html_())  # type: ignore[attr-defined]
    assert set(parser.tags) <= {"p", "table", "thead", "tbody", "tr", "th", "td"}
    return parser


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    place = tmp_path / "notes"
    with MemoryStore.create(place, MemoriaConfig(hidden_dim=16, backbone="hash")) as store:
        remember(store, "The bees live in the oak.", source="talk", time=10**12)
        remember(store, HOSTILE, meta={"a": [1, "é"]})
        remember(store, "Gone soon.")
        store.forget([2])
        store.pin([0])
    return place


def test_a_store(notes: Path) -> None:
    with MemoryStore.open(notes) as store:
        told = repr(store)
        for part in ("notes", "step 3", "3 engrams made", "backbone hash", "for reading"):
            assert part in told
        shown = read(store)
        assert HOSTILE in re.sub(r"\s+", " ", shown.text)
        assert "Gone soon." not in shown.text
    assert "closed" in repr(store)
    assert "closed" in read(store).text
    with MemoryStore.open(notes, "r+") as store:
        store.add(np.zeros((1, 16), np.float32) + 1)
        assert "working" in repr(store)
        assert "for writing" in repr(store)
        store.rollback()
    with SharedStore(notes) as shared:
        assert "notes" in repr(shared)
    assert "closed" in repr(shared)


def test_answers_and_what_was_reminded(notes: Path) -> None:
    with MemoryStore.open(notes) as store:
        answers = store.ask("bees in the oak")
        assert "The bees live in the oak." in repr(answers)
        shown = read(answers)
        assert "talk" in shown.text
        assert "2001-09-09" in shown.text
        assert "script" not in shown.tags
        reminded = store.peek(store.backbone.encode(["bees"])[None])
        told = repr(reminded)
        assert "in 1 lanes" in told
        assert "The bees live in the oak." in told
        assert len(told.splitlines()) == 3
        assert "The bees live in the oak." in read(reminded).text


def test_many_rows_are_counted(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "many", MemoriaConfig(hidden_dim=8, backbone="hash")) as one:
        remember(one, "A word.\n" * 50, unit="line")
        assert "and 30 more" in read(one).text


def test_a_memory_in_tensors_and_its_engrams() -> None:
    memoria = Memoria(2, 4, 2, 9.0, 2, track_age=True)
    assert repr(memoria).startswith("Memoria(empty, num_reminded_stm=2")
    assert "step 0" in read(memoria).text
    memoria.add_working_memory(torch.rand(2, 3, 4))
    assert "working=6" in repr(memoria)
    assert "lanes=2" in repr(memoria)
    assert read(memoria).tags.count("tr") == 3
    shown = read(memoria.engrams)
    assert "working=6" in shown.text
    assert shown.tags.count("tr") == 7
    assert "working" in read(Engrams(torch.rand(1, 2, 3))).text


def test_backbones() -> None:
    assert repr(load_backbone("hash", 32)).startswith("HashBackbone('hash', 32 numbers")
    assert "any length" in repr(load_backbone("array"))


def test_a_store_as_tables(notes: Path) -> None:
    pandas = pytest.importorskip("pandas")
    with MemoryStore.open(notes) as store:
        frame = store.to_pandas()
        assert frame.index.tolist() == [0, 1]
        assert frame.loc[0, "text"] == "The bees live in the oak."
        assert frame.loc[0, "time"] == pandas.Timestamp(10**12, unit="ms")
        assert pandas.isna(frame.loc[1, "time"])
        assert frame.loc[1, "meta"] == {"a": [1, "é"]}
        assert frame["pinned"].tolist() == [True, False]
        assert frame["created_step"].tolist() == [1, 2]

        pa = pytest.importorskip("pyarrow")
        table = store.to_arrow(vectors=True)
        assert isinstance(table, pa.Table)
        assert table["id"].to_pylist() == [0, 1]
        assert json.loads(table["meta"][1].as_py()) == {"a": [1, "é"]}
        vectors = np.array(table["vector"].to_pylist(), np.float32)
        assert np.array_equal(vectors, store.files.vectors(np.array([0, 1])))
        assert "vector" not in store.to_arrow().column_names

        pytest.importorskip("xarray")
        dataset = store.to_xarray()
        assert dict(dataset.sizes) == {"engram": 2, "dimension": 16}
        assert np.array_equal(dataset["vector"].sel(engram=1), vectors[1])
        assert dataset["text"].sel(engram=0).item() == "The bees live in the oak."
        assert dataset["lane"].values.tolist() == [0, 0]


def test_an_empty_store_is_a_table_too(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    with MemoryStore.create(tmp_path / "new", MemoriaConfig(hidden_dim=8)) as store:
        assert len(store.to_pandas()) == 0
        assert store.to_arrow(vectors=True).num_rows == 0
        assert "step 0" in repr(store)
        assert read(store).tags.count("td") == 0


def test_a_chronicle_without_a_block(notes: Path) -> None:
    life = open_chronicle(notes)
    assert life.steps == 3
    assert "3 steps, 3 engrams" in repr(life)
    assert life.texts(np.array([0]))[0] == "The bees live in the oak."
    life.close()
    life.close()
    with open_chronicle(notes, at=1) as early:
        assert early.steps == 1
    life = open_chronicle(notes)
    del life  # nobody reads any more
    gc.collect()
    from memoria.chunkstore.locks import exclusive_lease

    lease = exclusive_lease(notes)
    assert lease is not None
    lease.release()
