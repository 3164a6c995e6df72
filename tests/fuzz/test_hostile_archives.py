"""Archives from strangers: taken, or refused in one line, and nothing is written elsewhere."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from fuzzing import guarded
from fuzzing.archive_files import TABLE, members
from fuzzing.sealed import Sealed
from fuzzing.store_cases import originals

from memoria.errors import DamageError, StoreNotFoundError
from memoria.store.archive import import_archive

# What is odd about these changes nothing that is read, and nothing of it is taken along.
TAKEN = {
    *("sound", "zip64", "before", "comments within", "crc", "set uid", "made by another"),
    *("nested bombs", "hole of garbage", "as many as allowed"),
    *("folders", "twice but for a mark"),  # an empty folder is nothing
    *(f"name {name!r}" for name in (b".lock", b".lease", b"ZARR.JSON", b"c.0.0 ", b"x.tmp")),
    *(f"name {name!r}" for name in (b"state/99/ids/c.0", b"vectors/c.999.0", b"vectors/c.-1.0")),
    "name b'era/1/vectors/c.0.0'",
}
FOREIGN = {"empty", "without the root"}  # zips, but of no memory


def test_some_lies_of_the_table() -> None:
    guarded.check("archives", seed=0, cases=25, seconds=60)


@pytest.mark.slow
def test_every_lie_through_every_verb() -> None:
    found = guarded.run("archives", 1, 10 * len(TABLE), 1200)
    assert found["problems"] == []
    assert found["calls"] > 40 * len(TABLE)


def test_some_random_lies() -> None:
    guarded.check("lies", seed=20260101, cases=40, seconds=60)


@pytest.mark.slow
def test_many_random_lies() -> None:
    """A new seed each time: `MEMORIA_FUZZ_SEED` repeats one, `MEMORIA_FUZZ_SECONDS` bounds it."""
    seconds = float(os.environ.get("MEMORIA_FUZZ_SECONDS", "240"))
    seed = int(os.environ.get("MEMORIA_FUZZ_SEED", str(random.SystemRandom().randrange(10**9))))
    guarded.check("lies", seed=seed, cases=10**6, seconds=seconds)


@pytest.fixture(scope="module")
def small() -> Sealed:
    return dict(originals())["small-idle"]


@pytest.mark.parametrize("name", sorted(TABLE))
def test_what_is_taken_and_what_is_not(small: Sealed, tmp_path: Path, name: str) -> None:
    archive, target = tmp_path / "a.zip", tmp_path / "store"
    TABLE[name](members(small)).write(archive)
    if name in TAKEN:
        import_archive(archive, target)
        TABLE["sound"](members(small)).write(archive)
        import_archive(archive, tmp_path / "sound")
        assert files(target) == files(tmp_path / "sound")
        return
    with pytest.raises(StoreNotFoundError if name in FOREIGN else DamageError) as raised:
        import_archive(archive, target)
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_memory_that_does_not_follow_is_not_imported(small: Sealed, tmp_path: Path) -> None:
    """Sound in every checksum: what is wrong comes out only when it is put together."""
    forged = small.copy()
    logged = forged.read("log/ids")
    logged[-1] = 2**40
    forged.put("log/ids", logged)
    TABLE["sound"](members(forged)).write(tmp_path / "a.zip")
    with pytest.raises(DamageError):
        import_archive(tmp_path / "a.zip", tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def files(store: Path) -> dict[str, bytes]:
    found = (path for path in store.rglob("*") if path.is_file())
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in found
        if path.name not in (".lock", ".lease")
    }
