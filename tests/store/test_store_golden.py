"""The specification and the sample stores: what every later version must still read and go on from.

Samples are data. If one of these fails, the code has left the format.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import torch
from spec_reader import SpecReader, same_float32
from verify_tools import STORES

from make import SOUND_SAMPLES  # isort: skip

from memoria.config import MemoriaConfig, VectorType
from memoria.errors import DamageError, OtherFormatError
from memoria.store import MemoryStore, life
from memoria.store.attributes import Era, Snapshot
from memoria.store.reading import open_files
from memoria.store.schema import EDGES_PER_ENGRAM, StepColumn, array_specs, state_specs
from memoria.store.texts import StoredTexts

SAMPLES = sorted(path for path in (STORES / "samples" / "sound").iterdir() if path.is_dir())
NAMES = [path.name for path in SAMPLES]
SPEC = (STORES / "SPEC.md").read_text(encoding="utf-8")
TEXT = re.sub(r"\s+", " ", SPEC)

PLAIN = [path for path in SAMPLES if (path / "log").is_dir() and not SpecReader(path).events]

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)


def expected_of(sample: Path) -> dict[str, Any]:
    text = sample.with_name(sample.name + ".expected.json").read_text(encoding="utf-8")
    expected: dict[str, Any] = json.loads(text)
    return expected


def tree(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def copy_files(source: Path, target: Path) -> Path:
    """As version control does: files with content, directories only for their sake."""
    for name, content in tree(source).items():
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return target


# -- samples ---------------------------------------------------------------------------------------


def test_every_sample_is_told_of() -> None:
    assert sorted(SOUND_SAMPLES) == NAMES
    readme = (STORES / "samples" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"`sound/([a-z-]+)`", readme)) == NAMES
    size = sum(len(content) for content in tree(STORES / "samples").values())
    assert size < 2 * 10**6


@each_sample
def test_a_sample_holds_what_it_held(sample: Path) -> None:
    expected, before = expected_of(sample), tree(sample)
    files = open_files(sample)
    config = files.config
    found = life.fold(files, config, life.StepTable.read(files))
    files.close()
    left = dict(zip(found.ids.tolist(), found.lifespan().tolist(), strict=True))
    for engram, lifespan in expected["lifespans"].items():
        assert left[int(engram)] == lifespan
    for lane, counts in enumerate(expected["lanes"]):
        types = found.types[found.of_lane(lane)].tolist()
        assert [types.count(kind) for kind in (1, 2, 3)] == list(counts.values())[:3]
        assert found.next_id - len(types) == counts["forgotten"]
    with MemoryStore.open(sample) as store:
        assert (store.timestep, store.phase) == (expected["step"], expected["phase"])
        assert store.digest() == expected["digest"]
        peeked = store.peek(torch.tensor(expected["cue"]))
        assert [[i for i in row if i >= 0] for row in peeked.ids.tolist()] == expected["reminded"]
        assert [list(row) for row in peeked.texts] == expected["texts"]
    assert tree(sample) == before


@each_sample
def test_a_sample_reads_as_the_specification_says(sample: Path) -> None:
    """By a reader that shares no code with the library."""
    expected, reader = expected_of(sample), SpecReader(sample)
    assert reader.digest() == expected["digest"] == reader.attributes["digest"]
    words = b"".join(int(w).to_bytes(8, "big", signed=True) for w in reader.steps[:, 3:7].flat)
    assert words == b"".join(reader.digests()[1:])
    state = reader.state()
    assert state.step == expected["step"]
    for engram, lifespan in expected["lifespans"].items():
        assert state.engrams[int(engram)].expiry - state.step == lifespan
    for lane, counts in enumerate(expected["lanes"]):
        kinds = [e.kind for i, e in state.engrams.items() if i % reader.lanes == lane]
        assert [kinds.count(kind) for kind in (1, 2, 3)] == list(counts.values())[:3]
    for ids, texts in zip(expected["reminded"], expected["texts"], strict=True):
        assert [reader.text(i) for i in ids] == texts[: len(ids)]
    generation = reader.attributes["state"]["generation"]
    if generation is not None:
        step, events = (reader.attributes["state"][name] for name in ("step", "events"))
        edges = reader.edges(step, events=events)
        written = reader.group[f"state/{generation}/edges"]
        assert written["target"][...].tolist() == [edge[1] for edge in edges]
        weights = written["weight"][...].tolist()
        assert all(same_float32(a, edge[3]) for a, edge in zip(weights, edges, strict=True))


@pytest.mark.parametrize("name", ["named-states", "compacted"])
def test_the_snapshots_of_a_sample_read_as_the_specification_says(name: str) -> None:
    """Also those from before an era, of which only what they need is left."""
    sample = STORES / "samples" / "sound" / name
    reader = SpecReader(sample)
    snapshots = reader.attributes["snapshots"]
    assert len(snapshots) == 3
    for named, snapshot in snapshots.items():
        state = reader.state(snapshot["step"], snapshot["events"])
        files = open_files(sample, named)
        found = life.fold(files, files.config, life.StepTable.read(files))
        columns = (found.types, found.expiry, found.born, found.fires, found.pinned)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        assert {
            engram: (one.kind, one.expiry, one.born, one.fires, one.pinned)
            for engram, one in state.engrams.items()
        } == dict(zip(found.ids.tolist(), rows, strict=True))
        assert files.attributes.digest == snapshot["digest"]
        files.close()
        with MemoryStore.open(sample, at=named) as store:
            assert store.timestep == state.step
            texts = store.peek(torch.zeros(2, 1, store.config.hidden_dim))
        for ids, told in zip(texts.ids.tolist(), texts.texts, strict=True):
            assert [reader.text(i) for i in ids if i >= 0] == list(told)[: sum(i >= 0 for i in ids)]


@each_sample
def test_a_sample_goes_on_as_it_would_have(sample: Path, tmp_path: Path) -> None:
    expected = expected_of(sample)["continued"]
    path = copy_files(sample, tmp_path / "store")
    with MemoryStore.open(path, "r+") as store:
        if store.phase == "idle":
            store.add(torch.tensor(expected["data"]))
        assert store.remind().ids.tolist() == expected["reminded"]
        store.adjust("uniform:2.5")
        assert store.digest() == expected["digest"]
    assert SpecReader(path).digest() == expected["digest"]


@each_sample
def test_a_copy_of_the_files_alone_opens(sample: Path, tmp_path: Path) -> None:
    """Also without locks, and where nothing may be written."""
    digest = expected_of(sample)["digest"]
    assert not (sample / ".lock").exists()
    assert not (sample / ".lease").exists()
    path = copy_files(sample, tmp_path / "store")
    folders = [path, *(folder for folder in path.rglob("*") if folder.is_dir())]
    for folder in folders:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        before = tree(path)
        with MemoryStore.open(path) as store:
            assert store.digest() == digest
        assert tree(path) == before
    finally:
        for folder in folders:
            folder.chmod(stat.S_IRWXU)
    with MemoryStore.open(path, "r+") as store:
        assert store.digest() == digest


def test_a_sample_made_anew_is_the_same(tmp_path: Path) -> None:
    """What writes today writes what the sample holds, but for the time."""
    made = tmp_path / "made"
    script = STORES / "samples" / "make.py"
    place = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, str(script), "long-term-and-forgotten", str(made)]
    subprocess.run(arguments, check=True, env=place, timeout=120)
    before = STORES / "samples" / "sound" / "long-term-and-forgotten"
    assert expected_of(made) == expected_of(before)
    ours, theirs = tree(made), tree(before)
    timed = {"zarr.json", "log/steps/c.0.0"}  # the steps' times, and nothing else, may differ
    assert {name for name in ours | theirs if ours.get(name) != theirs.get(name)} <= timed
    new, old = SpecReader(made), SpecReader(before)
    assert new.attributes | {"checksum": ""} == old.attributes | {"checksum": ""}
    assert new.steps[:, 1:].tolist() == old.steps[:, 1:].tolist()


# -- damage ----------------------------------------------------------------------------------------


@each_sample
def test_what_stands_beside_engrams_reads_as_the_specification_says(sample: Path) -> None:
    reader = SpecReader(sample)
    with MemoryStore.open(sample) as store:
        texts, files = StoredTexts(store.files), store.files
        everybody = [i for i in range(files.created) if reader.row(i) is not None]
        ids = np.array(everybody)
        assert texts.texts(ids) == [reader.text(i) for i in everybody]
        assert texts.meta(ids) == [reader.meta(i) for i in everybody]
        assert texts.times(ids) == [reader.time(i) for i in everybody]
        assert texts.places(ids) == [reader.place(i) for i in everybody]
        assert files.vectors(ids).tolist() == [reader.vector(i).tolist() for i in everybody]
        readings = [(one.source, one.content, store.units(one)) for one in store.readings()]
        assert readings == [reader.reading(n) for n in range(len(reader.readings))]
        named = [one.resolved for one in store.readings()]
        assert named == [reader.resolved_sources()[row[0]] for row in reader.readings]
        cues = [(one.text, list(one.ids)) for one in store.confirmed_cues() for _ in one.ids]
        assert cues == [(cue.get("text"), cue["ids"]) for cue in reader.cues()]
        commands = [files.command(n) for n in range(files.rows("commands/index"))]
        assert commands == [words for *_, words in reader.commands()]
        assert store.settings == reader.attributes["settings"]


@each_sample
def test_every_file_of_a_sample_is_needed(sample: Path, tmp_path: Path) -> None:
    """A flipped bit or a missing file is found by whoever reads it, a lost chunk by everyone."""
    chunks = [name for name in tree(sample) if not name.endswith("zarr.json")]
    assert len(chunks) > 3
    path = copy_files(sample, tmp_path / "store")
    for name in chunks:
        content = (path / name).read_bytes()
        (path / name).unlink()
        with pytest.raises(DamageError, match=re.escape(name)):
            open_files(path)
        changed = bytearray(content)
        changed[0] ^= 64
        (path / name).write_bytes(changed)
        files = open_files(path)
        with pytest.raises(DamageError, match=re.escape(name)):
            files.store.read(name.rpartition("/")[0])
        files.close()
        (path / name).write_bytes(content)
    root = (path / "zarr.json").read_bytes()
    (path / "zarr.json").write_bytes(root.replace(b'"seed":', b'"seed":1'))
    with pytest.raises(DamageError, match="checksum"):
        open_files(path)
    newer = root.replace(b'"format":1', b'"format":3')
    (path / "zarr.json").write_bytes(newer)  # the format comes before the checksum
    with pytest.raises(OtherFormatError):
        open_files(path)


# -- the specification -----------------------------------------------------------------------------


def tables() -> dict[str, list[list[str]]]:
    """The rows of every table below a heading."""
    out: dict[str, list[list[str]]] = {}
    for part in re.split(r"^#+ ", SPEC, flags=re.M)[1:]:
        title, _, body = part.partition("\n")
        rows = re.findall(r"^\|(.*)\|$", body, flags=re.M)
        cells = [[cell.strip().strip("`") for cell in row.split("|")] for row in rows[2:]]
        out[title.strip()] = cells
    return out


@pytest.mark.parametrize(
    ("dimension", "lanes", "dtype"),
    [
        (16, 1, "float32"),
        (64, 2, "float16"),
        (768, 3, "int8"),
        (768, 3, "float32"),
        (65536, 500, "float32"),
    ],
)
def test_the_tables_of_arrays_are_those_of_the_code(
    dimension: int, lanes: int, dtype: VectorType
) -> None:
    config = MemoriaConfig(hidden_dim=dimension, lanes=lanes, vector_dtype=dtype)
    table, rows = tables()["Append-only arrays"], {"vectors": "N", "log/steps": "T"}
    table[0][1] = dtype
    if dtype == "int8":
        table[0][5] = "-128"
    else:
        del table[1]
    prefix = "era/7/"
    specs = array_specs(config, Era(generation=7))
    assert [prefix + row[0] for row in table] == [spec.name for spec in specs]
    before = [spec.name for spec in array_specs(config)]
    assert before == [row[0] for row in table if not row[0].startswith("kept/")]
    for row, spec in zip(table, specs, strict=True):
        name, dtype, shape, chunk, file, fill, names, _ = row
        known = {"D": dimension, "B": lanes}
        sizes = [_number(size, known) for size in shape.strip("[]").split(",")[1:]]
        assert (prefix + name, dtype) == (spec.name, spec.np_dtype.name)
        assert sizes == list(spec.row_shape)
        assert rows.get(name) in (None, shape.strip("[]").split(",")[0])
        assert _number(chunk, known) == spec.chunk_rows
        assert (file == "1 chunk") == (spec.shard_rows is None)
        if spec.shard_rows is not None:
            assert _number(file.removesuffix(" chunks"), known) == spec.file_chunks
        assert fill == ("NaN" if isinstance(spec.fill, float) else str(spec.fill))
        assert tuple(names.split(", ")) == spec.dimension_names


@pytest.mark.parametrize(
    ("living", "edges"), [(0, 0), (1, 300), (256, 257), (300, 65_000), (10**6, 10**7)]
)
def test_the_table_of_the_state_is_that_of_the_code(living: int, edges: int) -> None:
    table, specs = tables()["State arrays"], state_specs(13, living, edges)
    assert [row[0] for row in table] == [f"state/<g>/{name}" for name in specs]
    for (_, dtype, shape, fill, names, _), spec in zip(table, specs.values(), strict=True):
        assert dtype == spec.np_dtype.name
        assert spec.name.startswith("state/13/")
        assert (spec.row_shape, spec.shard_rows) == ((), None)
        assert fill == ("NaN" if isinstance(spec.fill, float) else str(spec.fill))
        assert (names,) == spec.dimension_names
        rows = {"A": living, "E": edges}[shape.strip("[]")]
        chunk = 256
        while chunk < min(rows, 65536):
            chunk *= 2
        assert spec.chunk_rows == chunk


def _number(text: str, known: dict[str, int]) -> int:
    """A size as the table writes it: numbers, ``D`` and ``B``, min, max, ``//`` and ``+``."""
    assert set(re.findall(r"[A-Za-z]+", text)) <= {"min", "max", *known}
    return int(eval(text, {"__builtins__": {}}, {"min": min, "max": max, **known}))


