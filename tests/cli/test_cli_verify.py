"""`memoria verify` as people and programs call it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_tools import Cli, fingerprint, process
from verify_tools import SAMPLES, busy_store

from memoria.chunkstore.locks import WriterLock


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busy_store(tmp_path_factory.mktemp("busy") / "store")


@pytest.fixture
def broken(busy: Path, tmp_path: Path) -> Path:
    """Its vectors from step 5 on cannot be read."""
    path = Path(shutil.copytree(busy, tmp_path / "broken"))
    content = bytearray((path / "vectors/c.0.0").read_bytes())
    content[300] ^= 1
    (path / "vectors/c.0.0").write_bytes(content)
    return path


@pytest.mark.parametrize("sample", SAMPLES, ids=[path.name for path in SAMPLES])
def test_sound_samples(cli: Cli, sample: Path) -> None:
    told = cli.ok("verify", sample, "--json").json
    assert told["sound"] is True
    assert told["findings"] == []
    assert told["step"] == told["sound_step"]
    assert set(told) >= {"path", "files", "bytes", "garbage", "more", "format"}
    assert "repaired" not in told
    assert f"sound: {told['step']} steps" in cli.ok("verify", sample).out


def test_damage_exits_with_3_and_says_where(cli: Cli, broken: Path) -> None:
    before = fingerprint(broken)
    ran = cli("verify", broken, "--json")
    assert (ran.code, ran.err) == (3, "")
    (finding,) = ran.json["findings"]
    assert finding == {
        "kind": "checksum",
        "path": "vectors/c.0.0",
        "array": "vectors",
        "lane": None,
        "step": 5,
        "message": "checksum of chunk 1 does not match",
    }
    assert ran.json["sound"] is False
    text = cli("verify", broken)
    assert (text.code, text.err) == (3, "")
    assert "vectors/c.0.0" in text.out
    assert "sound up to step 4 of 24" in text.out
    assert fingerprint(broken) == before


def test_repair_writes_a_new_store(cli: Cli, broken: Path, tmp_path: Path) -> None:
    before = fingerprint(broken)
    ran = cli("verify", broken, "--repair", "-o", "saved", "--json")
    assert ran.code == 3
    assert ran.json["repaired"] == {
        "path": str(tmp_path / "saved"),
        "step": 4,
        "lost_steps": 20,
        "begun": False,
    }
    assert cli.ok("verify", "saved", "--json").json["step"] == 4
    assert fingerprint(broken) == before
    again = cli("verify", broken, "--repair", "-o", "saved")
    assert again.code == 1
    assert "exists already" in again.err
    assert "4 steps, 20 steps lost" in cli("verify", broken, "--repair", "-o", "other").out


def test_repair_of_a_sound_store_is_a_copy(cli: Cli, busy: Path) -> None:
    told = cli.ok("verify", busy, "--repair", "--output", "same", "--json").json["repaired"]
    assert (told["step"], told["lost_steps"], told["begun"]) == (24, 0, True)
    summary = [cli.ok("inspect", path, "--json").json for path in (busy, "same")]
    assert summary[0]["digest"] == summary[1]["digest"]
    assert summary[0]["lanes"] == summary[1]["lanes"]


def test_nothing_to_save(cli: Cli, broken: Path) -> None:
    (broken / "zarr.json").write_bytes(b"{}")
    ran = cli("verify", broken, "--repair", "-o", "saved", "--json")
    assert (ran.code, ran.json["repaired"]) == (3, None)
    assert "no step is sound" in cli("verify", broken, "--repair", "-o", "saved").out
    assert not Path("saved").exists()


def test_arguments(cli: Cli, broken: Path) -> None:
    for wrong in (["--repair"], ["-o", "new"]):
        ran = cli("verify", broken, *wrong)
        assert ran.code == 2
        assert "--repair and --output go together" in ran.err
    inside = cli("verify", broken, "--repair", "-o", broken / "new")
    assert inside.code == 2
    assert "lies in the damaged store" in inside.err
    assert cli("verify", "nowhere").code == 10


def test_a_newer_format(cli: Cli, broken: Path) -> None:
    root = (broken / "zarr.json").read_text()
    (broken / "zarr.json").write_text(root.replace('"format":1,', '"format":99,'))
    ran = cli("verify", broken)
    assert ran.code == 12
    assert "99" in ran.err


def test_a_writer_may_go_on_meanwhile(cli: Cli, busy: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(busy, tmp_path / "store"))
    lock = WriterLock(path)
    try:
        assert cli.ok("verify", path, "--json").json["sound"]
    finally:
        lock.release()


def test_names_from_strangers_are_printed_harmlessly(cli: Cli, broken: Path) -> None:
    (broken / "\x1b[2Jgone\n").write_bytes(b"")
    text = cli("verify", broken)
    assert "\x1b" not in text.out
    assert "\\x1b[2Jgone\\x0a" in text.out
    assert "\x1b[2Jgone\n" in [one["path"] for one in cli("verify", broken, "--json").json["notes"]]


def test_a_process_of_its_own(broken: Path) -> None:
    ran = process("verify", broken, "--json")
    assert (ran.code, ran.err) == (3, "")
    assert ran.json["findings"][0]["path"] == "vectors/c.0.0"


def test_it_loads_no_torch(busy: Path) -> None:
    ran = process("verify", busy, "--json", variables={"PYTHONPROFILEIMPORTTIME": "1"})
    assert ran.code == 0
    imported = {line.rpartition("|")[2].strip() for line in ran.err.splitlines()}
    assert "memoria.store.verify" in imported
    assert imported.isdisjoint({"torch", "zarr", "transformers"})
