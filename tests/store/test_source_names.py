"""Sources are found by name, and named by number, as lists and tables of them would do it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from memoria.config import MemoriaConfig
from memoria.store import MemoryStore, source_names
from memoria.store.source_names import SourceNames

NAMES = ["a", "b", "", "chat:1", "chat:2", "chat:11", "ä" * 200, "x" * 300, "y" + "x" * 299]


class Model:
    """The names of sources as a list of pairs, and what each name stands for."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.now: dict[str, int] = {}

    def name(self, name: str, resolved: str) -> int:
        pair = (name, resolved)
        if resolved:
            found = self.pairs.index(pair) if pair in self.pairs else None
        else:
            found = self.now.get(name)
        if found is None:
            found = len(self.pairs)
            self.pairs.append(pair)
        self.now[name] = found
        return found

    def reopen(self) -> None:
        self.now = {name: number for number, (name, _) in enumerate(self.pairs)}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("hashes_alike", [False, True])
def test_sources_are_those_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, hashes_alike: bool
) -> None:
    for name, value in {"_WAITING": 3, "_HELD": 4, "_BLOCK": 5}.items():
        monkeypatch.setattr(source_names, name, value)
    if hashes_alike:
        monkeypatch.setattr(source_names, "_POWERS", [0] * (source_names._TAIL + 1))
    chance, model = random.Random(seed), Model()
    with MemoryStore.create(tmp_path / "m", MemoriaConfig(hidden_dim=2)) as store:
        names = SourceNames(store.files)
        for _ in range(150):
            what = chance.random()
            name, resolved = chance.choice(NAMES), chance.choice(["", "", "/a", "/b"])
            if what < 0.6:
                assert names.name(name, resolved) == model.name(name, resolved)
            elif what < 0.75:
                assert names.number(name) == model.now.get(name)
            elif what < 0.95:
                count = len(model.pairs)
                asked = chance.choices(range(count), k=chance.randint(0, 6)) if count else []
                found = names.of(np.array(asked, np.int64))
                assert found == [model.pairs[number] for number in asked]
            else:
                store.commit()
                names = SourceNames(store.files)
                model.reopen()
        assert names.all() == model.pairs
        assert len(names) == len(model.pairs)


def test_a_name_is_hashed_alike_alone_and_with_others() -> None:
    raw = [name.encode() for name in NAMES]
    ends = np.cumsum([len(one) for one in raw])
    begins = np.append(0, ends[:-1])
    found = source_names._hash_all(np.frombuffer(b"".join(raw), np.uint8), begins, ends)
    assert found.tolist() == [source_names._hash_of(one) for one in raw]
    assert len(set(found.tolist())) == len(NAMES) - 1  # two share their length and last bytes
