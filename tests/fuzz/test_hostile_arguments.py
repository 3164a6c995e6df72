"""Command lines from anybody: every verb, with values that it does not expect."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import pytest
from cli_tools import Cli
from fuzzing import guarded
from fuzzing.argument_cases import verbs
from fuzzing.judge import SLIPS, tree
from fuzzing.store_cases import originals


def test_the_verbs_are_those_of_the_app() -> None:
    names = {words[0] for words, _ in verbs()}
    assert {"init", "add", "remind", "adjust", "step", "inspect", "encode", "snapshot"} <= names


def test_some_hundred_command_lines() -> None:
    guarded.check("arguments", seed=20260101, cases=250, seconds=60)


@pytest.mark.slow
def test_many_command_lines() -> None:
    seconds = float(os.environ.get("MEMORIA_FUZZ_SECONDS", "240"))
    seed = int(os.environ.get("MEMORIA_FUZZ_SEED", str(random.SystemRandom().randrange(10**9))))
    guarded.check("arguments", seed=seed, cases=10**6, seconds=seconds)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    dict(originals())["small-idle"].write(tmp_path / "store")
    return tmp_path


LINES = {
    "a step of thousands of digits": (["inspect", "store@" + "9" * 5000], 2),
    "a null": (["inspect", "a\0b"], 1),
    "a long name": (["inspect", "a" * 10_000], 1),
    "a huge engram": (["inspect", "store", "9" * 30], 2),
    "endless settings": (["init", "new", "--config", "/dev/zero"], 2),
    "an endless input": (["step", "store", "zero.npy"], 2),
    "an endless text": (["encode", "zero.txt", "--backbone", "hash", "-o", "o.npy"], 2),
    "a pipe": (["step", "store", "fifo.npy"], 2),
    "a pipe as settings": (["init", "new", "--config", "fifo.npy"], 2),
    "a socket": (["step", "store", "socket.npy"], 2),
    "an output over a device": (["encode", "a.txt", "--backbone", "hash", "-o", "/dev/null"], 2),
    "a text of thousands of characters": (["add", "store", "x" * 100_000 + ".npy"], 1),
}


@pytest.mark.parametrize("name", LINES)
def test_special_command_lines(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    line, code = LINES[name]
    os.mkfifo("fifo.npy")
    (here / "zero.npy").symlink_to("/dev/zero")
    (here / "zero.txt").symlink_to("/dev/zero")
    (here / "a.txt").write_text("A cat.")
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(here)
        one.bind("socket.npy")
    before = tree(here / "store")
    ran = Cli(capsys)(*line)
    assert (ran.code in (1, 2, 10), ran.code == code or ran.code == 10) == (True, True), ran
    assert (ran.out, ran.err.count("\n"), SLIPS.search(ran.err)) == ("", 1, None)
    assert len(ran.err) < 5_000
    assert tree(here / "store") == before


# -- links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["elsewhere", "nowhere", "file", "."])
@pytest.mark.parametrize("verb", [["init"]])
def test_nothing_is_made_through_a_link(
    here: Path, capsys: pytest.CaptureFixture[str], target: str, verb: list[str]
) -> None:
    (here / "elsewhere").mkdir()
    (here / "file").write_text("mine")
    (here / "new").symlink_to(target)
    before = tree(here)
    ran = Cli(capsys)(*verb, "new")
    assert (ran.code, ran.err.count("\n")) == (1, 1), ran
    assert (here / "new").is_symlink()
    assert tree(here) == before
    assert list((here / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["o.npy", "o.zarr", "o.safetensors"])
@pytest.mark.parametrize("target", ["elsewhere", "nowhere", "file"])
def test_no_output_goes_through_a_link(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, target: str
) -> None:
    (here / "elsewhere").mkdir()
    (here / "file").write_text("mine")
    (here / "a.txt").write_text("A cat.")
    (here / name).symlink_to(target)
    line = ["encode", "a.txt", "--backbone", "hash", "-o", name]
    ran = Cli(capsys)(*line)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    Cli(capsys)(*line, "--force")  # replaces the link itself, or refuses
    assert (here / "file").read_text() == "mine"
    assert list((here / "elsewhere").iterdir()) == []
    assert not (here / "nowhere").exists()


def test_every_part_of_a_store_as_a_link(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To a copy of itself, so that only the link is wrong."""
    cli = Cli(capsys)
    store, aside = here / "store", here / "aside"
    for name in ("zarr.json", "vectors", "vectors/c.0.0", "log", "log/ids/c.0", "state/1", ".lock"):
        path = store / name
        if name == ".lock":
            aside.write_bytes(b"")
        else:
            os.rename(path, aside)
        path.unlink(missing_ok=True)
        path.symlink_to(aside)
        verbs = [["step", "store", "--text", "x"]]
        if name != ".lock":  # a reader has no use for it
            verbs += [["inspect", "store"], ["verify", "store"]]
        for verb in verbs:
            ran = cli(*verb)
            assert ran.code == 3, (name, verb, ran)
            assert "link" in ran.err + ran.out
        path.unlink()
        if name == ".lock":
            assert aside.read_bytes() == b""
        else:
            os.rename(aside, path)
    assert cli("inspect", "store").code == 0


def test_hard_links_are_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.link(here / "store" / "vectors" / "c.0.0", here / "second")
    assert Cli(capsys)("inspect", "store").code == 0
