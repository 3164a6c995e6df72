"""Inputs: every format read as it was written, everything else refused with one line."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.errors import InputError, MemoriaError, StorageError
from memoria.io.arrays import ArraySource, open_array, read_array
from memoria.io.files import classify, split_key
from memoria.io.inputs import ImageInput, InputReader, read_inputs
from memoria.io.outputs import save_arrays
from memoria.io.text_unit import TextUnit
from memoria.io.texts import literal_texts, read_texts

DATA = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 7
DTYPES = ["<f4", ">f4", "<f8", "<f2", "i1", "<i8", ">i4", "u1", "<u2", "?"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def saved_torch(value: Any, path: str) -> str:
    torch = pytest.importorskip("torch")
    torch.save(value, path)
    return path


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_every_type(dtype: str, order: Any) -> None:
    data = np.array(DATA.astype(dtype), order=order)
    np.save("a.npy", data)
    source = open_array("a.npy")
    assert source.shape == (2, 3, 4)
    assert read_array("a.npy").dtype == np.float32
    assert np.array_equal(read_array("a.npy"), data.astype(np.float32))
    assert np.array_equal(source.rows(1, 9), data[1:].astype(np.float32))


def test_every_array_format_gives_the_same() -> None:
    torch = pytest.importorskip("torch")
    zarr = pytest.importorskip("zarr")
    save_arrays("a.npz", {"x": DATA, "y": DATA + 1})
    save_arrays("a.safetensors", {"x": DATA, "y": DATA + 1})
    save_arrays("a.zarr", {"x": DATA, "y": DATA + 1})
    np.savez_compressed("b.npz", DATA)
    zarr.save_array("b.zarr", DATA)
    zarr.create_group("nested.zarr").create_group("g").create_array("x", data=DATA)
    saved_torch({"x": torch.from_numpy(DATA), "y": torch.zeros(1)}, "a.pt")
    saved_torch(torch.from_numpy(DATA).permute(1, 0, 2), "t.pt")
    saved_torch(torch.from_numpy(DATA).bfloat16(), "bf.pt")
    for spec in ("a.npz:x", "a.safetensors:x", "a.zarr:x", "a.zarr/:x", "a.pt:x", "b.npz",
                 "b.zarr", "bf.pt", "nested.zarr:g/x"):  # fmt: skip
        assert np.array_equal(read_array(spec), DATA), spec
        assert np.array_equal(open_array(spec).rows(0, 1), DATA[:1]), spec
        assert classify(spec) == "array"
    assert np.array_equal(read_array("a.npz:y"), DATA + 1)
    assert np.array_equal(read_array("t.pt"), DATA.transpose(1, 0, 2))
    for spec in ("a.npz", "a.safetensors", "a.zarr", "a.pt"):
        with pytest.raises(InputError, match=f"holds 2 arrays: x, y; choose one: {spec}:x"):
            read_array(spec)
        with pytest.raises(InputError, match="no array 'z'; it holds x, y"):
            read_array(f"{spec}:z")
    save_arrays("v.npz", {"vectors": DATA, "other": DATA + 1})
    assert np.array_equal(read_array("v.npz"), DATA)


def test_others_safetensors_are_read() -> None:
    torch = pytest.importorskip("torch")
    files = pytest.importorskip("safetensors.torch")
    for dtype in (torch.bfloat16, torch.float16, torch.float64, torch.int32, torch.bool):
        tensor = torch.from_numpy(DATA).to(dtype)
        files.save_file({"t": tensor}, "t.safetensors", metadata={"by": "test"})
        assert np.array_equal(read_array("t.safetensors"), tensor.float().numpy())
        assert np.array_equal(open_array("t.safetensors").rows(1, 2), tensor[1:].float().numpy())


def test_what_other_programs_write_is_read() -> None:
    torch, zarr = pytest.importorskip("torch"), pytest.importorskip("zarr")
    data = np.arange(2**12, dtype=np.float32).reshape(-1, 8)
    wide = torch.from_numpy(data)
    for value in (wide, {"x": wide, "step": 3, "names": ["a"], "n": {1.5}}, wide.bfloat16()):
        torch.save(value, "a.pt")
        assert read_array("a.pt").shape == data.shape
    torch.save(torch.nn.Linear(8, 512).state_dict(), "m.pt")
    assert read_array("m.pt:weight").shape == (512, 8)
    torch.save(torch.nn.Parameter(wide), "p.pt")
    assert np.array_equal(read_array("p.pt"), data)
    torch.save(wide, "old.pt", _use_new_zipfile_serialization=False)
    assert np.array_equal(read_array("old.pt"), data)
    packers: dict[str, Any] = {
        "gzip": zarr.codecs.GzipCodec(),
        "zstd": zarr.codecs.ZstdCodec(level=3, checksum=True),
        "blosc": zarr.codecs.BloscCodec(),
        "none": None,
    }
    for name, packer in packers.items():
        for shards in (None, (64, 8)):
            path = f"{name}{shards is None}.zarr"
            zarr.create_array(path, data=data, chunks=(16, 8), shards=shards, compressors=packer)
            assert np.array_equal(read_array(path), data), path
    zarr.create_array("v2.zarr", data=data, chunks=(16, 8), zarr_format=2, compressors="auto")
    assert np.array_equal(read_array("v2.zarr"), data)
    group = zarr.create_group("g.zarr")
    group.create_array("vectors", data=data)
    zarr.consolidate_metadata("g.zarr")
    assert np.array_equal(read_array("g.zarr"), data)


def test_reading_text_and_npy_imports_no_torch() -> None:
    np.save("a.npy", DATA)
    Path("a.txt").write_text("One. Two.")
    code = (
        "import sys; from memoria.io.inputs import read_inputs\n"
        "from memoria.io.arrays import read_array\n"
        "assert len(list(read_inputs(['a.npy', 'a.txt']))) == 3; read_array('a.npy')\n"
        "import memoria.backbones.encode\n"
        "print('torch' in sys.modules, 'zarr' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def npy_bytes(header: str) -> bytes:
    body = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"hello", r"not a sound \.npy file"),
        (b"\x93NUMPY\x01\x00\xff\xff{", r"not a sound \.npy file"),
        (b"\x93NUMPY\x07\x00\x10\x00", "version"),
        (npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 8), }"),
         "greater than file size"),
        (npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 8), }"), "negative"),
        (npy_bytes("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"), "objects"),
        (npy_bytes("{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }") + bytes(24),
         "complex64"),
        (npy_bytes("{'descr': '<U9', 'fortran_order': False, 'shape': (3,), }") + bytes(108),
         "<U9"),
        (npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 8), }"), "is empty"),
    ],
)  # fmt: skip
def test_bad_npy(content: bytes, complaint: str) -> None:
    Path("bad.npy").write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        open_array("bad.npy")


def test_pickles_are_never_loaded() -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (Path("exploded"),)

    np.save("o.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez("o.npz", np.array([Bomb()], dtype=object))
    saved_torch({"x": Bomb()}, "o.pt")
    for path in ("o.npy", "o.npz", "o.pt"):
        with pytest.raises(InputError):
            read_array(path)
    assert not Path("exploded").exists()


def test_truncated_files_of_every_kind() -> None:
    torch = pytest.importorskip("torch")
    np.save("a.npy", DATA)
    np.savez("a.npz", DATA)
    save_arrays("a.safetensors", {"x": DATA})
    saved_torch(torch.from_numpy(DATA), "a.pt")
    for path in map(Path, ("a.npy", "a.npz", "a.safetensors", "a.pt")):
        whole = path.read_bytes()
        for keep in (1, 9, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:keep])
            with pytest.raises(InputError):
                read_array(str(path))


def refusal_of(paths: list[Path]) -> str:
    """Read everything; what our error says, '' without one. Other errors come through."""
    try:
        for item in read_inputs(paths):
            if isinstance(item, ArraySource):
                assert item.read().dtype == np.float32
    except MemoriaError as error:
        return str(error)
    return ""


def test_flipped_bits_give_our_errors_or_numbers() -> None:
    np.save("a.npy", DATA)
    np.savez_compressed("a.npz", DATA)
    save_arrays("a.safetensors", {"x": DATA})
    for path in map(Path, ("a.npy", "a.npz", "a.safetensors")):
        whole = path.read_bytes()
        refused = 0
        for at in range(0, len(whole), 3):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x15]) + whole[at + 1 :])
            message = refusal_of([path])
            assert message.isprintable()
            refused += message != ""
        assert refused > 0


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=60)
def test_arbitrary_bytes_give_our_errors(content: bytes) -> None:
    for ending in (".npy", ".npz", ".safetensors", ".jsonl", ".txt"):
        path = Path("any" + ending)
        path.write_bytes(content)
        assert refusal_of([path]).isprintable()


def test_hostile_names_are_shown_harmlessly() -> None:
    Path("n.jsonl").write_text(json.dumps({"\x1b[2J\nname": 1}))
    assert refusal_of([Path("n.jsonl")]).isprintable()
    save_arrays("n.npz", {"\x1b[2J\na": DATA, "b": DATA})
    assert "holds 2 arrays" in refusal_of([Path("n.npz")])
    assert refusal_of([Path("n.npz")]).isprintable()


@pytest.mark.parametrize(
    "header",
    [
        {"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 999]}},
        {"x": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4 * 10**15]}},
        {"x": {"dtype": "F32", "shape": [-4], "data_offsets": [0, -16]}},
        {"x": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}},
        {"x": {"dtype": "F8_E5M2", "shape": [16], "data_offsets": [0, 16]}},
        {"x": {"dtype": "F32"}},
        {"x": 3},
        [],
        {},
    ],
)
def test_bad_safetensors(header: Any) -> None:
    text = json.dumps(header).encode()
    Path("x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(16))
    with pytest.raises(InputError):
        read_array("x.safetensors")


def test_npz_that_lies() -> None:
    inner = npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }")
    with zipfile.ZipFile("lie.npz", "w") as archive:
        archive.writestr("x.npy", inner + bytes(16))
    with pytest.raises(InputError, match=r"lie\.npz"):
        open_array("lie.npz")


def test_torch_files_that_hold_something_else() -> None:
    torch = pytest.importorskip("torch")
    for value, complaint in (
        ([1, 2], "holds a list"),
        ({"a": 1}, "no array"),
        (torch.ones(2, 2).to_sparse(), "plain tensor"),
        (torch.ones(2, dtype=torch.complex64), "plain tensor"),
        (torch.ones(0, 3), "is empty"),
    ):
        saved_torch(value, "v.pt")
        with pytest.raises(InputError, match=complaint):
            open_array("v.pt")
    saved_torch(torch.ones(2), "v.pt")
    with pytest.raises(InputError, match="no named tensors"):
        open_array("v.pt:key")


def test_numbers_too_large_and_nan() -> None:
    np.save("big.npy", np.array([[1.0, 1e300]]))
    with pytest.raises(InputError, match=r"1e\+300 is too large for float32"):
        read_array("big.npy")
    np.save("nan.npy", np.array([[np.nan, np.inf, 1.0]]))
    assert np.isnan(read_array("nan.npy")[0, 0])  # whether that is allowed is the caller's


def test_one_number_has_no_rows() -> None:
    np.save("one.npy", np.float32(3))
    assert read_array("one.npy").shape == ()
    with pytest.raises(InputError, match="single number"):
        open_array("one.npy").rows(0, 1)


def test_zarr_that_is_none_or_damaged() -> None:
    zarr = pytest.importorskip("zarr")
    Path("no.zarr").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        open_array_or_classify("no.zarr")
    zarr.create_array("s.zarr", shape=(2,), dtype=str)[:] = ["a", "b"]
    with pytest.raises(InputError, match="not real numbers"):
        open_array("s.zarr")
    zarr.save_array("ok.zarr", DATA)
    with pytest.raises(InputError, match="is one array"):
        open_array("ok.zarr:x")
    Path("ok.zarr/zarr.json").write_text("{")
    with pytest.raises(InputError, match=r"not a sound \.zarr file"):
        open_array("ok.zarr")


def test_a_zarr_array_that_claims_what_no_chunk_holds() -> None:
    """What is missing reads as zeros, so a false shape would last for ever."""
    zarr = pytest.importorskip("zarr")
    for name, rows, chunks in (("a.zarr", 10**12, (16, 4)), ("b.zarr", 10**15, (10**9, 4))):
        zarr.create_array(name, shape=(rows, 4), chunks=chunks, dtype="f4")
        with pytest.raises(InputError, match=rf"{name}: claims the shape \[{rows}, 4\], but has"):
            open_array(name)
    zarr.create_group("g.zarr").create_array("x", shape=(10**12, 4), chunks=(16, 4), dtype="f4")
    with pytest.raises(InputError, match="claims the shape"):
        open_array("g.zarr:x")


def test_chunks_of_zeros_may_be_left_out() -> None:
    zarr = pytest.importorskip("zarr")
    zarr.create_array("few.zarr", shape=(1000, 4), chunks=(16, 4), dtype="f4")[16:20] = 1
    read = read_array("few.zarr")
    assert read.shape == (1000, 4)
    assert read.sum() == 16


def open_array_or_classify(path: str) -> None:
    classify(path)
    open_array(path)


def test_classify() -> None:
    for name, kind in (
        ("a.npy", "array"), ("a.NPZ", "array"), ("a.txt", "text"), ("a.md", "text"),
        ("a.jsonl", "text"), ("a.PNG", "image"), ("b.jpeg", "image"), ("odd:name.txt", "text"),
    ):  # fmt: skip
        Path(name).touch()
        assert classify(name) == kind
    assert classify("-") == "text"
    assert classify(Path("a.txt")) == "text"
    Path("folder").mkdir()
    Path("a.xyz").touch()
    for name, complaint in (
        ("missing.npy", "no such file"),
        ("missing.npz:x", "missing.npz: no such file"),
        ("a.txt/b.npy", "no such file"),
        ("Ada: keeps bees.", "Ada: keeps bees.: no such file; a text itself is given as --text"),
        ("folder", "is a directory"),
        ("a.xyz", "unknown kind of file '.xyz'; known are .npy"),
        ("zero\0byte.npy", "no file name"),
    ):
        with pytest.raises(InputError, match=complaint):
            classify(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission() -> None:
    Path("secret.txt").write_text("x")
    Path("secret.txt").chmod(0)
    with pytest.raises(StorageError, match="cannot be read"):
        list(read_texts("secret.txt"))


def test_system_errors_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.txt").write_text("x")

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(StorageError, match=r"a\.txt: cannot be read: Permission denied"):
        list(read_texts("a.txt"))


def test_text_files() -> None:
    raw = "\ufeffFirst one.\r\nSecond é one. Third\n\nLast"
    Path("a.txt").write_bytes(raw.encode())
    units = list(read_texts("a.txt"))
    assert [unit.text for unit in units] == ["First one.", "Second é one.", "Third", "Last"]
    for unit in units:
        assert unit.source == "a.txt"
        assert raw[1:][unit.offset : unit.offset + len(unit.text)] == unit.text


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b" \n\n ", "holds no text"),
        (b"abc\xff", "not UTF-8 text: byte 3 is invalid"),
        ("ab".encode("utf-16"), "not UTF-8 text: byte 0"),
        ("ab".encode("utf-16-le"), "not text: byte 1 is 0"),
        ("ab".encode("utf-16-be"), "not text: byte 0 is 0"),
        ("ab".encode("utf-32-le"), "not text: byte 1 is 0"),
        (b"\x7fELF\x02\x01\x01\x00", "not text: byte 7 is 0"),
    ],
)
def test_bad_text_files(content: bytes, complaint: str) -> None:
    Path("bad.txt").write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        list(read_texts("bad.txt"))


def test_jsonl() -> None:
    Path("a.jsonl").write_text('{"text": "One. Two.", "id": 3}\n\n{"text": "Three", "b": "Four"}\n')
    assert list(read_texts("a.jsonl")) == [
        TextUnit("One.", "a.jsonl:1", 0, None, {"id": 3}),
        TextUnit("Two.", "a.jsonl:1", 5, None, {"id": 3}),
        TextUnit("Three", "a.jsonl:3", 0, None, {"b": "Four"}),
    ]
    with pytest.raises(InputError, match=r"line 1: no field 'b'; it has id, text"):
        list(read_texts("a.jsonl:b"))


def test_jsonl_records_bring_their_source_time_and_meta() -> None:
    records = [
        {"text": "One. Two.", "source": "b.txt", "offset": 40, "time": 1500, "meta": {"a": [1]}},
        {"text": "Three. Four.", "source": "b.txt", "time": "1970-01-01T00:00:02Z", "meta": None},
        {"text": "Five", "source": None, "offset": None, "time": None, "meta": {}},
        {"text": "Six", "source": 5, "time": "10:42", "meta": "x", "id": 7},
    ]
    Path("a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    assert list(read_texts("a.jsonl")) == [
        TextUnit("One. Two.", "b.txt", 40, 1500, {"a": [1]}),  # an offset: one unit
        TextUnit("Three.", "b.txt", 0, 2000),
        TextUnit("Four.", "b.txt", 7, 2000),
        TextUnit("Five", "a.jsonl:3", 0, None, {}),
        TextUnit("Six", "a.jsonl:4", 0, None, {"source": 5, "time": "10:42", "meta": "x", "id": 7}),
    ]
    reader = InputReader(1, 4, ["a.jsonl"], [], None, "sentence")
    pieces = list(reader.pieces(reader.specs[0]))
    assert [one.content for one in pieces] == ["One. Two.", "Three.", "Four.", "Five", "Six"]
    assert (pieces[0].place, pieces[0].time, pieces[0].meta) == (("b.txt", 40), 1500, {"a": [1]})


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"text": ', "line 2: not JSON"),
        (b"[1]", "line 2: not a JSON object"),
        (b"[" * 100_000, "line 2: not JSON"),
        (b'{"text": 5}', "line 2: field 'text' is a number"),
        (b'{"text": "\\ud800"}', "line 2: character 0 is half a character"),
        (b'{"text": "a\\u0000b"}', r"line 2: character 1 is 0 \(NUL\)"),
        (b'{"text": "a", "source": "b\\u0000"}', "line 2: character 1 is 0"),
        (b'{"text": "\xff"}', "not UTF-8 text: byte 27 is invalid"),
    ],
)
def test_bad_jsonl(line: bytes, complaint: str) -> None:
    Path("bad.jsonl").write_bytes(b'{"text": "fine"}\n' + line + b"\n")
    with pytest.raises(InputError, match=complaint):
        list(read_texts("bad.jsonl"))


def test_standard_input_and_literals() -> None:
    stream = io.TextIOWrapper(io.BytesIO(b"From the pipe. Twice."), encoding="ascii")
    assert [u.text for u in read_texts("-", stdin=stream)] == ["From the pipe.", "Twice."]
    assert [u.source for u in read_texts("-", "line", stdin=io.StringIO("x"))] == ["-"]
    for content in (b"", b"\xff"):
        with pytest.raises(InputError, match="standard input"):
            list(read_texts("-", stdin=io.BytesIO(content)))
    assert list(literal_texts(["Yes. No.", "C"])) == [
        TextUnit("Yes.", "text:1", 0), TextUnit("No.", "text:1", 5), TextUnit("C", "text:2", 0),
    ]  # fmt: skip
    for bad in (" ", "\udcff", "a\0"):
        with pytest.raises(InputError, match="text:1"):
            list(literal_texts([bad]))


def test_read_inputs_in_order() -> None:
    np.save("a.npy", DATA)
    Path("a.txt").write_text("One. Two.")
    Path("a.png").write_bytes(b"x")
    found = list(read_inputs(["a.txt", "a.npy", Path("a.png"), "-"], stdin=io.BytesIO(b"Three"),
                             text=["Four"]))  # fmt: skip
    assert [type(item) for item in found] == [
        TextUnit, TextUnit, ArraySource, ImageInput, TextUnit, TextUnit,
    ]  # fmt: skip
    assert [item.text for item in found if isinstance(item, TextUnit)] == [
        "One.", "Two.", "Three", "Four",
    ]  # fmt: skip
    with pytest.raises(InputError, match="no input"):
        read_inputs([])
    with pytest.raises(InputError, match="given twice"):
        read_inputs(["-", "-"])
    with pytest.raises(InputError, match=r"missing\.txt"):  # before anything is read
        read_inputs(["a.txt", "missing.txt"])
    Path("empty.png").touch()
    with pytest.raises(InputError, match="is empty"):
        list(read_inputs(["empty.png"]))


def test_a_zarr_folder_of_any_name_takes_a_key(tmp_path: Path) -> None:
    """What the message says to write is read."""
    group = pytest.importorskip("zarr").create_group(tmp_path / "obsm:1")
    group.create_array("pca", data=np.ones((6, 4), np.float32))
    group.create_array("more/umap", data=np.zeros((6, 2), np.float32))
    group.create_array("pcb", data=np.ones((6, 3), np.float32))
    with pytest.raises(InputError) as refused:
        open_array(tmp_path / "obsm:1")
    _, _, choices = str(refused.value.hint).partition("choose one: ")
    assert open_array(choices.split(", ")[0]).shape[0] == 6
    assert open_array(f"{tmp_path}/obsm:1:pca").shape == (6, 4)
    assert open_array(f"{tmp_path}/obsm:1:more/umap").shape == (6, 2)
    assert split_key(f"{tmp_path}/none:pca") == (f"{tmp_path}/none:pca", None)


def test_a_zipped_zarr_is_read_and_stray_files_do_no_harm(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.create_group("plain")
    group.create_array("pca", data=DATA[0])
    group.create_array("umap", data=DATA[1])
    for folder in ("plain", "plain/pca"):
        Path(folder, ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        Path(folder, "._x").write_bytes(b"x")
    shutil.make_archive("inside.zarr", "zip", "plain")
    shutil.make_archive("whole.zarr", "zip", ".", "plain")
    for name in ("plain", "inside.zarr.zip", "whole.zarr.zip"):
        assert classify(name) == "array"
        assert np.array_equal(read_array(f"{name}:pca"), DATA[0])
        assert np.array_equal(open_array(f"{name}:umap").rows(1, 2), DATA[1][1:2])
        with pytest.raises(InputError, match="holds 2 arrays: pca, umap"):
            read_array(name)
    Path("broken.zarr.zip").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(InputError, match="not a sound"):
        read_array("broken.zarr.zip")
