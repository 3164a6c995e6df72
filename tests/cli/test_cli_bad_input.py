"""Bad calls of every verb: one line on stderr, the right exit code, and a store left as it was."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from cli_tools import DIARY, Cli, Ran, fingerprint, rows

from memoria.chunkstore.disk import Disk
from memoria.config import MemoriaConfig
from memoria.store import MemoryStore

D, LANES, WIDTH = 16, 2, 4


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in each phase of a step, ready to be copied, and inputs good and bad."""
    folder = tmp_path_factory.mktemp("templates")
    config = MemoriaConfig(
        hidden_dim=D, lanes=LANES, wm_length=WIDTH, backbone="array", num_reminded_stm=2
    )
    for phase in ("idle", "working", "reminded"):
        with MemoryStore.create(folder / phase, config) as store:
            for seed in range(3):
                store.step(rows(LANES, WIDTH, D, seed=seed), "uniform:2")
            if phase != "idle":
                store.add(rows(LANES, WIDTH, D, seed=9))
            if phase == "reminded":
                store.remind()
    good = rows(LANES, WIDTH, D, seed=4)
    poisoned = good.copy()
    poisoned[1, 2, 3] = np.nan
    infinite = good.copy()
    infinite[0, 0, 0] = np.inf
    for name, array in {
        "good": good,
        "wide": rows(LANES, WIDTH, D + 1),
        "lanes": rows(LANES + 1, WIDTH, D),
        "nan": poisoned,
        "inf": infinite,
        "none": np.zeros((LANES, 0, D), np.float32),
        "complex": good.astype(np.complex64),
        "objects": np.array([{}, {}], dtype=object),
    }.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "text.txt").write_text(DIARY)
    (folder / "fake.npy").write_text("not an array")
    (folder / "empty.npy").write_bytes(b"")
    (folder / "short.npy").write_bytes((folder / "good.npy").read_bytes()[:-8])
    (folder / "strange.xyz").write_bytes(b"\0?")
    zarr.create_array(folder / "endless.zarr", shape=(10**12, D), chunks=(16, D), dtype="f4")
    (folder / "folder").mkdir()
    (folder / "folder" / "file").write_text("mine")
    return folder


