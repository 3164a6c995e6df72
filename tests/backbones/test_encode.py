"""Encoding to files: the right vectors, in bounded batches, and never half a file."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli

from memoria.backbones import BackboneBase, Batch, Vectors, load_backbone
from memoria.backbones.encode import encode_inputs
from memoria.errors import (
    BackboneError,
    InputError,
    ShapeError,
    StorageError,
    StoreExistsError,
    UsageError,
)
from memoria.io.arrays import read_array
from memoria.io.outputs import open_rows, save_arrays

SENTENCES = ["One is here.", "Two was\nwrapped.", "Three é.", "Four", "Five"]
KINDS = ["o.npy", "o.safetensors", "o.zarr"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text("One is here. Two was\nwrapped. Three é.\n\nFour\n\nFive")


class Several(BackboneBase):
    """As many rows per text as it has words; fails when told to."""

    def __init__(self, fail_at: int | None = None, error: BaseException | None = None) -> None:
        super().__init__("several", 2)
        self.sizes: list[int] = []
        self.fail_at, self.error = fail_at, error

    def encode_rows(self, batch: Batch) -> list[Vectors]:
        self.sizes.append(len(batch))
        if self.error is not None and len(self.sizes) == self.fail_at:
            raise self.error
        return [np.full((len(text.split()), 2), len(text), dtype=np.float32) for text in batch]

    def notices(self) -> list[str]:
        return ["noticed"]


@pytest.mark.parametrize("out", KINDS)
def test_texts(out: str) -> None:
    calls: list[tuple[int, int]] = []
    backbone = load_backbone("hash", 32)
    result = encode_inputs(
        ["t.txt"], backbone, out, batch_size=2, progress=lambda *now: calls.append(now)
    )
    assert (result.rows, result.items, result.dimension) == (5, 5, 32)
    assert result.path == Path(out)
    assert calls == [(2, 0), (4, 0), (5, 0)]
    expected = backbone.encode([" ".join(one.split()) for one in SENTENCES])
    assert np.array_equal(read_array(out), expected)
    assert sorted(os.listdir()) == sorted([out, "t.txt"])


def test_files_open_elsewhere() -> None:
    zarr = pytest.importorskip("zarr")
    safetensors = pytest.importorskip("safetensors.numpy")
    for out in KINDS:
        encode_inputs(["t.txt"], load_backbone("hash"), out)
    loaded = np.load("o.npy", allow_pickle=False)
    assert loaded.shape == (5, 384)
    assert np.array_equal(safetensors.load_file("o.safetensors")["vectors"], loaded)
    group = zarr.open_group("o.zarr", mode="r")
    assert np.array_equal(group["vectors"][:], loaded)
    data, ends = group["texts/bytes"][:].tobytes(), [0, *group["texts/ends"][:].tolist()]
    texts = [data[a:b].decode() for a, b in pairwise(ends)]
    assert texts == SENTENCES
    assert group["texts/rows"][:].tolist() == [1, 2, 3, 4, 5]


def test_several_rows_an_item() -> None:
    zarr = pytest.importorskip("zarr")
    backbone = Several()
    result = encode_inputs(["t.txt"], backbone, "o.zarr", batch_size=3)
    assert backbone.sizes == [3, 2]
    assert (result.rows, result.items, result.notices) == (10, 5, ["noticed"])
    group = zarr.open_group("o.zarr", mode="r")
    assert group["texts/rows"][:].tolist() == [3, 6, 8, 9, 10]
    assert group["vectors"].shape == (10, 2)


@pytest.mark.parametrize("out", KINDS)
def test_arrays(out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memoria.backbones.encode._READ_BYTES", 100)  # several reads
    monkeypatch.setattr("memoria.io.outputs._CHUNK", 64)  # several chunks
    data = np.random.default_rng(0).normal(size=(7, 3, 4))
    np.save("a.npy", data)
    np.save("b.npy", data[0, 0])
    calls: list[tuple[int, int]] = []
    result = encode_inputs(
        ["a.npy", "b.npy"], load_backbone("array"), out, batch_size=5,
        progress=lambda *now: calls.append(now),
    )  # fmt: skip
    assert (result.rows, result.dimension) == (22, 4)
    assert calls[0] == (5, 22)
    assert calls[-1] == (22, 22)
    expected = np.concatenate([data.reshape(-1, 4), data[0, :1]]).astype(np.float32)
    assert np.array_equal(read_array(out), expected)


@pytest.mark.parametrize("out", KINDS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), BackboneError("no"), OSError(28, "full")])
def test_a_failure_on_the_way_leaves_nothing(out: str, error: BaseException) -> None:
    expected = StorageError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        encode_inputs(["t.txt"], Several(2, error), out, batch_size=1)
    assert os.listdir() == ["t.txt"]


@pytest.mark.parametrize("out", KINDS)
def test_overwriting_only_when_told_and_never_half(out: str) -> None:
    hashing = load_backbone("hash", 16)
    encode_inputs(["t.txt"], hashing, out)
    before = read_array(out)
    with pytest.raises(StoreExistsError, match="exists already"):
        encode_inputs(["t.txt"], Several(), out)
    with pytest.raises(BackboneError):
        encode_inputs(["t.txt"], Several(2, BackboneError("no")), out, batch_size=1, overwrite=True)
    assert np.array_equal(read_array(out), before)
    encode_inputs(["t.txt"], Several(), out, overwrite=True)
    assert read_array(out).shape == (10, 2)
    assert sorted(os.listdir()) == sorted([out, "t.txt"])


def test_a_folder_of_somebody_else_is_never_replaced() -> None:
    zarr = pytest.importorskip("zarr")
    zarr.create_group("store.zarr", attributes={"memoria": "a store"})
    Path("plain.zarr").mkdir()
    for out, error, says in (
        ("store.zarr", InputError, "lies in the store itself"),
        ("plain.zarr", StoreExistsError, "folder of something else"),
    ):
        with pytest.raises(error, match=says):
            encode_inputs(["t.txt"], load_backbone("hash"), out, overwrite=True)
        assert Path(out).is_dir()


def test_a_faulty_array_is_named_with_its_row() -> None:
    good = np.ones((500, 4), np.float32)
    bad, steps = good.copy(), np.ones((6, 2, 4), np.float32)
    bad[300, 2] = np.nan
    steps[4, 1, 0] = np.inf
    for name, array in (("good", good), ("bad", bad), ("steps", steps), ("odd", good[:, :3])):
        np.save(f"{name}.npy", array)
    np.save("row.npy", bad[300])
    for name, says in (
        ("bad.npy", "bad.npy: index 300 holds NaN or Inf"),
        ("steps.npy", "steps.npy: index 4 holds NaN or Inf"),
        ("row.npy", "row.npy: index 0 holds NaN or Inf"),
        ("odd.npy", r"odd.npy: expected shape \[N, 4\], received \[500, 3\]"),
    ):
        for dimension in (None, 4):
            with pytest.raises(InputError, match=says):
                encode_inputs(["good.npy", name], load_backbone("array", dimension), "o.npy")
    with pytest.raises(InputError, match=r"odd.npy: expected shape \[N, 4\]"):
        encode_inputs(["odd.npy"], load_backbone("array", 4), "o.npy")


def test_what_cannot_be_encoded() -> None:
    np.save("a.npy", np.zeros((2, 4)))
    np.save("b.npy", np.zeros((2, 5)))
    hashing, array = load_backbone("hash"), load_backbone("array")
    with pytest.raises(BackboneError, match="takes vectors"):
        encode_inputs(["t.txt"], array, "o.npy")
    with pytest.raises(BackboneError, match="encodes texts"):
        encode_inputs(["a.npy"], hashing, "o.npy")
    with pytest.raises(InputError, match="mix array and text"):
        encode_inputs(["a.npy"], hashing, "o.npy", text=["x"])
    with pytest.raises(ShapeError, match=r"\[N, 4\]"):
        encode_inputs(["a.npy", "b.npy"], array, "o.npy")
    with pytest.raises(InputError, match=r"unknown kind of output '.npz'"):
        encode_inputs(["a.npy"], array, "o.npz")
    with pytest.raises(StorageError, match="no folder nowhere"):
        encode_inputs(["a.npy"], array, "nowhere/o.npy")
    with pytest.raises(UsageError, match="batch_size = 0"):
        encode_inputs(["a.npy"], array, "o.npy", batch_size=0)
    assert sorted(os.listdir()) == ["a.npy", "b.npy", "t.txt"]


@pytest.mark.parametrize("name", ["s.npz", "s.safetensors", "s.zarr"])
def test_named_arrays(name: str) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "ids": np.arange(5, dtype=np.int64),
        "m": np.ones((2, 3), dtype=np.float32).T,
    }
    assert save_arrays(name, arrays) == Path(name)
    for key, array in arrays.items():
        assert np.array_equal(read_array(f"{name}:{key}"), array)
    with pytest.raises(StoreExistsError):
        save_arrays(name, arrays)
    save_arrays(name, {"ids": np.zeros(1)}, overwrite=True)
    assert read_array(name).tolist() == [0]


def test_named_arrays_that_cannot_be_written() -> None:
    save_arrays("one.npy", {"x": np.arange(3)})
    assert np.load("one.npy").tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="holds one array"):
        save_arrays("two.npy", {"x": np.ones(1), "y": np.ones(1)})
    with pytest.raises(InputError, match="not numbers"):
        save_arrays("o.npz", {"x": np.array(["a"])})
    with pytest.raises(InputError, match="no array"):
        save_arrays("o.npz", {})
    with pytest.raises(InputError, match="not numbers"):
        save_arrays("o.safetensors", {"x": np.ones(1, dtype=complex)})
    assert sorted(os.listdir()) == ["one.npy", "t.txt"]


def test_equal_arrays_give_equal_files() -> None:
    for name in ("a.npz", "b.npz"):
        save_arrays(name, {"x": np.arange(4)})
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()


@pytest.mark.parametrize("out", KINDS)
def test_rows_of_another_width_are_refused(out: str) -> None:
    with pytest.raises(ShapeError), open_rows(out, 3) as writer:
        writer.append(np.zeros((2, 4), dtype=np.float32))
    assert os.listdir() == ["t.txt"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.txt": b"Fine.", "b.txt": b""}, r"b\.txt: is empty"),
        ({"a.txt": b"Fine.", "b.txt": b"caf\xe9 au lait"}, r"b\.txt: not UTF-8 text: byte 3"),
        ({"a.txt": b"Fine.", "b.jsonl": b'{"text": "A."}\n{"t": 1}\n'}, r"b\.jsonl: line 2"),
        ({"a.txt": b"Fine."}, r"b\.txt: no such file"),
        ({"a.txt": b"Fine.", "b.png": b"\x89PNG\r\n\x1a\n"}, "mix image and text"),
        ({"b.png": b"nope"}, r"b\.png: not a readable image"),
    ],
)
def test_faulty_inputs_are_told_before_a_model_loads(
    files: dict[str, bytes],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in files.items():
        Path(name).write_bytes(content)
    names = sorted({*files, "b.txt"} if "a.txt" in files and len(files) == 1 else files)
    ran = Cli(capsys)("encode", *names, "--backbone", "hf:./nowhere", "-o", "out.npy")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert re.search(told, ran.err)
    assert not Path("out.npy").exists()


def test_arrays_name_their_file_and_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    good, bad = np.ones((500, 4), np.float32), np.ones((500, 4), np.float32)
    bad[300, 2] = np.nan
    for name, data in (("good", good), ("bad", bad), ("odd", good[:, :3])):
        np.save(f"{name}.npy", data)
    for name, told in (("bad", "bad.npy: index 300 holds NaN"), ("odd", "odd.npy: expected shape")):
        ran = Cli(capsys)("encode", "good.npy", f"{name}.npy", "--backbone", "array", "-o", "o.npy")
        assert ran.code == 2
        assert told in ran.err
