"""`verify` against bytes: whatever is flipped, cut off or deleted is named, or was garbage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fault_bytes import flip
from verify_tools import SAMPLES, busy_store, files_of

from forging import forge, put  # isort: skip

from memoria.errors import MemoriaError, StoreExistsError, StoreNotFoundError
from memoria.store import MemoryStore
from memoria.store.archive import write_archive
from memoria.store.copying import copy_memory
from memoria.store.reading import open_files
from memoria.store.sync import push
from memoria.store.verify import Finding, repair, verify
from memoria.store.verify.findings import MOST_ALIKE

NAMES = [f"{path.parent.name}-{path.name}" for path in SAMPLES]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busy_store(tmp_path_factory.mktemp("busy") / "store")


@pytest.fixture(params=[*SAMPLES, None], ids=[*NAMES, "busy"])
def store(request: pytest.FixtureRequest, busy: Path, tmp_path: Path) -> Path:
    path = tmp_path / "store"
    shutil.copytree(request.param or busy, path)
    return path


@pytest.fixture
def copy(busy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(busy, tmp_path / "store"))


def found(path: Path) -> list[Finding]:
    report = verify(path)
    assert report.sound == (not report.findings)
    return list(report.findings)


def test_sound_stores_are_sound(store: Path) -> None:
    before = {name: (store / name).read_bytes() for name in files_of(store)}
    report = verify(store)
    assert report.findings == ()
    assert report.sound_step == report.step > 0
    assert report.files == len(before)
    assert report.bytes == sum(map(len, before.values()))
    assert report.garbage == {"files": 0, "bytes": 0}
    assert {name: (store / name).read_bytes() for name in files_of(store)} == before


def test_every_deleted_file_is_named(store: Path) -> None:
    for name in files_of(store):
        content = (store / name).read_bytes()
        (store / name).unlink()
        assert name in [one.path for one in found(store)], name
        (store / name).write_bytes(content)
    assert found(store) == []


def test_every_truncated_file_is_named(store: Path) -> None:
    for name in files_of(store):
        content = (store / name).read_bytes()
        for size in (0, len(content) - 1):
            (store / name).write_bytes(content[:size])
            assert name in [one.path for one in found(store)], (name, size)
        (store / name).write_bytes(content + b"\0")
        assert name in [one.path for one in found(store)], name
        (store / name).write_bytes(content)


def test_every_flipped_byte_is_named(store: Path) -> None:
    flip_everywhere(store, [0.0, 0.31, 1.0], [0x01])


@pytest.mark.slow
def test_every_byte_flipped_at_many_places_is_named(store: Path) -> None:
    flip_everywhere(store, np.linspace(0, 1, 41).tolist(), [0x01, 0x10, 0x20, 0x80, 0xFF])


def flip_everywhere(store: Path, shares: list[float], masks: list[int]) -> None:
    for name in files_of(store):
        last = (store / name).stat().st_size - 1
        for share in shares:
            for mask in masks:
                assert flip(store, name, round(share * last), mask) == ""


def test_damage_is_named_with_its_step_and_repaired_up_to_it(copy: Path, tmp_path: Path) -> None:
    """The vectors of one shard's second chunk."""
    file = copy / "vectors" / "c.0.0"
    content = bytearray(file.read_bytes())
    content[16 * 16 + 4 + 40] ^= 1  # of engrams 16 to 31: four a step
    file.write_bytes(content)
    report, repaired = repair(copy, tmp_path / "new")
    (finding,) = report.findings
    assert (finding.kind, finding.array, finding.step) == ("checksum", "vectors", 5)
    assert "chunk 1" in finding.message
    assert (report.step, report.sound_step) == (24, 4)
    assert repaired is not None
    assert (repaired.step, repaired.lost_steps, repaired.begun) == (4, 20, False)
    assert verify(tmp_path / "new").findings == ()


def test_a_begun_step_alone_can_be_lost(copy: Path, tmp_path: Path) -> None:
    root = json.loads((copy / "zarr.json").read_text())
    rows = root["consolidated_metadata"]["metadata"]["vectors"]["shape"][0]
    forge(copy, "vectors", put((rows - 1, 0), 0.5))
    report, repaired = repair(copy, tmp_path / "new")
    assert [(one.kind, one.step) for one in report.findings] == [("digest", 25)]
    assert repaired is not None
    assert (repaired.step, repaired.lost_steps, repaired.begun) == (24, 0, False)
    with MemoryStore.open(tmp_path / "new") as store:
        assert (store.timestep, store.phase) == (24, "idle")


