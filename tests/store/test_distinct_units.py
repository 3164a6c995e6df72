"""Texts that repeat others are passed over, and what is forgotten is repeated by none."""

from __future__ import annotations

from pathlib import Path
from random import Random
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


def write(path: str, *lines: str) -> None:
    Path(path).write_text("\n\n".join(lines))


@pytest.mark.parametrize("gone", ["changed", "deleted", "renamed away"])
def test_a_repeat_is_taken_up_when_what_it_repeats_is_gone(gone: str) -> None:
    write("a.txt", "A bee flies.", "Wax melts.")
    write("b.txt", "Honey is sweet.", "a BEE flies.")
    write("c.txt", "A Bee flies.")
    files = ("a.txt", "b.txt", "c.txt")
    assert read(*files, sync="forget")["duplicates"] == 2
    assert read(*files, sync="forget")["files"]["unchanged"] == 3
    if gone == "changed":
        write("a.txt", "Wax melts.")
    elif gone == "deleted":
        Path("a.txt").unlink()
    else:
        Path("a.txt").write_text("Wax melts.")
        Path("b.txt").rename("d.txt")
        files = ("a.txt", "d.txt", "c.txt")
    taken = "A Bee flies." if gone == "renamed away" else "a BEE flies."  # the first that is read
    left = ["Honey is sweet.", taken] + ["Wax melts."] * (gone != "deleted")
    done = read("*.txt" if gone == "renamed away" else "a.txt", *files[1:], sync="forget")
    assert (done["engrams_added"], done["forgotten"]) == (1, 1 + (gone == "deleted"))
    assert sorted(living()) == sorted(left)
    assert read("*.txt", sync="forget")["steps"] == 0


def test_the_same_text_elsewhere_keeps_the_engram() -> None:
    write("a.txt", "A bee flies.", "Wax melts.")
    write("b.txt", "A bee flies.")
    read("a.txt", "b.txt", sync="forget")
    write("a.txt", "Wax melts.")
    done = read("a.txt", "b.txt", sync="forget")
    assert (done["engrams_added"], done["forgotten"], done["moved"]) == (0, 0, 1)
    assert living() == ["A bee flies.", "Wax melts."]


def test_a_repeat_within_a_file_is_taken_up_when_the_first_is_gone() -> None:
    write("a.txt", "A bee flies.", "Wax melts.", "a bee flies.")
    read("a.txt", sync="forget")
    write("a.txt", "Wax melts.", "a bee flies.")
    assert read("a.txt", sync="forget")["engrams_added"] == 1
    assert sorted(living()) == ["Wax melts.", "a bee flies."]


def test_a_repeat_of_what_was_forgotten_by_hand_stays_out() -> None:
    write("a.txt", "A bee flies.", "Wax melts.")
    write("b.txt", "A BEE flies.", "Honey is sweet.")
    read("a.txt", "b.txt", sync="forget")
    with MemoryStore.open("st", mode="r+") as store:
        store.forget([0])
        store.commit()
    assert read("a.txt", "b.txt", sync="forget")["engrams_added"] == 0
    write("a.txt", "A bee flies.", "Wax drips.")
    assert read("a.txt", "b.txt", sync="forget")["engrams_added"] == 1
    write("a.txt", "Wax drips.")
    read("a.txt", "b.txt", sync="forget")
    assert sorted(living()) == ["A BEE flies.", "Honey is sweet.", "Wax drips."]


def test_a_repeat_is_taken_up_later_where_its_file_was_not_reached() -> None:
    write("a.txt", "A bee flies.", "Wax melts.")
    write("c.txt", "A BEE flies.")
    read("a.txt", "c.txt", sync="forget")
    write("a.txt", "Wax drips.")
    write("b.txt", "Rain falls.", "Snow falls.")
    done = read("a.txt", "b.txt", "c.txt", sync="forget", limit=2, wm_length=1)
    assert (done["engrams_added"], done["forgotten"]) == (2, 2)
    read("a.txt", "b.txt", "c.txt", sync="forget")
    assert sorted(living()) == ["A BEE flies.", "Rain falls.", "Snow falls.", "Wax drips."]


def test_without_dedup_a_sync_remembers_the_repeats_too() -> None:
    write("a.txt", "A bee flies.")
    write("b.txt", "A BEE flies.")
    read("a.txt", "b.txt", sync="forget")
    assert read("a.txt", "b.txt", sync="forget", dedup=None)["engrams_added"] == 1
    assert read("a.txt", "b.txt", sync="forget", dedup=None)["steps"] == 0
    assert living() == ["A bee flies.", "A BEE flies."]
    assert read("a.txt", "b.txt", sync="forget")["steps"] == 0


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3, 4))])
def test_every_text_of_a_folder_is_held_once_whatever_is_done_to_it(seed: int) -> None:
    random = Random(seed)
    texts = [one + text for text in ("bees fly", "wax melts", "rain", "snow") for one in ("", " ")]
    texts += [text.upper() for text in texts]
    Path("n").mkdir()
    for _ in range(8):
        for _ in range(random.randint(1, 3)):
            path = Path("n", random.choice("abc") + ".txt")
            other = Path("n", random.choice("abc") + ".txt")
            if path.exists() and random.random() < 0.4:
                path.unlink() if random.random() < 0.5 else path.rename(other)
            else:
                path.write_text("\n".join(random.choices(texts, k=random.randint(1, 4))))
        limit = random.choice([None, None, 1])
        read("n", sync="forget", unit="line", wm_length=1, limit=limit)
        if limit is not None:
            read("n", sync="forget", unit="line")
        held = [text.strip().lower() for text in living()]
        found = (line for one in Path("n").iterdir() for line in one.read_text().splitlines())
        assert sorted(held) == sorted({line.strip().lower() for line in found})
        assert read("n", sync="forget", unit="line")["steps"] == 0
