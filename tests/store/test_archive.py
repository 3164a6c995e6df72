"""A memory as one file: the same bytes for the same state, and all of it."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli
from spec_reader import SpecReader

from memoria.config import MemoriaConfig
from memoria.errors import DamageError, StorageError, StoreExistsError, StoreNotFoundError
from memoria.store import MemoryStore
from memoria.store.archive import import_archive, write_archive
from memoria.store.copying import copy_memory
from memoria.store.reading import open_files

CONFIG = MemoriaConfig(
    hidden_dim=4,
    lanes=2,
    num_reminded_stm=2,
    stm_capacity=4,
    ltm_search_depth=3,
    initial_lifespan=4.0,
    num_final_ltms=2,
    wm_length=2,
    rule="uniform:2",
)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty steps with texts, step 20 named, and one begun."""
    path = tmp_path_factory.mktemp("lived") / "store"
    rng = np.random.default_rng(3)
    with MemoryStore.create(path, CONFIG) as store:
        for step in range(40):
            data = rng.normal(size=(2, 2, 4)).astype(np.float32)
            store.step(data, texts=[[f"a{step}", None], ["b", f"c{step}"]])
            if step == 19:
                store.snapshot("half")
            if step % 7 == 0:
                store.commit()
        store.add(rng.normal(size=(2, 2, 4)).astype(np.float32))
    return path


def archive(path: Path, out: Path, at: str | int | None = None, history: bool = True) -> bytes:
    files = open_files(path, at)
    try:
        write_archive(files, out, history)
    finally:
        files.close()
    return out.read_bytes()


def test_the_same_state_gives_the_same_bytes(lived: Path, tmp_path: Path) -> None:
    """Also from a copy, whose files and generations have another past."""
    once = archive(lived, tmp_path / "1.zip")
    assert archive(lived, tmp_path / "2.zip") == once
    files = open_files(lived)
    copy_memory(files, tmp_path / "copy")
    files.close()
    assert archive(tmp_path / "copy", tmp_path / "3.zip") == once
    assert archive(lived, tmp_path / "4.zip", at="half") == archive(
        lived, tmp_path / "5.zip", at=20
    )


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("at", [None, "half", 33])
def test_an_unpacked_archive_is_the_store(
    lived: Path, tmp_path: Path, at: str | int | None, history: bool
) -> None:
    archive(lived, tmp_path / "a.zip", at, history)
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.testzip() is None
        entries = packed.infolist()
        packed.extractall(tmp_path / "unpacked")
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert not any(name.endswith((".tmp", ".lock", ".lease", "/")) for name in names)
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    cue = np.ones((2, 1, 4), np.float32)
    with (
        MemoryStore.open(lived, at=at) as before,
        MemoryStore.open(tmp_path / "unpacked") as after,
    ):
        assert (after.timestep, after.phase) == (before.timestep, before.phase)
        digest = before.digest()
        assert after.digest() == digest
        one, other = before.peek(cue), after.peek(cue)
        assert one.ids.tolist() == other.ids.tolist()
        assert one.texts == other.texts
        assert set(after.snapshots) == ({"half"} if history else set())
    if history:
        assert SpecReader(tmp_path / "unpacked").attributes["digest"] == digest


@pytest.mark.parametrize("history", [True, False])
def test_an_imported_memory_goes_on_as_the_original(
    lived: Path, tmp_path: Path, history: bool
) -> None:
    whole = archive(lived, tmp_path / "a.zip", history=history)
    import_archive(tmp_path / "a.zip", tmp_path / "there")
    assert archive(tmp_path / "there", tmp_path / "again.zip") == whole
    shutil.copytree(lived, tmp_path / "here")
    rng, digests = np.random.default_rng(8), set()
    inputs = [rng.normal(size=(2, 2, 4)).astype(np.float32) for _ in range(12)]
    for name in ("here", "there"):
        with MemoryStore.open(tmp_path / name, "r+") as store:
            store.remind()  # of the step that had been begun
            store.adjust()
            reminded = [store.step(data).ids.tolist() for data in inputs]
            digests.add((store.digest(), str(reminded)))
    assert len(digests) == 1


def test_a_damaged_archive_makes_no_store(lived: Path, tmp_path: Path) -> None:
    """One bit anywhere: either it is found, or it is in what a zip may hold beside the memory."""
    whole = bytearray(archive(lived, tmp_path / "a.zip"))
    for place in range(0, len(whole), len(whole) // 97):
        changed = whole.copy()
        changed[place] ^= 4
        (tmp_path / "b.zip").write_bytes(changed)
        try:
            import_archive(tmp_path / "b.zip", tmp_path / f"s{place}")
        except (DamageError, StoreNotFoundError):
            assert not (tmp_path / f"s{place}").exists()
        else:
            assert archive(tmp_path / f"s{place}", tmp_path / f"c{place}.zip") == bytes(whole)
    assert not list(tmp_path.glob(".*"))


def test_the_shell_ships_a_memory(cli: Cli, lived: Path, tmp_path: Path) -> None:
    shutil.copytree(lived, tmp_path / "s")
    one = cli.ok("export", "s", "one.memoria.zip", "--json").json
    two = cli.ok("export", "s@half", "two.zip", "--no-history", "--json").json
    assert (one["step"], two["step"]) == (40, 20)
    assert one["format"] == "zip"
    assert hashlib.sha256((tmp_path / "one.memoria.zip").read_bytes()).hexdigest() == one["sha256"]
    made = cli.ok("import", "one.memoria.zip", "copy", "--json").json
    assert made == {key: one[key] for key in ("step", "digest", "engrams")} | {
        "path": str(tmp_path / "copy")
    }
    assert cli("import", "one.memoria.zip", "copy").code == 1
    plain = cli.ok("export", "s", "plain", "--format", "zarr", "--json").json
    assert plain["digest"] == one["digest"]
    assert SpecReader(tmp_path / "plain").attributes["digest"] == one["digest"]
    cli.ok("inspect", "one.memoria.zip")
    for line in ("import nothing.zip new", "import s new"):
        ran = cli(*line.split())
        assert ran.code == 10
        assert ran.err.count("\n") <= 2
    assert cli("export", "s", "x.zip", "--vectors").code == 2
    assert cli("export", "s", "x.jsonl", "--no-history").code == 2
    assert cli("export", "s", "plain", "--format", "zarr", "--force").code == 2


def test_nothing_is_left_of_an_archive_that_failed(lived: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    files = open_files(lived)
    try:
        with pytest.raises(StoreExistsError, match="there"):
            write_archive(files, tmp_path / "there")
        assert (tmp_path / "there").read_text() == "mine"
        with pytest.raises(StorageError, match="nowhere"):
            write_archive(files, tmp_path / "nowhere" / "out.zip")
        write_archive(files, tmp_path / "there", force=True)
        (tmp_path / "folder").mkdir()
        with pytest.raises(StoreExistsError):
            write_archive(files, tmp_path / "folder", force=True)
    finally:
        files.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "there"]
