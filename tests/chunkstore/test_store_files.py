"""Arrays on disk: what is committed is what every reader gets, or an error that names the file."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import Crc32cCodec

from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.root import FORMAT, MAX_ROOT_BYTES, Root, read_root
from memoria.chunkstore.sources.local import LocalSource
from memoria.chunkstore.spec import ArraySpec, parse_array
from memoria.errors import (
    ConfigError,
    DamageError,
    InputError,
    MemoriaError,
    OtherFormatError,
    ShapeError,
    StateError,
    StorageError,
    StoreExistsError,
    StoreNotFoundError,
)
from memoria.io.bounds import MOST_VALUES

VECTORS = ArraySpec("vectors", "f4", (3,), 2, 6, math.nan, ("engram", "dim"), {"unit": "none"})
SCALARS = ArraySpec("log/ids", "i8", (), 4, None, -1)
BYTES = ArraySpec("text/bytes", "u1", (), 5, 10, 255)
WIDE = ArraySpec("wide", "i4", (2, 2), 3, None, -1)
SPECS = [VECTORS, SCALARS, BYTES, WIDE]


def life(generation: int) -> ArraySpec:
    return ArraySpec(f"state/{generation}/life", "f8", (), 4, None, math.nan)


def values(spec: ArraySpec, rows: int, seed: int = 0) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 200, (rows, *spec.row_shape)).astype(spec.np_dtype)


def filled(path: Path, rows: int = 15) -> StoreFiles:
    store = StoreFiles.create(path, SPECS, {"step": 0})
    for spec in SPECS:
        store.append(spec.name, values(spec, rows))
    store.commit({"step": 1})
    return store


def fingerprint(path: Path) -> dict[str, str]:
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def chunk_files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("c.*") if file.is_file())


def read_everything(path: Path) -> None:
    store = StoreFiles.open(path)
    try:
        for name in store.names():
            store.read(name)
    finally:
        store.close()


@pytest.mark.parametrize("rows", [0, 1, 5, 6, 12, 25])
def test_zarr_reads_what_was_written(tmp_path: Path, rows: int) -> None:
    store = filled(tmp_path / "store", rows)
    store.append("vectors", values(VECTORS, 3, seed=1))
    store.commit({"step": 2, "note": "zwölf"})
    group: Any = zarr.open_group(tmp_path / "store", mode="r")
    ours = group.attrs.asdict()["memoria"]
    assert ours["format"] == FORMAT
    assert ours["note"] == "zwölf"
    for spec in SPECS:
        array = group[spec.name]
        assert isinstance(array, zarr.Array)
        np.testing.assert_array_equal(array[...], store.read(spec.name), strict=True)
    np.testing.assert_array_equal(store.read("vectors")[:rows], values(VECTORS, rows))
    assert group["vectors"].metadata.dimension_names == ("engram", "dim")
    assert group["vectors"].attrs.asdict() == {"unit": "none"}
    store.close()


def test_children_may_lag_and_the_root_rules(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    child = tmp_path / "store" / "log" / "ids"
    assert zarr.open_array(child, mode="r").shape == (0,)
    group: Any = zarr.open_group(tmp_path / "store", mode="r")
    log: Any = group["log"]
    assert [name for name, _ in log.members()] == ["ids"]
    np.testing.assert_array_equal(log["ids"][:], values(SCALARS, 15))
    store.close()
    np.testing.assert_array_equal(zarr.open_array(child, mode="r")[:], values(SCALARS, 15))


def test_chunks_are_those_that_zarr_writes(tmp_path: Path) -> None:
    filled(tmp_path / "store").close()
    group = zarr.open_group(tmp_path / "theirs", mode="w", zarr_format=3)
    for spec in SPECS:
        array = group.create_array(
            spec.name,
            shape=(15, *spec.row_shape),
            chunks=(spec.chunk_rows, *spec.row_shape),
            shards=None if spec.shard_rows is None else (spec.shard_rows, *spec.row_shape),
            dtype=spec.np_dtype,
            fill_value=spec.fill,
            compressors=[Crc32cCodec()],
            chunk_key_encoding={"name": "default", "separator": "."},
            attributes=dict(spec.attributes),
            dimension_names=spec.dimension_names,
            config={"write_empty_chunks": True},
        )
        array[...] = values(spec, 15)
        parsed = parse_array(spec.name, json.loads(json.dumps(array.metadata.to_dict())))
        assert parsed == (spec, 15)
    ours, theirs = chunk_files(tmp_path / "store"), chunk_files(tmp_path / "theirs")
    assert [file.relative_to(tmp_path / "store") for file in ours] == [
        file.relative_to(tmp_path / "theirs") for file in theirs
    ]
    for mine, other in zip(ours, theirs, strict=True):
        if "vectors" not in mine.parts and "text" not in mine.parts:  # shards may order chunks
            assert mine.read_bytes() == other.read_bytes()
        assert mine.stat().st_size == other.stat().st_size


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_reads_and_gathers_agree_with_numpy(data: st.DataObject) -> None:
    committed = data.draw(st.integers(0, 30))
    blocks = data.draw(st.lists(st.integers(0, 9), max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        store = StoreFiles.create(Path(folder) / "store", SPECS, {})
        for spec in SPECS:
            model = values(spec, committed, seed=5)
            store.append(spec.name, model)
        store.commit()
        for spec in SPECS:
            parts = [values(spec, count, seed=6 + i) for i, count in enumerate(blocks)]
            for part in parts:
                store.append(spec.name, part)
            model = np.concatenate([values(spec, committed, seed=5), *parts])
            total = len(model)
            assert (store.rows(spec.name), store.committed_rows(spec.name)) == (total, committed)
            start = data.draw(st.integers(0, total))
            stop = data.draw(st.integers(start, total))
            np.testing.assert_array_equal(
                store.read(spec.name, start, stop), model[start:stop], strict=True
            )
            places = st.lists(st.integers(0, max(0, total - 1)), max_size=20 if total else 0)
            rows = np.array(data.draw(places), np.int64)
            np.testing.assert_array_equal(store.gather(spec.name, rows), model[rows], strict=True)
        store.close()


ACTION = st.one_of(
    st.tuples(st.just("append"), st.sampled_from([s.name for s in SPECS]), st.integers(0, 40)),
    st.tuples(st.just("commit"), st.just(""), st.just(0)),
    st.tuples(st.just("rollback"), st.just(""), st.just(0)),
    st.tuples(st.just("reopen"), st.just(""), st.just(0)),
    st.tuples(st.just("generation"), st.just(""), st.integers(0, 12)),
)


@settings(max_examples=25, deadline=None)
@given(actions=st.lists(ACTION, max_size=14))
def test_store_behaves_like_lists_in_memory(actions: list[tuple[str, str, int]]) -> None:
    specs = {spec.name: spec for spec in [*SPECS, life(0)]}
    committed = {name: values(spec, 0) for name, spec in specs.items()}
    attributes = {"n": 0}
    staged = dict(committed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        store = StoreFiles.create(path, list(specs.values()), attributes)
        for number, (action, name, rows) in enumerate(actions, start=1):
            if action == "append":
                more = values(specs[name], rows, seed=number)
                store.append(name, more)
                staged[name] = np.concatenate([staged[name], more])
            elif action == "generation":
                spec = life(number)
                specs[spec.name] = spec
                more = values(spec, rows, seed=number)
                store.replace_group(f"state/{number}", [(spec, more)])
                staged = {n: v for n, v in staged.items() if not n.startswith("state/")}
                staged[spec.name] = more
            elif action == "commit":
                attributes = {"n": number}
                store.commit(attributes)
                committed = dict(staged)
            else:
                if action == "rollback":
                    store.rollback()
                else:
                    store.close()
                    store = StoreFiles.open(path, "r+")
                staged = dict(committed)
            assert store.names() == sorted(staged)
            for array, model in staged.items():
                np.testing.assert_array_equal(store.read(array), model, strict=True)
        reader = StoreFiles.open(path)
        group: Any = zarr.open_group(path, mode="r")
        assert reader.attributes == attributes
        assert reader.names() == sorted(committed)
        for array, model in committed.items():
            np.testing.assert_array_equal(reader.read(array), model, strict=True)
            np.testing.assert_array_equal(group[array][...], model, strict=True)
        reader.close()
        store.close()
        assert len(list((path / "state").iterdir())) == 2  # zarr.json and one generation


def test_staged_rows_are_seen_by_their_writer_only(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    more = values(SCALARS, 7, seed=3)
    before = fingerprint(tmp_path / "store")
    store.append("log/ids", more)
    more[:] = 0  # the store took a copy
    np.testing.assert_array_equal(store.read("log/ids", 15), values(SCALARS, 7, seed=3))
    assert fingerprint(tmp_path / "store") == before
    reader = StoreFiles.open(tmp_path / "store")
    assert reader.rows("log/ids") == 15
    store.commit()
    assert reader.rows("log/ids") == 15
    np.testing.assert_array_equal(reader.read("log/ids"), values(SCALARS, 15))
    reader.close()
    store.append("log/ids", more)
    store.rollback()
    assert store.rows("log/ids") == 22
    store.close()


def test_reading_changes_no_byte(tmp_path: Path) -> None:
    filled(tmp_path / "store").close()
    before = fingerprint(tmp_path / "store")
    stamps = {file: file.stat().st_mtime_ns for file in (tmp_path / "store").rglob("*")}
    read_everything(tmp_path / "store")
    assert fingerprint(tmp_path / "store") == before
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "store").rglob("*")} == stamps


def test_any_flipped_byte_of_a_chunk_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "store").close()
    for file in chunk_files(tmp_path / "store"):
        sound = file.read_bytes()
        for place in range(len(sound)):
            broken = bytearray(sound)
            broken[place] ^= 1 << (place % 8)
            file.write_bytes(broken)
            with pytest.raises(DamageError, match=file.name) as caught:
                read_everything(tmp_path / "store")
            assert file.parent.name in str(caught.value)
        file.write_bytes(sound)
    read_everything(tmp_path / "store")


@pytest.mark.parametrize("trouble", ["missing", "short", "long", "folder", "link"])
def test_a_chunk_that_is_not_there_is_damage(tmp_path: Path, trouble: str) -> None:
    filled(tmp_path / "store").close()
    for file in chunk_files(tmp_path / "store"):
        name = file.parent.relative_to(tmp_path / "store").as_posix()
        sound = file.read_bytes()
        reader = StoreFiles.open(tmp_path / "store")
        file.unlink()
        if trouble == "short":
            file.write_bytes(sound[:-5])
        elif trouble == "long":
            file.write_bytes(sound + bytes(4096))
        elif trouble == "folder":
            file.mkdir()
        elif trouble == "link":
            (tmp_path / "elsewhere").write_bytes(sound)
            file.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(DamageError, match=file.name):
            StoreFiles.open(tmp_path / "store")
        with pytest.raises(DamageError, match=f"{file.name}.*{name}"):
            reader.read(name)
        reader.close()
        if trouble == "folder":
            file.rmdir()
        else:
            file.unlink(missing_ok=True)
        file.write_bytes(sound)


def test_any_flipped_byte_of_the_root_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "store").close()
    root = tmp_path / "store" / "zarr.json"
    sound = root.read_bytes()
    read_root(LocalSource(tmp_path / "store"))
    for place in range(len(sound)):
        broken = bytearray(sound)
        broken[place] ^= 1 << (place % 7)
        root.write_bytes(broken)
        with pytest.raises((DamageError, OtherFormatError), match=r"zarr\.json|format "):
            read_root(LocalSource(tmp_path / "store"))


def test_an_edit_through_zarr_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "store").close()
    zarr.open_group(tmp_path / "store", mode="r+").attrs["note"] = "hello"
    with pytest.raises(DamageError, match="checksum"):
        StoreFiles.open(tmp_path / "store")


def rewrite(path: Path, changed: dict[str, tuple[ArraySpec, int]]) -> None:
    """The root with other arrays, and a checksum that fits."""
    root = read_root(LocalSource(path))
    (path / "zarr.json").write_bytes(Root(root.attributes, {**root.arrays, **changed}).encode())


@pytest.mark.parametrize("rows", [19, 10**9, 2**56])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_rows_without_files_are_damage(tmp_path: Path, rows: int, spec: ArraySpec) -> None:
    filled(tmp_path / "store", 15).close()
    rewrite(tmp_path / "store", {spec.name: (spec, rows)})
    with pytest.raises(DamageError, match=spec.name) as caught:
        StoreFiles.open(tmp_path / "store")
    assert caught.value.exit_code == 3


def always(specs: list[ArraySpec], attributes: dict[str, Any]) -> list[ArraySpec]:
    return specs


def test_arrays_must_be_the_expected_ones(tmp_path: Path) -> None:
    filled(tmp_path / "store").close()
    seen = []

    def right(attributes: dict[str, Any]) -> list[ArraySpec]:
        seen.append(attributes)
        return SPECS

    StoreFiles.open(tmp_path / "store", expected=right).close()
    assert seen == [{"step": 1}]
    other = ArraySpec("wide", "i4", (2, 2), 3, None, -2)
    for wrong in (SPECS[:-1], [*SPECS, life(1)], [*SPECS[:-1], other]):
        with pytest.raises(DamageError, match=r"wide|life"):
            StoreFiles.open(tmp_path / "store", expected=partial(always, wrong))


def test_a_hostile_root_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "store").close()
    root = tmp_path / "store" / "zarr.json"
    sound = root.read_bytes()
    hostile = {
        "name": sound.replace(b'"wide":', b'"../wide":'),
        "rows": sound.replace(b'"shape":[15]', b'"shape":[-1]'),
        "nested": b"[" * 100_000,
        "number": b'{"attributes":{"memoria":{"format":1,"n":' + b"9" * 9999 + b"}}}",
        "not a group": b"[]",
        "empty": b"",
        "binary": bytes(range(256)),
        "constant": sound.replace(b'"step":1', b'"step":NaN'),
    }
    for name, content in hostile.items():
        assert content != sound, name
        root.write_bytes(content)
        with pytest.raises(DamageError):
            StoreFiles.open(tmp_path / "store")
    with root.open("wb") as handle:
        handle.truncate(MAX_ROOT_BYTES + 1)
    with pytest.raises(DamageError, match="bytes long"):
        StoreFiles.open(tmp_path / "store")


def test_what_no_reader_would_parse_is_not_committed(tmp_path: Path) -> None:
    filled(tmp_path / "store").close()
    before = (tmp_path / "store" / "zarr.json").read_bytes()
    store = StoreFiles.open(tmp_path / "store", "r+")
    with pytest.raises(InputError, match="values"):
        store.commit({"text": "," * MOST_VALUES})
    assert (tmp_path / "store" / "zarr.json").read_bytes() == before
    store.commit({"text": ""})
    now = (tmp_path / "store" / "zarr.json").read_bytes()
    fits = "," * (MOST_VALUES - sum(now.count(one) for one in (b",", b"[", b"{")))
    with pytest.raises(InputError, match="values"):
        store.commit({"text": fits + ","})
    store.commit({"text": fits})
    store.close()
    store = StoreFiles.open(tmp_path / "store")
    assert store.attributes["text"] == fits
    store.close()


@pytest.mark.parametrize("name", ["zarr.json", "log", "log/ids", "text/bytes/c.0"])
def test_symbolic_links_inside_are_refused(tmp_path: Path, name: str) -> None:
    filled(tmp_path / "store").close()
    (tmp_path / "store" / name).rename(tmp_path / "moved")
    (tmp_path / "store" / name).symlink_to(tmp_path / "moved")
    for mode in ("r", "r+"):
        with pytest.raises(DamageError, match="symbolic link"):
            StoreFiles.open(tmp_path / "store", mode)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b'"format":7', "format 7, this program reads and writes format 1"),
        (b'"format_version":2', "by an early version of memoria, before format 1"),
    ],
)
def test_another_format_is_not_damage(tmp_path: Path, written: bytes, said: str) -> None:
    filled(tmp_path / "store").close()
    root = tmp_path / "store" / "zarr.json"
    root.write_bytes(root.read_bytes().replace(b'"format":1', written))
    with pytest.raises(OtherFormatError, match=said) as caught:
        StoreFiles.open(tmp_path / "store", "r+")
    assert caught.value.exit_code == 12
    assert "export it" in str(caught.value.hint)


def test_no_store_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    zarr.open_group(tmp_path / "group", mode="w", zarr_format=3)
    for name in ("nothing", "file", "folder", "group"):
        for mode in ("r", "r+"):
            before = sorted(tmp_path.rglob("*"))
            with pytest.raises(StoreNotFoundError) as caught:
                StoreFiles.open(tmp_path / name, mode)
            assert caught.value.exit_code == 10
            if name != "group":
                assert sorted(tmp_path.rglob("*")) == before
    filled(tmp_path / "store").close()
    (tmp_path / "store" / "zarr.json").unlink()
    with pytest.raises(DamageError, match=r"zarr\.json: is missing"):
        StoreFiles.open(tmp_path / "store")


def test_create_refuses_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    filled(tmp_path / "store").close()
    before = fingerprint(tmp_path)
    for name in ("file", "full", "store", "link"):
        with pytest.raises(StoreExistsError, match=name):
            StoreFiles.create(tmp_path / name, SPECS, {})
    with pytest.raises(StorageError, match="create it first"):
        StoreFiles.create(tmp_path / "missing" / "store", SPECS, {})
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(StorageError, match="current directory"):
        StoreFiles.create(".", SPECS, {})
    assert fingerprint(tmp_path) == before
    monkeypatch.chdir(tmp_path)
    StoreFiles.create("empty", SPECS, {"a": 1}).close()
    assert StoreFiles.open("empty").attributes == {"a": 1}
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_bad_values_are_refused_and_nothing_is_staged(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    with pytest.raises(ShapeError, match="'vectors': expected shape"):
        store.append("vectors", values(VECTORS, 4)[:, :2])
    with pytest.raises(ShapeError):
        store.append("log/ids", np.zeros((2, 2), np.int64))
    with pytest.raises(InputError, match="float64"):
        store.append("log/ids", [0.5])
    with pytest.raises(InputError, match="float64"):
        store.append("vectors", np.zeros((1, 3)))
    for name in SPECS:
        assert store.rows(name.name) == 15
    with pytest.raises(InputError, match="nothing"):
        store.read("nothing")
    for rows in ([15], [-1], [[0]], [0.0]):
        with pytest.raises(InputError, match="log/ids"):
            store.gather("log/ids", np.array(rows))
    for start, stop in ((-1, 3), (4, 3), (0, 16)):
        with pytest.raises(InputError, match="it has 15"):
            store.read("log/ids", start, stop)
    with pytest.raises(InputError, match="JSON"):
        store.commit({"x": math.nan})
    with pytest.raises(InputError, match="own"):
        store.commit({"checksum": 1})
    assert store.attributes == {"step": 1}
    store.close()
    with pytest.raises(StateError, match="closed"):
        store.read("vectors")
    reader = StoreFiles.open(tmp_path / "store")
    for change in (reader.commit, reader.rollback, lambda: reader.append("log/ids", [1])):
        with pytest.raises(StateError, match="r\\+"):
            change()
    reader.attributes["step"] = 9
    assert reader.attributes == {"step": 1}
    reader.close()
    reader.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../x"},
        {"name": ".hidden"},
        {"name": "/x"},
        {"name": "a//b"},
        {"name": "c.0"},
        {"dtype": "c8"},
        {"row_shape": (0,)},
        {"row_shape": (2**20, 2**20)},
        {"chunk_rows": 0},
        {"shard_rows": 5},
        {"fill": 0.0},
        {"dimension_names": ("a",)},
    ],
)
def test_a_bad_spec_is_refused(changes: dict[str, Any]) -> None:
    good = ArraySpec("x", "f4", (3,), 2, 4, math.nan)
    with pytest.raises(ConfigError):
        replace(good, **changes)


def test_arrays_do_not_nest_and_generations_count_upwards(tmp_path: Path) -> None:
    inside = ArraySpec("wide/more", "i4", (), 3, None, -1)
    with pytest.raises(ConfigError, match="inside"):
        StoreFiles.create(tmp_path / "store", [*SPECS, inside], {})
    store = StoreFiles.create(tmp_path / "store", [*SPECS, life(3)], {})
    for prefix, spec in (
        ("state/2", life(2)),
        ("state/3", life(3)),
        ("state/x", life(4)),
        ("state/4", life(5)),
        ("log/1", ArraySpec("log/1/x", "i4", (), 3, None, -1)),
    ):
        with pytest.raises(ConfigError):
            store.replace_group(prefix, [(spec, values(spec, 3))])
    assert store.names() == sorted([spec.name for spec in SPECS] + ["state/3/life"])
    store.close()


def test_a_moved_store_takes_no_commit(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    shutil.move(tmp_path / "store", tmp_path / "moved")
    filled(tmp_path / "store").close()
    before = fingerprint(tmp_path / "store")
    store.append("log/ids", [1])
    with pytest.raises(StorageError, match="moved or replaced"):
        store.commit()
    store.close()
    assert fingerprint(tmp_path / "store") == before


def test_importing_is_light() -> None:
    code = (
        "import sys, memoria.chunkstore.files\n"
        "print([m for m in ('zarr', 'torch', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_error_is_one_line(tmp_path: Path) -> None:
    filled(tmp_path / "store").close()
    chunk_files(tmp_path / "store")[0].unlink()
    with pytest.raises(MemoriaError) as caught:
        StoreFiles.open(tmp_path / "store")
    assert "\n" not in str(caught.value)
    assert "restore" in str(caught.value)
