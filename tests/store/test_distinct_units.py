"""Texts that repeat others are passed over, and what is forgotten is repeated by none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memoria.config import MemoriaConfig
from memoria.errors import UsageError
from memoria.query.inspection import Inspection
from memoria.store.file_reading import FileReading
from memoria.store.store import MemoryStore

LONG = "The bees of the old garden fly far over the hill and come back with honey each day."


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    MemoryStore.create("st", MemoriaConfig(hidden_dim=16, backbone="hash")).close()


def read(*inputs: str, dedup: Any = "exact", **how: Any) -> dict[str, Any]:
    with MemoryStore.open("st", mode="r+") as store:
        reading = FileReading(store, inputs, how.pop("sync", None), dedup=dedup, **how)
        reading.step(total=reading.begin())
        reading.finish()
        return {**reading.document(), "notices": reading.stream.notices}


def living() -> list[str]:
    with Inspection.open("st") as view:
        return [one["text"] for one in view.engram_list()]


def test_repeated_texts_are_told_and_passed_over() -> None:
    Path("a.txt").write_text("A bee flies. Honey is sweet. a BEE  flies.")
    done = read("a.txt")
    assert (done["engrams_added"], done["duplicates"], done["skipped"]) == (2, 1, 1)
    assert done["notices"] == ["1 unit repeats what was read before: passed over"]
    Path("b.txt").write_text("Honey is sweet. Wax is not.")
    done = read("b.txt", texts=["A bee flies."])
    assert done["notices"] == [
        "2 units repeat what was read before, such as engrams 1, 0: passed over"
    ]
    assert living() == ["A bee flies.", "Honey is sweet.", "Wax is not."]
    assert read("b.txt", dedup=None)["engrams_added"] == 2


def test_near_texts_are_passed_over_when_asked() -> None:
    pytest.importorskip("datasketch")
    Path("a.txt").write_text(LONG)
    Path("b.txt").write_text(LONG.replace("each day", "each long day"))
    read("a.txt")
    assert read("b.txt", dedup="near")["engrams_added"] == 0
    assert read("b.txt", dedup="exact")["engrams_added"] == 1


def test_a_changed_text_does_not_repeat_what_it_was() -> None:
    Path("a.txt").write_text("A bee flies. Honey is sweet.")
    read("a.txt", sync="forget")
    Path("a.txt").write_text("A BEE flies. Honey is sweet.")
    done = read("a.txt", sync="forget")
    assert (done["engrams_added"], done["duplicates"], done["forgotten"]) == (1, 0, 1)
    assert sorted(living()) == ["A BEE flies.", "Honey is sweet."]


def test_a_memory_of_several_lanes_is_refused() -> None:
    MemoryStore.create("two", MemoriaConfig(hidden_dim=16, backbone="hash", lanes=2)).close()
    with MemoryStore.open("two", mode="r+") as store, pytest.raises(UsageError, match="2 lanes"):
        FileReading(store, ["a.txt", "b.txt"], dedup="exact")
