"""Many stores at a time: each as one process alone leaves it, and the same call goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Cli, process
from experiment_tools import runs_here as runs_here

from memoria.engines import Task, run_tasks
from memoria.errors import InputError
from memoria.store import MemoryStore
from memoria.store.many_stores import StoreInputs, read_store_list, step_store, step_stores
from memoria.store.verify import verify

TEXTS = {
    "sea": "The lamp is lit. Fog comes in. A bell rings. The tide turns. Gulls cry. It clears.",
    "hill": "Snow falls. The path is gone. A dog barks. Smoke rises. They are home.",
}

DYING = """
import os, signal
from memoria.store.many_stores import step_store

def die_at_three(document, progress, stopping):
    def show(done, total):
        if done == 3:
            os.kill(os.getpid(), signal.SIGKILL)
    return step_store(document, show, stopping)
"""


def made(cli: Cli, prefix: str) -> list[StoreInputs]:
    """A store for each text, with nothing in it."""
    found = []
    for name, text in TEXTS.items():
        Path(f"{name}.txt").write_text(text)
        cli.ok("init", f"{prefix}-{name}", "--backbone", "hash", "--wm-length", 1)
        found.append(StoreInputs(f"{prefix}-{name}", (f"{name}.txt",), ("And a word more.",)))
    return found


def listed(stores: list[StoreInputs], path: str = "stores.jsonl") -> str:
    lines = [
        json.dumps({"store": o.store, "inputs": [*o.inputs], "texts": [*o.texts]}) for o in stores
    ]
    Path(path).write_text("\n".join(lines) + "\n\n")
    return path


def contents(cli: Cli, stores: list[StoreInputs]) -> list[Any]:
    """What one sees of each store, and its digest."""
    found = []
    for one in stores:
        assert verify(one.store).findings == ()
        with MemoryStore.open(one.store) as store:
            readings = [(r.source, r.content, store.units(r)) for r in store.readings()]
            engrams = cli.ok("list", one.store, "--json").json["engrams"]
            for engram in engrams:
                del engram["created_time"]  # by the clock
            found.append((engrams, store.digest(), readings))
    return found


def document(one: StoreInputs, commit_every: float) -> dict[str, Any]:
    """What a task gets to step that store."""
    options = dict.fromkeys(["rule", "unit", "wm_length", "backbone", "batch_size", "device"])
    lists = {"inputs": [*one.inputs], "texts": [*one.texts]}
    return {"store": one.store, **lists, "commit_every": commit_every, **options}


@pytest.fixture
def alone(cli: Cli) -> list[Any]:
    """The contents of stores that were stepped one by one."""
    stores = made(cli, "alone")
    for one in stores:
        cli.ok("step", one.store, *one.inputs, "--text", *one.texts)
    return contents(cli, stores)


def test_processes_leave_what_one_process_leaves(cli: Cli, alone: list[Any]) -> None:
    stores = made(cli, "many")
    ran = process("step", "--each", listed(stores), "-j", 2, "--json")
    assert ran.code == 0, ran.err
    assert [one["status"] for one in ran.json["stores"]] == ["done", "done"]
    assert [one["steps"] for one in ran.json["stores"]] == [7, 6]
    assert contents(cli, stores) == alone


@pytest.mark.usefixtures("runs_here")
def test_what_is_done_is_passed_over(cli: Cli, alone: list[Any]) -> None:
    stores = made(cli, "many")
    cli.ok("step", "--each", listed(stores))
    again = cli.ok("step", "--each", listed(stores), "--json").json["stores"]
    assert [(one["steps"], one["skipped"]) for one in again] == [(0, 7), (0, 6)]
    assert contents(cli, stores) == alone


def test_a_stopped_store_goes_on(cli: Cli, alone: list[Any]) -> None:
    stores = made(cli, "many")
    looks = iter([False, False, True])
    one = stores[0]
    with pytest.raises(KeyboardInterrupt):
        step_store(document(one, 60.0), lambda *_: None, lambda: next(looks))
    with MemoryStore.open(one.store) as store:
        assert store.timestep == 3
    rest = step_store(document(one, 0.25), lambda *_: None, lambda: False)
    assert (rest["steps"], rest["skipped"], rest["timestep"]) == (4, 3, 7)
    assert contents(cli, stores[:1]) == alone[:1]


def test_a_killed_run_goes_on(
    cli: Cli, alone: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dying.py").write_text(DYING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    stores = made(cli, "many")
    tasks = [Task("dying:die_at_three", document(one, 0.0)) for one in stores]
    killed = run_tasks(tasks, jobs=1)
    assert all("SIGKILL" in one.error["message"] for one in killed if one.error is not None)
    assert [one.error is None for one in killed] == [False, False]
    rest = step_stores(stores, jobs=1)
    assert [(one["skipped"], one["timestep"]) for one in rest] == [(3, 7), (3, 6)]
    assert contents(cli, stores) == alone


@pytest.mark.usefixtures("runs_here")
def test_a_store_that_fails_does_not_stop_the_others(cli: Cli, alone: list[Any]) -> None:
    stores = made(cli, "many")
    missing = StoreInputs("none", ("sea.txt",))
    faulty = StoreInputs(stores[0].store, ("gone.txt",))
    ran = cli("step", "--each", listed([missing, faulty, stores[1]]), "--json")
    assert ran.code == 1
    parts = ran.json["stores"]
    assert [one["status"] for one in parts] == ["failed", "failed", "done"]
    assert parts[0]["error"]["type"] == "StoreNotFoundError"
    assert ran.err.count("\n") == 2
    assert "gone.txt" in ran.err
    assert contents(cli, stores[1:]) == alone[1:]
    cli.ok("step", "--each", listed(stores))
    assert contents(cli, stores) == alone


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no store"),
        ("[1]\n", "line 1: names no store"),
        ("{nonsense\n", "line 1: is no JSON"),
        ('{"store": "a", "inputs": ["b"]}\n{"store": "./a", "texts": ["c"]}', "line 2: ./a"),
        ('{"store": "a"}', "gets no input"),
        ('{"store": "a", "inputs": "b"}', "no list of texts"),
        ('{"store": "a", "inputs": ["-"]}', "standard input"),
        ('{"store": "a", "inputs": ["b"], "rule": "x"}', "'rule' is unknown"),
        ('{"store": 3, "inputs": ["b"]}', "names no store"),
    ],
)
def test_a_faulty_list_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "list.jsonl").write_text(text)
    with pytest.raises(InputError) as caught:
        read_store_list(tmp_path / "list.jsonl")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["step"], "no STORE is named"),
        (["step", "many-sea", "sea.txt", "--engine", "ray"], "it goes with --each"),
        (["step", "many-sea", "sea.txt", "-j", "2"], "it goes with --each"),
        (["step", "many-sea", "--each", "stores.jsonl"], "not with --each"),
        (["step", "--each", "stores.jsonl", "--limit", "2"], "not with --each"),
        (["step", "--each", "stores.jsonl", "--engine", "horse"], "local, ray"),
        (["step", "--each", "stores.jsonl", "--rule", "horse"], "horse"),
        (["step", "--each", "gone.jsonl"], "gone.jsonl"),
    ],
)
def test_options_that_do_not_fit(cli: Cli, options: list[str], says: str) -> None:
    listed(made(cli, "many"))
    ran = cli(*options)
    assert ran.code in (1, 2)
    assert says in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "module"),
    [
        (["step", "--each", "stores.jsonl"], "memoria.store.many_stores"),
        (
            ["encode", "sea.txt", "--backbone", "hash", "-o", "v.npy", "--shards", "1"],
            "memoria.backbones.shards",
        ),
    ],
)
def test_an_interrupt_says_how_to_go_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, line: list[str], module: str
) -> None:
    def interrupted(*tasks: Any, **where: Any) -> Any:
        where["progress"](1, 2)
        raise KeyboardInterrupt

    listed(made(cli, "many"))
    monkeypatch.setattr(f"{module}.run_tasks", interrupted)
    ran = cli(*line)
    assert (ran.code, ran.out) == (130, "")
    assert "the same command goes on" in ran.err


@pytest.mark.slow
def test_two_workers_of_a_real_ray(cli: Cli, alone: list[Any]) -> None:
    """As processes of their own: Ray leaves threads behind."""
    pytest.importorskip("ray")
    stores = made(cli, "many")
    lines = listed([*stores, StoreInputs("none", ("sea.txt",))])
    where = ["--engine", "ray", "-j", 2, "--json"]
    ran = process("step", "--each", lines, *where, variables={"RAY_ADDRESS": ""})
    assert ran.code == 1, ran.err
    assert [one["status"] for one in ran.json["stores"]] == ["done", "done", "failed"]
    assert contents(cli, stores) == alone
    options = ["sea.txt", "--backbone", "hash", "--batch-size", 1]
    cli.ok("encode", *options, "-o", "one.npy", "--shards", 3, "-j", 1)
    ran = process("encode", *options, "-o", "ray.npy", "--shards", 3, *where)
    assert ran.code == 0, ran.err
    for number in range(3):
        one, ray = (Path(f"{name}-0000{number}-of-00003.npy") for name in ("one", "ray"))
        assert one.read_bytes() == ray.read_bytes()