def test_the_state_alone_costs_no_step(copy: Path, tmp_path: Path) -> None:
    with MemoryStore.open(copy) as store:
        digest = store.digest()
    for file in (copy / "state").rglob("c.*"):
        file.write_bytes(b"")
    report, repaired = repair(copy, tmp_path / "new")
    assert {one.kind for one in report.findings} == {"size"}
    assert repaired is not None
    assert (repaired.step, repaired.lost_steps, repaired.begun) == (24, 0, True)
    with MemoryStore.open(tmp_path / "new", "r+") as store:
        assert store.digest() == digest
        store.adjust()
    assert verify(tmp_path / "new").findings == ()


def test_what_is_no_part_of_the_store_is_a_note(copy: Path) -> None:
    for name in ("index/terms.sqlite", "index/deep/c.0"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(b"derived")
    (copy / "index" / "link").symlink_to("/etc/passwd")
    (copy / "note.txt").write_text("hello")
    (copy / "vectors" / "c.007.0").write_bytes(b"")
    (copy / "log" / "old").mkdir()
    (copy / "texts" / "x").symlink_to("/etc/passwd")
    os.mkfifo(copy / "log" / "pipe")
    report = verify(copy)
    assert [(one.kind, one.path) for one in report.findings] == [("link", "texts/x")]
    assert sorted(note.path for note in report.notes) == [
        "log/old",
        "log/pipe",
        "note.txt",
        "vectors/c.007.0",
    ]
    (copy / "texts" / "x").unlink()
    assert verify(copy).sound
    with MemoryStore.open(copy, "r+") as store:
        store.remind()
        store.adjust()
    assert (copy / "index" / "deep" / "c.0").exists()
    with closing(open_files(copy)) as files:
        copy_memory(files, copy.with_name("other"))
    assert not (copy.with_name("other") / "index").exists()


def test_garbage_is_counted_and_sound(copy: Path) -> None:
    (copy / "zarr.json.tmp").write_bytes(b"1234")
    (copy / "vectors" / "c.0.0.tmp").write_bytes(b"")
    shutil.copytree(copy / "log", copy / "state" / "99" / "log")
    shutil.copy(copy / "log/ids/c.0", copy / "log/ids/c.1")
    report = verify(copy)
    assert report.findings == ()
    assert report.garbage["files"] == 3 + len(files_of(copy / "log")) - 1
    assert report.garbage["bytes"] > 3 * 32772


def test_a_link_in_place_of_a_file_or_directory(copy: Path, tmp_path: Path) -> None:
    for name in ("zarr.json", "log", "vectors/c.0.0", "state", "log/ids/zarr.json"):
        place = copy / name
        kept = tmp_path / "kept"
        place.rename(kept)
        place.symlink_to(kept)
        assert name in [one.path for one in found(copy) if one.kind in ("link", "root")], name
        place.unlink()
        kept.rename(place)
    assert found(copy) == []


def test_a_directory_in_place_of_a_file(copy: Path) -> None:
    for name in ("zarr.json", "vectors/c.0.0", "log/ids/zarr.json"):
        content = (copy / name).read_bytes()
        (copy / name).unlink()
        (copy / name).mkdir()
        assert name in [one.path for one in found(copy)], name
        (copy / name).rmdir()
        (copy / name).write_bytes(content)


def test_metadata_of_children(copy: Path) -> None:
    file = copy / "log" / "ids" / "zarr.json"
    document = json.loads(file.read_text())
    rows = document["shape"][0]

    def with_(**changes: object) -> list[Finding]:
        file.write_text(json.dumps({**document, **changes}))
        return found(copy)

    assert with_() == with_(shape=[rows - 5]) == []
    for changes in (
        {"shape": [rows + 10**6]},
        {"fill_value": 0},
        {"attributes": {"a": 1}},
        {"shape": "x"},
    ):
        (finding,) = with_(**changes)
        assert (finding.kind, finding.path, finding.array) == (
            "metadata",
            "log/ids/zarr.json",
            "log/ids",
        )


def test_many_findings_are_counted_and_bounded(copy: Path) -> None:
    for number in range(3 * MOST_ALIKE):
        (copy / f"link-{number}").symlink_to("nowhere")
    (copy / "log" / "ids" / "c.0").unlink()
    report = verify(copy)
    assert sum(one.kind == "link" for one in report.findings) == MOST_ALIKE
    assert "log/ids/c.0" in [one.path for one in report.findings]
    assert report.more == 2 * MOST_ALIKE


@pytest.mark.parametrize("rows", [10**9, 2**55])
def test_shapes_beyond_all_files_need_no_memory(copy: Path, rows: int) -> None:
    root = json.loads((copy / "zarr.json").read_text())
    for name, one in root["consolidated_metadata"]["metadata"].items():
        if one["node_type"] == "array" and not name.startswith("state"):
            one["shape"][0] = rows
    (copy / "zarr.json").write_text(json.dumps(root))
    report = verify(copy)
    assert {"root", "missing"} <= {one.kind for one in report.findings}


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError):
        verify(tmp_path)
    with pytest.raises(StoreNotFoundError):
        verify(tmp_path / "nothing")
    (tmp_path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(StoreNotFoundError):
        verify(tmp_path)


def test_archives_are_read_where_they_lie(copy: Path, tmp_path: Path) -> None:
    archive = tmp_path / "store.memoria.zip"
    files = open_files(copy)
    write_archive(files, archive)
    files.close()
    report = verify(archive)
    assert report.findings == ()
    assert report.step == 24
    content = archive.read_bytes()
    at = content.index(b"log/ids/c.0") + 5000
    archive.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    report, repaired = repair(archive, tmp_path / "new")
    assert [(one.kind, one.path) for one in report.findings] == [("checksum", "log/ids/c.0")]
    assert repaired is None
    archive.write_bytes(content[:-40])
    assert [one.kind for one in found(archive)] == ["archive"]


def test_repair_goes_aside(copy: Path, tmp_path: Path) -> None:
    for target in (copy, copy / "inner"):
        with pytest.raises(MemoriaError, match="lies in the damaged store"):
            repair(copy, target)
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreExistsError):
        repair(copy, tmp_path / "taken")


