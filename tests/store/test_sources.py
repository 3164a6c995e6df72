"""Readings of sources, confirmed cues and settings: what a store keeps beside its engrams."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli
from spec_reader import SpecReader

from memoria.config import MemoriaConfig
from memoria.errors import ConfigError, InputError, MemoriaError
from memoria.io.text_unit import hash_unit
from memoria.store import MemoryStore
from memoria.store.compacting import compact
from memoria.store.sources import Unit
from memoria.store.verify import repair, verify

DIARY = "The lamp is lit. Fog comes in. A bell rings. The tide turns."
CONFIG = MemoriaConfig(hidden_dim=4, backbone="array", initial_lifespan=3.0)


def rows(count: int = 2) -> Any:
    return np.eye(4, dtype=np.float32)[:count]


def sha256(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


@pytest.fixture
def diary(cli: Cli, tmp_path: Path) -> Path:
    cli.ok("init", "s", "--backbone", "hash", "--wm-length", 1)
    (tmp_path / "diary.txt").write_text(DIARY)
    return tmp_path / "diary.txt"


def test_a_step_records_what_was_read(cli: Cli, diary: Path, tmp_path: Path) -> None:
    (tmp_path / "chat.jsonl").write_text('{"text": "One. Two."}\n{"text": "Three."}\n')
    cli.ok("step", "s", "diary.txt", "chat.jsonl", "--text", "Not a file.")
    with MemoryStore.open("s") as store:
        first, second = store.readings()
        assert (first.source, first.resolved, first.content) == (
            "diary.txt",
            os.path.realpath(diary),
            sha256(diary),
        )
        assert (first.step, first.events) == (8, 0)
        sentences = [part + "." for part in DIARY[:-1].split(". ")]
        assert store.units(first) == [
            Unit(engram, DIARY.index(text), hash_unit(text))
            for engram, text in enumerate(sentences)
        ]
        assert second.source == "chat.jsonl"
        assert [unit.engram for unit in store.units(second)] == [4, 5, 6]
    reader = SpecReader(Path("s"))
    assert reader.resolved_sources()[:2] == [first.resolved, second.resolved]
    assert reader.readings[0][0] == reader.sources().index("diary.txt")
    assert verify("s").findings == ()


def test_only_what_was_read_to_its_end_is_recorded(cli: Cli, diary: Path) -> None:
    cli("step", "s", "diary.txt", "--limit", 2)
    with MemoryStore.open("s") as store:
        assert store.readings() == []
    cli("step", "s", "diary.txt", "--resume")
    cli("step", "s", "diary.txt", "--resume")  # nothing new
    diary.write_text(DIARY + " Snow falls.")
    cli("step", "s", "diary.txt", "--resume")
    with MemoryStore.open("s") as store:
        first, second = store.readings()
        assert [unit.engram for unit in store.units(first)] == [0, 1, 2, 3]
        assert [unit.engram for unit in store.units(second)] == [0, 1, 2, 3, 4]
        assert second.content == sha256(diary)


def test_readings_outlive_the_engrams(tmp_path: Path) -> None:
    path = tmp_path / "s"
    units = [Unit(0, 0, b"0" * 16), Unit(-1, 5, b"\xff" * 16)]
    with MemoryStore.create(path, CONFIG) as store:
        store.name_source("a.txt", "/home/a.txt")
        store.step(rows(), places=[("a.txt", 0), None])
        store.record_reading("a.txt", b"\xfe" * 32, units)
        digest = store.digest()
        with pytest.raises(InputError):
            store.record_reading("a.txt", b"short", units)
        with pytest.raises(InputError):
            store.record_reading("a.txt", b"0" * 32, [Unit(2, 0, b"0" * 16)])
        store.commit()
        assert store.digest() == digest
        for _ in range(8):
            store.step(rows(1), "uniform:0")
        store.record_reading("b.txt", b"\x01" * 32, [])
    _, repaired = repair(path, tmp_path / "r")
    assert repaired is not None
    assert len(SpecReader(tmp_path / "r").sources()) == 2
    compact(path)
    with MemoryStore.open(path) as store:
        a, b = store.readings()
        assert (a.source, a.resolved, a.content) == ("a.txt", "/home/a.txt", b"\xfe" * 32)
        assert store.units(a) == units
        assert (b.source, b.resolved, b.step, store.units(b)) == ("b.txt", "", 9, [])
    with MemoryStore.open(path, at=9) as store:
        assert store.readings() == [a, b]
    _, repaired = repair(path, tmp_path / "t")
    assert repaired is not None
    with MemoryStore.open(tmp_path / "t") as store:
        assert store.readings() == [a, b]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_confirmed_cue_is_kept_and_gives_lifespan(tmp_path: Path, dtype: Any) -> None:
    path = tmp_path / "s"
    with MemoryStore.create(path, CONFIG.replace(vector_dtype=dtype)) as store:
        store.step(rows(3), "uniform:0")
        assert store.confirm("where?", rows()[1], [2, 0], 50.0).tolist() == [0, 2]
        store.confirm(None, rows()[0], [1])
        for wrong in (
            (None, None, [0]),
            ("x", None, [9]),
            ("x", rows(1), [0]),
            ("\ud800", None, [0]),
        ):
            with pytest.raises(MemoriaError):
                store.confirm(*wrong)
        assert len(store.confirmed_cues()) == 2
    with MemoryStore.open(path) as store:
        first, second = store.confirmed_cues()
        assert (first.text, first.ids, first.step) == ("where?", (0, 2), 1)
        assert first.vector is not None
        assert first.vector.tolist() == rows()[1].tolist()
        assert (second.text, second.ids) == (None, (1,))
    state = SpecReader(path).state()
    assert [state.engrams[i].expiry for i in range(3)] == [53.0, 3.0, 53.0]
    assert verify(path).findings == ()


def test_settings_change_outside_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with MemoryStore.create(path, CONFIG) as store:
        digest = store.digest()
        store.change_settings({"notes": "mine", "unit": "line", "ask": {"top": 5, "why": None}})
        assert store.config.unit == "line"
        store.commit()
        assert store.files.config.unit == "line"
        for wrong in (
            {"colour": 1},
            {"unit": "word"},
            {"notes": 3},
            {"ask": {"x": float("nan")}},
            {"backbone": ""},
        ):
            with pytest.raises(ConfigError):
                store.change_settings(wrong)
        store.change_settings({"notes": "gone"})
        store.rollback()
    with MemoryStore.open(path) as store:
        assert store.settings == {
            "ask": {"top": 5, "why": None},
            "backbone": None,
            "notes": "mine",
            "unit": "line",
        }
        assert (store.config.unit, store.digest()) == ("line", digest)
    assert verify(path).findings == ()


@pytest.mark.parametrize(
    "row",
    [
        [-2, 0, 0, 3],  # rows that come later
        [-2, 0, -1, 1],
        [-2, 0, 0, 0],
        [-2, -4, 0, 2],  # offsets below 0
        [-2, 0, 2, 1],  # a run of a run
        [0, -2, 1, 1],
    ],
)
def test_runs_that_stand_for_nothing_are_told(tmp_path: Path, row: list[int]) -> None:
    path = tmp_path / "s"
    with MemoryStore.create(path, CONFIG) as store:
        store.step(rows())
        store.record_reading("a.txt", b"1" * 32, [Unit(0, 3, b"0" * 16), Unit(1, 9, b"2" * 16)])
        number = store.name_source("a.txt")
        run = np.array([[-2, 5, 0, 2]])
        store.record_units(number, b"2" * 32, run)
        assert [unit.offset for unit in store.units(store.readings()[1])] == [8, 14]
        store.commit()
        assert verify(path).findings == ()
        with pytest.raises(InputError):
            store.record_units(number, b"3" * 32, np.array([[-2, 0, 2, 9]]))
        table = np.array([row])
        store.files.append("sources/units", table)
        head = np.array([number, 1, 0, 0, 4, *[1] * 4])
        store.files.append("sources/readings", head[None])
    assert [finding.kind for finding in verify(path).findings] == ["sources"]
