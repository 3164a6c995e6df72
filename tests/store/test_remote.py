"""Memories that travel through object storage: a real server, a real client."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli, command_line, environment

from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.sources.buckets import Bucket
from memoria.config import MemoriaConfig
from memoria.errors import (
    DamageError,
    InputError,
    MissingExtraError,
    StateError,
    StorageError,
    StoreLockedError,
    StoreNotFoundError,
    UsageError,
)
from memoria.store import MemoryStore
from memoria.store.claims import CLAIM_NAME, Claim
from memoria.store.compacting import compact
from memoria.store.reading import open_files
from memoria.store.sync import DivergedError, pull, push

BUCKET = "memories"
CONFIG = MemoriaConfig(
    hidden_dim=8,
    lanes=2,
    num_reminded_stm=2,
    stm_capacity=4,
    ltm_search_depth=3,
    initial_lifespan=6.0,
    num_final_ltms=2,
    wm_length=2,
    rule="uniform:2",
)


@pytest.fixture
def url(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{abs(hash(request.node.nodeid))}/notes"


def step(path: Path, count: int = 1, seed: int = 0, width: int = 2) -> str:
    """Goes on for some steps, the same ones for every copy; the digest after them."""
    with MemoryStore.open(path, "r+") as store:
        for _ in range(count):
            rng = np.random.default_rng((seed, store.timestep))
            data = rng.normal(size=(2, width, 8)).astype(np.float32)
            store.step(data, texts=[[f"a{store.timestep}"] * width, ["b"] * width])
        store.commit()
        return store.digest()


def made(path: Path, steps: int = 12) -> Path:
    MemoryStore.create(path, CONFIG).close()
    step(path, steps)
    return path


def everything(path: str | Path) -> dict[str, Any]:
    files = StoreFiles.open(path)
    try:
        return {name: files.read(name) for name in files.names()}
    finally:
        files.close()


def digest(path: str | Path) -> str:
    with MemoryStore.open(path) as store:
        return store.digest()


def objects(url: str) -> set[str]:
    return set(Bucket(url).objects())


def test_a_pulled_memory_goes_on_as_the_original(tmp_path: Path, url: str) -> None:
    here, elsewhere = made(tmp_path / "here"), tmp_path / "elsewhere"
    sent = push(here, url)
    assert (sent["step"], sent["replaced_step"], sent["up_to_date"]) == (12, None, False)
    got = pull(url, elsewhere)
    assert got["digest"] == sent["digest"] == digest(here) == digest(elsewhere) == digest(url)
    for name, rows in everything(here).items():
        np.testing.assert_array_equal(everything(elsewhere)[name], rows)
        np.testing.assert_array_equal(everything(url)[name], rows)
    assert step(here, 9) == step(elsewhere, 9)


def test_only_what_lacks_is_sent(tmp_path: Path, url: str) -> None:
    here = made(tmp_path / "here")
    step(here, 10, width=40)  # vectors fill a file
    first = push(here, url)
    assert push(here, url)["up_to_date"]
    step(here, 3)
    again = push(here, url)
    assert 0 < again["files"] < first["files"]
    assert again["replaced_step"] == 22
    assert digest(url) == digest(here)
    elsewhere = tmp_path / "elsewhere"
    pull(url, elsewhere)
    assert pull(url, elsewhere)["up_to_date"]
    step(here, 10, width=40)
    push(here, url)
    got = pull(url, elsewhere)
    assert (got["replaced_step"], got["step"], got["up_to_date"]) == (25, 35, False)
    assert step(here, 2) == step(elsewhere, 2)


def test_every_way_a_step_can_stand_travels(tmp_path: Path, url: str) -> None:
    here, elsewhere = made(tmp_path / "here"), tmp_path / "elsewhere"
    for phase in ("add", "remind", "adjust"):
        with MemoryStore.open(here, "r+") as store:
            if phase == "add":
                store.add(np.ones((2, 2, 8), np.float32))
            elif phase == "remind":
                store.remind()
            else:
                store.adjust()
            store.commit()
        push(here, url)
        pull(url, elsewhere)
        assert digest(here) == digest(elsewhere) == digest(url)
    assert step(here, 4) == step(elsewhere, 4)


def test_histories_that_part_are_told(tmp_path: Path, url: str) -> None:
    here, elsewhere = made(tmp_path / "here"), tmp_path / "elsewhere"
    push(here, url)
    pull(url, elsewhere)
    step(here, 2, seed=1)
    step(elsewhere, 3, seed=2)
    push(here, url)
    before = everything(url)
    for refused in (lambda: push(elsewhere, url), lambda: pull(url, elsewhere)):
        with pytest.raises(DivergedError, match=r"part after step 12: .*step 15, .*step 14"):
            refused()
    assert digest(elsewhere) != digest(url) == digest(here)
    sent = push(elsewhere, url, force=True)
    assert (sent["replaced_step"], sent["step"]) == (14, 15)
    assert digest(url) == digest(elsewhere)
    for name in before:  # who has the old root open still reads it
        assert any(one.startswith(name + "/") for one in objects(url))
    with pytest.raises(DivergedError):
        push(here, url)
    pull(url, tmp_path / "third")
    assert step(tmp_path / "third", 5) == step(elsewhere, 5)
    push(elsewhere, url)
    assert digest(url) == digest(elsewhere)


def test_a_copy_that_is_behind_or_ahead_is_told(tmp_path: Path, url: str) -> None:
    here, elsewhere = made(tmp_path / "here"), tmp_path / "elsewhere"
    push(here, url)
    pull(url, elsewhere)
    step(elsewhere, 1)
    with pytest.raises(StateError, match="nothing to pull"):
        pull(url, elsewhere)
    push(elsewhere, url)
    with pytest.raises(DivergedError, match="memoria pull"):
        push(here, url)
    assert pull(url, here)["step"] == 13


def test_another_memory_is_not_written_over(tmp_path: Path, url: str) -> None:
    push(made(tmp_path / "one"), url)
    other = tmp_path / "other"
    MemoryStore.create(other, CONFIG.model_copy(update={"seed": 7})).close()
    step(other, 3)
    with pytest.raises(DivergedError, match="another memory"):
        push(other, url)
    with pytest.raises(DivergedError, match="another memory"):
        pull(url, other)


def test_eras_and_snapshots_travel(tmp_path: Path, url: str) -> None:
    here, elsewhere = made(tmp_path / "here", 30), tmp_path / "elsewhere"
    with MemoryStore.open(here, "r+") as store:
        store.snapshot("half")
    push(here, url)
    pull(url, elsewhere)
    compact(here)
    step(here, 5)
    push(here, url)
    assert pull(url, elsewhere)["step"] == 35
    assert digest(elsewhere) == digest(here) == digest(url)
    for place in (url, elsewhere):
        files = open_files(place, at="half")
        assert files.attributes.step == 30
        files.close()
    compact(elsewhere)  # both have an era 1 or 2 of their own now
    assert step(here, 3) == step(elsewhere, 3)
    push(elsewhere, url)
    step(here, 2)
    push(here, url)
    assert digest(url) == digest(here)
    assert pull(url, elsewhere)["step"] == 40
    assert step(here, 3) == step(elsewhere, 3)


def test_old_generations_stay_for_one_push(tmp_path: Path, url: str) -> None:
    here = made(tmp_path / "here")
    push(here, url)
    reader = MemoryStore.open(url)
    expected = digest(here)
    step(here, 1)
    push(here, url)
    assert reader.digest() == expected
    reader.peek(np.ones((2, 1, 8), np.float32))
    reader.close()
    for _ in range(3):
        step(here, 1)
        push(here, url)
    generations = {name.split("/")[1] for name in objects(url) if name.startswith("state/")}
    assert len(generations - {"zarr.json"}) <= 2


def test_an_interrupted_push_goes_on(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = made(tmp_path / "here")
    whole = push(here, url + "-whole")["files"]
    left = [whole - 5]  # metadata goes first, then chunks, the root last
    real = Bucket.put_if

    def dying(self: Bucket, path: str, data: bytes, tag: str | None) -> None:
        if path != CLAIM_NAME:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        real(self, path, data, tag)

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "put_if", dying)
        with pytest.raises(KeyboardInterrupt):
            push(here, url)
    assert "zarr.json" not in objects(url)
    with pytest.raises(StoreNotFoundError):
        open_files(url)
    torn = min(name for name in objects(url) if "/c." in name)
    Bucket(url).put(torn, b"\0" * Bucket(url).stored(torn).size)  # of the right size
    assert push(here, url)["files"] < whole
    assert digest(url) == digest(here)
    np.testing.assert_array_equal(everything(url)["vectors"], everything(here)["vectors"])
    assert CLAIM_NAME not in objects(url)


def test_of_two_pushes_at_once_one_loses(tmp_path: Path, url: str) -> None:
    here = made(tmp_path / "here")
    push(here, url)
    step(here, 1)
    with Claim(Bucket(url)) as other:
        with pytest.raises(StoreLockedError, match=f"process {os.getpid()} on"):
            push(here, url)
        Bucket(url).delete([CLAIM_NAME])  # as if it had been taken for stale
        push(here, url)
        with pytest.raises(StorageError, match="taken over"):
            other.renew(now=True)
    assert digest(url) == digest(here)


def test_a_claim_of_a_process_that_ended_is_taken_over(tmp_path: Path, url: str) -> None:
    here = made(tmp_path / "here")
    claim = Claim(Bucket(url))
    claim._text["pid"] = 2**22 + 1  # above any that there can be
    claim.__enter__()
    push(here, url)
    assert digest(url) == digest(here)


def test_a_root_changed_meanwhile_is_not_written_over(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, other = made(tmp_path / "here"), made(tmp_path / "other")
    push(here, url)
    step(here, 1)
    step(other, 1, seed=3)
    real = Claim.renew

    def late(self: Claim, now: bool = False) -> None:
        if now:  # right before the root
            Bucket(url).put("zarr.json", (other / "zarr.json").read_bytes())
        real(self, now)

    monkeypatch.setattr(Claim, "renew", late)
    with pytest.raises(StorageError, match="push again"):
        push(here, url)


def test_damage_here_and_there_does_not_travel(tmp_path: Path, url: str) -> None:
    here = made(tmp_path / "here")
    push(here, url)
    file = here / "vectors" / "c.0.0"
    raw = bytearray(file.read_bytes())
    raw[5] ^= 1
    file.write_bytes(raw)
    with pytest.raises(DamageError, match=r"c\.0\.0"):
        push(here, url + "-other")
    assert "zarr.json" not in objects(url + "-other")
    Bucket(url).put("vectors/c.0.0", bytes(raw))
    with pytest.raises(DamageError, match=r"s3://.*vectors/c\.0\.0: checksum"):
        pull(url, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    Bucket(url).put("vectors/c.0.0", b"")
    with pytest.raises(DamageError, match=r"s3://.*vectors/c\.0\.0: 0 bytes"):
        pull(url, tmp_path / "new")
    Bucket(url).delete(["vectors/c.0.0"])
    with pytest.raises(DamageError, match=r"s3://.*missing"):
        pull(url, tmp_path / "new")
    Bucket(url).put("zarr.json", b"{}")
    with pytest.raises(StoreNotFoundError):
        pull(url, tmp_path / "new")
    assert os.listdir(tmp_path) == ["here"]


def test_stores_there_are_only_read(tmp_path: Path, url: str) -> None:
    push(made(tmp_path / "here"), url)
    with pytest.raises(UsageError, match="memoria pull"):
        MemoryStore.open(url, "r+")


@pytest.mark.parametrize(
    "bad", ["s3://", "s3://memories", "s3://memories/", "s3://a/../b", "s3://memories/a//b"]
)
def test_what_is_no_place_is_refused(bad: str) -> None:
    with pytest.raises(InputError, match=r"s3://bucket/notes|/notes"):
        Bucket(bad)


def test_what_is_not_there_is_said_in_a_line(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = made(tmp_path / "here")
    with pytest.raises(StoreNotFoundError, match="no store"):
        pull(url, tmp_path / "new")
    with pytest.raises(StorageError, match="no such bucket"):
        push(here, "s3://not-a-bucket/notes")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="AWS_ENDPOINT_URL") as raised:
        push(here, url)
    assert "\n" not in str(raised.value)


def test_refused_credentials_are_said_in_a_line(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b"<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>"
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_PUT  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{refusing.server_port}")
        for refused in (lambda: push(made(tmp_path / "here"), url), lambda: open_files(url)):
            with pytest.raises(StorageError, match="AWS_ACCESS_KEY_ID") as raised:
                refused()
            assert "\n" not in str(raised.value)
        refusing.shutdown()


def test_the_verbs(tmp_path: Path, url: str, cli: Cli) -> None:
    here, elsewhere = made(tmp_path / "here"), tmp_path / "elsewhere"
    sent = cli.ok("push", here, url, "--json").json
    assert set(sent) == {
        *("path", "url", "step", "digest", "files", "bytes", "up_to_date", "replaced_step"),
        "dropped_steps",
    }
    assert "up to date" in cli.ok("push", here, url).out
    got = cli.ok("pull", url, elsewhere, "--json").json
    assert set(got) == {"path", "url", "step", "digest", "replaced_step", "up_to_date"}
    shown = cli.ok("inspect", url, "--json").json
    assert (shown["path"], shown["digest"]) == (url, sent["digest"])
    assert cli.ok("inspect", f"{url}@5", "--json").json["step"] == 5
    cue = tmp_path / "cue.npy"
    np.save(cue, np.ones((1, 8), np.float32))
    asked, expected = (
        cli.ok("remind", place, "--peek", "--cue", cue, "--json").json for place in (url, here)
    )
    assert asked == expected
    assert cli.ok("verify", url, "--json").json["sound"]
    assert cli.ok("diff", url, here, "--json").json["a"]["path"] == url
    assert f"{url} has none of this name" in cli("inspect", f"{url}@nothing").err
    step(here, 1, seed=1)
    step(elsewhere, 2, seed=2)
    cli.ok("push", elsewhere, url)
    refused = cli("push", here, url)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "--force drops the 2 steps" in refused.err
    forced = cli.ok("push", here, url, "--force").out
    assert "dropped there: 2 steps" in forced
    assert cli("pull", url + "-none", tmp_path / "new").code == 10
    assert cli("push", tmp_path / "none", url).code == 10
    assert cli("add", url, cue).code == 2


def test_a_killed_push_goes_on(tmp_path: Path, url: str) -> None:
    here = made(tmp_path / "here")
    step(here, 12, width=300)
    pushing = subprocess.Popen(
        command_line("push", here, url), env=environment(), stderr=subprocess.PIPE
    )
    try:
        while pushing.poll() is None and len(objects(url)) < 12:
            time.sleep(0.01)
    finally:
        pushing.kill()
        _, said = pushing.communicate()
    assert len(objects(url)) >= 12, said
    assert push(here, url)["digest"] == digest(here) == digest(url)
    assert CLAIM_NAME not in objects(url)
    for name, rows in everything(here).items():
        np.testing.assert_array_equal(everything(url)[name], rows)


def test_without_the_extra_the_pip_line_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memoria-engrams\[s3\]'"):
        Bucket("s3://memories/notes")