def test_the_columns_of_the_step_table_are_those_of_the_code() -> None:
    table = [row[0] for row in tables()["Columns of log/steps"]]
    assert table == [
        *(str(int(c)) for c in (StepColumn.TIME, StepColumn.ROWS, StepColumn.LOG_END)),
        f"{int(StepColumn.DIGEST)} to {StepColumn.FIRST_SHORT - 1}",
        f"{int(StepColumn.FIRST_SHORT)} + b",
    ]
    assert f"the {EDGES_PER_ENGRAM} strongest" in TEXT


def test_the_attributes_are_those_that_are_written(tmp_path: Path) -> None:
    page = {title: sorted(row[0] for row in rows) for title, rows in tables().items()}
    names = page["Attributes"]
    assert names == sorted(SpecReader(SAMPLES[0]).attributes)
    config = MemoriaConfig(hidden_dim=8)
    with MemoryStore.create(tmp_path / "store", config) as store:
        for row in torch.eye(8):
            store.step(row.view(1, 1, 8))
    attributes = SpecReader(tmp_path / "store").attributes
    assert names == sorted(attributes)
    assert page["The `state` attribute"] == sorted(attributes["state"])
    assert page["The `pending` attribute"] == sorted(attributes["pending"])
    assert page["The `config` attribute"] == sorted(attributes["config"])
    assert page["The `era` attribute"] == sorted(Era.model_fields)
    assert page["The `snapshots` attribute"] == sorted(Snapshot.model_fields)
    assert page["The `settings` attribute"] == sorted(attributes["settings"])
    assert {*attributes["config"], "unit"} == set(MemoriaConfig.model_fields)


@each_sample
def test_the_checksum_is_of_the_file_without_it(sample: Path) -> None:
    root = (sample / "zarr.json").read_bytes()
    member = re.compile(rb'"checksum":"crc32c:([0-9a-f]{8})",')
    (recorded,) = member.findall(root)
    assert f"{google_crc32c.value(member.sub(b'', root)):08x}".encode() == recorded


@pytest.mark.parametrize("sample", PLAIN, ids=[path.name for path in PLAIN])
def test_the_example_of_the_specification_runs(sample: Path) -> None:
    """The one snippet in Python, on the sample that it names and others without eras and events."""
    (snippet,) = re.findall(r"^```python\n(.*?)^```", SPEC, flags=re.M | re.S)
    (named,) = re.findall(r'open_group\("(.*?)"', snippet)
    assert (STORES.parent / named) in SAMPLES
    assert "import memoria" not in snippet
    names: dict[str, Any] = {}
    exec(snippet.replace(named, str(sample)), names)
    state = SpecReader(sample).state()
    assert names["lifespans"] == {i: e.expiry - state.step for i, e in state.engrams.items()}
    assert len(names["lifespans"]) > 20
