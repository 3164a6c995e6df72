"""The broken samples: what must be found in each, and what can be saved of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from cli_tools import Cli
from verify_tools import STORES

from make import BROKEN, FAULTS, assemble  # isort: skip

from memoria.errors import OtherFormatError
from memoria.store.verify import repair, verify

NAMES = sorted(path.stem for path in BROKEN.glob("*.json"))

each_sample = pytest.mark.parametrize("name", NAMES)


def test_every_sample_is_told_of() -> None:
    assert sorted(FAULTS) == NAMES
    assert {path.name for path in BROKEN.iterdir() if path.is_dir()} <= set(NAMES)
    readme = (BROKEN / "README.md").read_text(encoding="utf-8")
    assert [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")] == NAMES
    size = sum(file.stat().st_size for file in BROKEN.rglob("*") if file.is_file())
    assert size < 1.5 * 10**6
    assert "broken/README.md" in (STORES / "samples" / "README.md").read_text(encoding="utf-8")


@each_sample
def test_the_fault_is_found_and_the_rest_is_saved(name: str, tmp_path: Path) -> None:
    told = assemble(name, tmp_path / "store")
    if told["exit_code"] == OtherFormatError.exit_code:
        with pytest.raises(OtherFormatError):
            verify(tmp_path / "store")
        return
    report, repaired = repair(tmp_path / "store", tmp_path / "new")
    assert asdict(report.findings[0]) == told["finding"]
    assert report.sound_step == told["sound_step"]
    assert (repaired.step if repaired else 0) == told["sound_step"]
    if repaired is not None:
        assert verify(tmp_path / "new").findings == ()


@each_sample
def test_the_command_line_tells_it(name: str, cli: Cli, tmp_path: Path) -> None:
    told = assemble(name, tmp_path / "store")
    ran = cli("verify", "store", "--json")
    assert ran.code == told["exit_code"]
    if ran.code == 3:
        assert ran.json["findings"][0] == told["finding"]
        readme = (BROKEN / "README.md").read_text(encoding="utf-8")
        (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{name}`")]
        assert row.endswith(f"| {told['finding']['kind']} |")


@each_sample
def test_the_sound_sample_beside_it_is_sound(name: str, tmp_path: Path) -> None:
    told = assemble(name, tmp_path / "store")
    assert verify(STORES / "samples" / "sound" / told["base"]).sound
