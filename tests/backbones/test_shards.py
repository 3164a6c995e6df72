"""Encoding to shards: together one file, made once, each by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli, process, rows
from experiment_tools import runs_here as runs_here

from memoria.backbones import load_backbone
from memoria.backbones.encode import encode_inputs
from memoria.backbones.shards import encode_shards
from memoria.errors import InputError, StoreExistsError, UsageError
from memoria.io.arrays import read_array

FUSSY = """
from pathlib import Path
import numpy as np
from memoria.backbones import BackboneBase
from memoria.errors import InputError

class Fussy(BackboneBase):
    def encode(self, batch):
        if "Eleven." in batch and not Path("calm").exists():
            raise InputError("eleven is too much", "calm down")
        return np.array([[len(text), 1.0] for text in batch], dtype=np.float32)

def create(argument, dimension, options):
    return Fussy("fussy", 2)
"""
COUNTED = "One. Two. Three. Four. Five. Six. Seven. Eight. Nine. Ten. Eleven. Twelve."


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(COUNTED)
    Path("b.txt").write_text("Rain. Snow. Hail.")


def shard(number: int, count: int, suffix: str) -> str:
    return f"v-{number:05}-of-{count:05}{suffix}"


@pytest.mark.usefixtures("runs_here")
@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_the_shards_together_are_one_file(count: int, suffix: str) -> None:
    backbone = load_backbone("hash", 16)
    encode_inputs(["a.txt", "b.txt"], backbone, f"one{suffix}", batch_size=3)
    made = encode_shards(["a.txt", "b.txt"], backbone, f"v{suffix}", count, batch_size=3, jobs=1)
    parts = [read_array(shard(number, count, suffix)) for number in range(count)]
    assert np.concatenate(parts).tobytes() == read_array(f"one{suffix}").tobytes()
    assert [len(part) for part in parts] == [one["rows"] for one in made]


@pytest.mark.usefixtures("runs_here")
def test_texts_and_arrays_are_shared_out_too(cli: Cli) -> None:
    np.save("in.npy", rows(10, 4))
    made = cli.ok(
        *["encode", "in.npy", "--backbone", "array", "--dimension", 4, "--batch-size", 4],
        *["--shards", 3, "-o", "v.npy", "--json"],
    ).json
    assert [one["rows"] for one in made["shards"]] == [4, 4, 2]
    parts = [np.load(shard(number, 3, ".npy")) for number in range(3)]
    assert np.concatenate(parts).tobytes() == rows(10, 4).tobytes()
    cli.ok(
        *["encode", "b.txt", "--backbone", "hash", "--text", "Wind.", "--batch-size", 2],
        *["--shards", 2, "-o", "v.zarr"],
    )
    import zarr

    second: Any = zarr.open_group(shard(1, 2, ".zarr"), mode="r")
    assert bytes(second["texts/bytes"][:]) == b"Hail.Wind."


@pytest.mark.usefixtures("runs_here")
def test_what_is_done_is_kept_and_the_rest_made() -> None:
    backbone = load_backbone("hash", 16)

    def make(**more: Any) -> list[str]:
        made = encode_shards(["a.txt"], backbone, "v.npy", 3, batch_size=4, jobs=1, **more)
        return [one["status"] for one in made]

    assert make() == ["done"] * 3
    first = [Path(shard(number, 3, ".npy")) for number in range(3)]
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in first]
    assert make() == ["kept"] * 3
    first[1].unlink()
    assert make() == ["kept", "done", "kept"]
    assert first[1].read_bytes() == before[1][1]
    assert first[0].stat().st_mtime_ns == before[0][0]
    Path("a.txt").write_text(COUNTED.replace("Ten.", "Ten!"))
    with pytest.raises(StoreExistsError, match="00000-of-00003"):
        make()
    assert make(overwrite=True) == ["done"] * 3
    assert make(overwrite=True) == ["kept"] * 3
    assert json.loads(first[0].with_suffix(".json").read_text())["rows"] == 4


def test_an_error_in_one_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real process each time: the backbone is one of an installed package."""
    site = tmp_path / "site"
    about = site / "fussy-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fussy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[memoria.backbones]\nfussy = fussy_texts:create\n")
    (site / "fussy_texts.py").write_text(FUSSY)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    line = ["encode", "a.txt", "--backbone", "fussy", "--batch-size", 4, "--shards", 3]
    line += ["-o", "v.npy", "-j", 2, "--json"]
    ran = process(*line)
    assert ran.code == 1
    assert [one["status"] for one in ran.json["shards"]] == ["done", "done", "failed"]
    assert (ran.json["rows"], ran.json["items"]) == (8, 8)
    assert ran.err.count("\n") == 1
    assert "eleven is too much" in ran.err
    assert not Path(shard(2, 3, ".npy")).exists()
    Path("calm").touch()
    ran = process(*line)
    assert ran.code == 0, ran.err
    assert [one["status"] for one in ran.json["shards"]] == ["kept", "kept", "done"]
    assert ran.json["rows"] == 12


def test_wrong_calls(cli: Cli) -> None:
    backbone = load_backbone("hash", 16)
    with pytest.raises(UsageError, match="3 batches of 4"):
        encode_shards(["a.txt"], backbone, "v.npy", 4, batch_size=4)
    with pytest.raises(UsageError, match="standard input"):
        encode_shards(["-"], backbone, "v.npy", 2)
    with pytest.raises(InputError, match="unknown kind of output"):
        encode_shards(["a.txt"], backbone, "v.txt", 2, batch_size=4)
    ran = cli("encode", "a.txt", "--backbone", "hash", "-o", "v.npy", "--engine", "ray")
    assert ran.code == 2
    assert "it goes with --shards" in ran.err
    assert list(Path().glob("v-*")) == []