@pytest.fixture
def place(
    templates: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A copy of the templates as the current directory, compared byte for byte afterwards."""
    folder = tmp_path / "here"
    shutil.copytree(templates, folder)
    monkeypatch.chdir(folder)
    before = fingerprint(folder)
    yield folder
    assert fingerprint(folder) == before


PHASE = {
    "add": "idle",
    "remind": "working",
    "adjust": "reminded",
    "step": "idle",
    "forget": "idle",
    "pin": "idle",
}
READING: dict[str, list[str]] = {
    "inspect": [],
    "list": ["--type", "all"],
    "diff": ["idle@1"],
    "export": ["../export.jsonl", "--force"],
}  # verbs that only read
INPUT = {
    "add": ["good.npy"],
    "remind": [],
    "adjust": [],
    "step": ["good.npy"],
    "forget": ["20", "--yes"],
    "pin": ["20"],
}


def is_refused(ran: Ran, code: int, *said: str) -> None:
    assert ran.code == code, ran
    assert ran.out == ""
    assert ran.err.count("\n") == 1, ran.err
    assert ran.err.startswith("memoria: ")
    assert "unexpected" not in ran.err
    for text in said:
        assert text in ran.err


@pytest.mark.parametrize("verb", PHASE)
@pytest.mark.parametrize("store", ["nothing", "folder", "good.npy", "nothing/at/all"])
def test_no_store(cli: Cli, place: Path, verb: str, store: str) -> None:
    is_refused(cli(verb, store, *INPUT[verb]), 10, os.path.abspath(store), "memoria init")


@pytest.mark.parametrize("verb", READING)
def test_verbs_that_only_read(cli: Cli, place: Path, verb: str) -> None:
    for store in ("nothing", "folder", "good.npy", "nothing/at/all"):
        said = (os.path.abspath(store), "memoria init")
        is_refused(cli(verb, store, *READING[verb]), 10, *said)
    root = place / "working" / "zarr.json"
    before = root.read_bytes()
    root.write_bytes(before.replace(b'"lanes":2', b'"lanes":3'))
    is_refused(cli(verb, "working", *READING[verb]), 3, "zarr.json")
    document = json.loads(before)
    document["attributes"]["memoria"]["format"] = 99
    root.write_text(json.dumps(document))
    is_refused(cli(verb, "working", *READING[verb]), 12, "format 99", "export")
    root.write_bytes(before)
    chunk = place / "working" / "log" / "ids" / "c.0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:9] + bytes([whole[9] ^ 1]) + whole[10:])
    is_refused(cli(verb, "working", *READING[verb]), 3, "log/ids")
    chunk.write_bytes(whole)
    with MemoryStore.open("idle", "r+"):  # a writer is in nobody's way
        assert cli.ok(verb, "idle", *READING[verb]).out


BAD_INPUT = {
    "missing.npy": "no such file",
    "wide.npy": f"received [{LANES}, {WIDTH}, {D + 1}]",
    "lanes.npy": f"received [{LANES + 1}, {WIDTH}, {D}]",
    "nan.npy": "NaN",
    "inf.npy": "Inf",
    "none.npy": "empty",
    "complex.npy": "complex",
    "objects.npy": "object",
    "fake.npy": "not a sound .npy file",
    "empty.npy": "is empty",
    "short.npy": "greater than file size",
    "endless.zarr": f"claims the shape [{10**12}, {D}]",
    "strange.xyz": "unknown kind",
    "folder": "is a directory",
    "text.txt": "backbone 'array'",
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_arrays(cli: Cli, place: Path, name: str) -> None:
    for verb in ("add", "step"):
        is_refused(cli(verb, "idle", name), 2, name, BAD_INPUT[name])
    is_refused(cli("remind", "idle", "--peek", "--cue", name), 2, name, BAD_INPUT[name])
    is_refused(cli("step", "idle", "good.npy", name), 2, name)


@pytest.mark.parametrize("name", ["missing.npy", "fake.npy", "empty.npy", "folder", "good.npy"])
def test_bad_deltas(cli: Cli, place: Path, name: str) -> None:
    said = "lifespan delta: expected shape" if name == "good.npy" else name
    is_refused(cli("adjust", "reminded", "--delta-from", name), 2, said)


@pytest.mark.parametrize(
    "options",
    [
        ["--delta", "nan"],
        ["--delta", "inf"],
        ["--delta", "1", "--rule", "uniform:2"],
        ["--rule", "sometimes"],
        ["--rule", "uniform:inf"],
    ],
)
def test_bad_rules(cli: Cli, place: Path, options: list[str]) -> None:
    is_refused(cli("adjust", "reminded", *options), 2)
    if options[0] == "--rule":
        is_refused(cli("step", "idle", "good.npy", *options), 2)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["24"], "engram = 24: there is none"),
        (["20", "21", "20"], "engram 20: is named twice"),
        (["9" * 30], "is beyond 64 bits"),
        (["--", "-1"], "engram = -1: there is none"),
        (["x"], "valid integer"),
        (["1.5"], "valid integer"),
    ],
)
@pytest.mark.parametrize("verb", ["forget", "pin", "unpin"])
def test_bad_engrams(cli: Cli, place: Path, verb: str, ids: list[str], said: str) -> None:
    is_refused(cli(verb, "idle", *(["--yes"] if verb == "forget" else []), *ids), 2, said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "name engrams by id"),
        (["20", "--query", "cat"], "name engrams by id"),
        (["20", "--older-than", "3"], "name engrams by id"),
        (["20", "--source", "*"], "name engrams by id"),
        (["20", "--lane", "1"], "are for --query, --source and --older-than"),
        (["--lane", "1"], "name engrams by id"),
        (["--older-than", "soon"], "older-than = 'soon'"),
        (["--older-than", "-3"], "older-than = '-3'"),
        (["--older-than", "1", "--lane", "2"], "lane = 2: there is none"),
        (["--older-than", "1", "--least", "0.5"], "goes with --query"),
        (["--query", "cat", "--least", "nan"], "at most 1"),
        (["--query", "cat", "--least", "1.5"], "at most 1"),
        (["--query", " "], "--query is empty"),
        (["--query", "cat"], "backbone 'array'"),
        (["--older-than", "1", "--limit", "-1"], "--limit"),
        (["--older-than", "1", "--type", "working"], "--type"),
    ],
    ids=str,
)
def test_bad_searches(cli: Cli, place: Path, options: list[str], said: str) -> None:
    is_refused(cli("forget", "idle", "--yes", *options), 2, said)


@pytest.mark.parametrize("verb", PHASE)
def test_the_wrong_moment(cli: Cli, place: Path, verb: str) -> None:
    wrong = {"add": "reminded", "remind": "idle", "forget": "reminded"}.get(verb, "working")
    is_refused(cli(verb, wrong, *INPUT[verb]), 2)


@pytest.mark.parametrize("verb", PHASE)
def test_a_newer_format(cli: Cli, place: Path, verb: str) -> None:
    root = place / PHASE[verb] / "zarr.json"
    before = root.read_bytes()
    document = json.loads(before)
    document["attributes"]["memoria"]["format"] = 99
    root.write_text(json.dumps(document))
    is_refused(cli(verb, PHASE[verb], *INPUT[verb]), 12, "format 99", "export")
    root.write_bytes(before)


@pytest.mark.parametrize("verb", PHASE)
def test_damage(cli: Cli, place: Path, verb: str) -> None:
    root = place / PHASE[verb] / "zarr.json"
    before = root.read_bytes()
    root.write_bytes(before.replace(b'"lanes":2', b'"lanes":3'))
    is_refused(cli(verb, PHASE[verb], *INPUT[verb]), 3, "zarr.json")
    root.write_bytes(before)


@pytest.mark.parametrize("verb", PHASE)
def test_locked(cli: Cli, place: Path, verb: str) -> None:
    with MemoryStore.open(PHASE[verb], "r+"):
        is_refused(cli(verb, PHASE[verb], *INPUT[verb]), 11, f"{os.getpid()}", "wait")
        if verb == "remind":
            assert cli("remind", "working", "--peek").code == 0


@pytest.mark.parametrize("verb", PHASE)
@pytest.mark.parametrize("operation", ["write_file", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_the_disk_says_no(
    cli: Cli,
    tmp_path: Path,
    templates: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    operation: str,
    number: int,
) -> None:
    # What a failed commit wrote aside may stay until the next writer; the committed state may not
    # change.
    shutil.copytree(templates, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    with MemoryStore.open(PHASE[verb]) as store:
        before = store.digest()

    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(Disk, operation, fail)
        is_refused(cli(verb, PHASE[verb], *INPUT[verb]), 1, os.strerror(number))
    with MemoryStore.open(PHASE[verb]) as store:
        assert store.digest() == before
    assert cli(verb, PHASE[verb], *INPUT[verb]).code == 0


def test_init_on_a_full_disk_leaves_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Disk, "write_file", fail)
    is_refused(cli("init", "new"), 1, "No space left")
    assert list(tmp_path.iterdir()) == []


def test_encode_on_a_full_disk_leaves_nothing(
    cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    line = ["encode", "text.txt", "--backbone", "hash", "-o"]
    for out in ("o.npy", "o.safetensors", "o.zarr"):
        is_refused(cli(*line, out), 1, "No space left")
    monkeypatch.undo()
    monkeypatch.chdir(place)
    for out in ("folder/none/o.npy", "o.npz", "o"):
        ran = cli(*line, out)
        assert ran.code in (1, 2)
        assert ran.err.count("\n") == 1
    is_refused(cli(*line, "good.npy"), 1, "exists already")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("verb", PHASE)
def test_no_permission(cli: Cli, place: Path, verb: str) -> None:
    store = place / PHASE[verb]
    for path in [store, *store.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        is_refused(cli(verb, PHASE[verb], *INPUT[verb]), 1, "Permission denied")
        assert cli("remind", "working", "--peek").code == 0
    finally:
        for path in [store, *store.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)


@pytest.mark.parametrize("verb", PHASE)
def test_a_lock_that_cannot_be_taken(
    cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    is_refused(cli(verb, PHASE[verb], *INPUT[verb]), 1, "cannot lock")


def test_a_store_as_input_brings_no_warnings_of_libraries(cli: Cli, tmp_path: Path) -> None:
    """It is a Zarr group with files beside its arrays, of which Zarr would tell."""
    cli.ok("init", "a")
    cli.ok("step", "a", "--text", "Bees fly. Ada sings.")
    (tmp_path / "a" / "readme.txt").write_text("mine")
    cli.ok("init", "b")
    with warnings.catch_warnings(action="error"):
        assert cli.ok("step", "b", "a", "--json").json["engrams_added"] == 2