def test_nothing_to_repair(copy: Path, tmp_path: Path) -> None:
    (copy / "log" / "steps" / "c.0.0").unlink()
    report, repaired = repair(copy, tmp_path / "new")
    assert report.sound_step == 0
    assert repaired is None
    assert not (tmp_path / "new").exists()


def test_the_root_is_written_as_canonical_json(copy: Path) -> None:
    root = copy / "zarr.json"
    root.write_text(json.dumps(json.loads(root.read_text()), indent=1))
    assert [(one.kind, one.path) for one in found(copy)] == [("root", "zarr.json")]


WRITER = """
import random, sys
from pathlib import Path
import verify_tools
from memoria.store import MemoryStore
from memoria.store.compacting import compact
numbers, number = random.Random(1), 24
print("begun", flush=True)
for session in range(int(sys.argv[2])):
    with MemoryStore.open(sys.argv[1], "r+") as store:
        if store.phase == "reminded":
            store.adjust()
        for _ in range(6):
            verify_tools.step(store, numbers, number)
            number += 1
            store.commit()
    if session % 4 == 3:
        compact(sys.argv[1])
"""


@pytest.mark.parametrize("sessions", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_a_store_is_sound_at_every_moment_of_its_writer(copy: Path, sessions: int) -> None:
    (copy / ".lease").touch()
    variables = {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    command = [sys.executable, "-c", WRITER, str(copy), str(sessions)]
    writer = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "begun\n"
    steps = []
    while writer.poll() is None:
        report = verify(copy)
        assert report.findings == ()
        steps.append(report.step)
    assert writer.returncode == 0
    assert steps == sorted(steps)
    assert verify(copy).step == 24 + 1 + 6 * sessions


def test_stores_on_object_storage_are_read_where_they_lie(
    copy: Path, tmp_path: Path, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    url = "s3://memories/verify"
    push(copy, url)
    report, repaired = repair(url, tmp_path / "new")
    assert report.findings == ()
    assert (report.path, report.step) == (url, 24)
    assert repaired is not None
    assert verify(tmp_path / "new").findings == ()
