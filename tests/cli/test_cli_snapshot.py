"""`memoria snapshot`, and `compact`: documents, questions, refusals."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_tools import Cli, Ran, command_line, environment, fingerprint, process, rows

from memoria.chunkstore.locks import ReaderLease
from memoria.config import MemoriaConfig
from memoria.query.inspection import Inspection
from memoria.store import MemoryStore
from memoria.store.compacting import compact

STORES = Path(__file__).parents[2] / "stores"
D, WIDTH = 8, 4
NAMED = {"early": 4, "later": 12}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 20 steps with two snapshots and a step begun; most engrams are forgotten."""
    folder = tmp_path_factory.mktemp("template")
    config = MemoriaConfig(
        hidden_dim=D, wm_length=WIDTH, backbone="array", stm_capacity=8, initial_lifespan=2.0
    )
    with MemoryStore.create(folder / "s", config) as store:
        for step in range(1, 21):
            store.step(rows(1, WIDTH, D, seed=step), 0.25)
            for name, at in NAMED.items():
                if at == step:
                    store.snapshot(name, f"after {at}\x1b[2J")
        store.add(rows(1, WIDTH, D, seed=99))
    return folder / "s"


@pytest.fixture(autouse=True)
def _copy(template: Path, tmp_path: Path) -> None:
    shutil.copytree(template, tmp_path / "s")


def is_refused(ran: Ran, code: int, *said: str) -> None:
    assert (ran.code, ran.out) == (code, ""), ran
    assert ran.err.startswith("memoria: ")
    assert "unexpected" not in ran.err
    for text in said:
        assert text in ran.err


# -- snapshot --------------------------------------------------------------------------------------


def test_a_snapshot_is_named_listed_shown_and_deleted(cli: Cli) -> None:
    made = cli.ok("snapshot", "create", "s", "now", "--note", "first", "--json").json
    assert made["path"] == os.path.abspath("s")
    with Inspection.open("s", at=20) as view:
        assert (made["name"], made["step"], made["note"]) == ("now", 20, "first")
        assert (made["digest"], made["events"]) == (view.digest, 0)
    listed = cli.ok("snapshot", "list", "s", "--json").json
    assert [one["name"] for one in listed["snapshots"]] == ["early", "later", "now"]
    assert listed["snapshots"][2] == {key: made[key] for key in made if key != "path"}
    shown = cli.ok("snapshot", "show", "s", "later", "--json").json
    with Inspection.open("s", at="later") as view:
        assert shown == {**view.summary(), **listed["snapshots"][1]}
    assert shown["step"] == 12
    gone = cli.ok("snapshot", "delete", "s", "now", "--yes", "--json").json
    assert gone == {**made, "dry_run": False}
    assert cli.ok("snapshot", "list", "s", "--json").json["snapshots"] == listed["snapshots"][:2]
    assert cli.ok("inspect", "s", "--json").json["phase"] == "working"


def test_what_people_read_is_harmless(cli: Cli) -> None:
    for told in (cli.ok("snapshot", "list", "s").out, cli.ok("snapshot", "show", "s", "early").out):
        assert "\x1b" not in told
        assert "after 4\\x1b[2J" in told
    assert cli.ok("snapshot", "create", "s", "x").out.startswith("snapshot x: step 20, digest ")
    os.rename("s", "t")
    MemoryStore.create("s", MemoriaConfig(hidden_dim=4)).close()
    assert cli.ok("snapshot", "list", "s").out == "snapshots: none\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("create s early", 2, "one of this name"),
        ("create s 12", 2, "begin with a letter"),
        ("create s a/b", 2, "not a name"),
        ("create nowhere x", 10, "no store"),
        ("create s@none x", 2, "it has: early, later"),
        ("delete s@early early", 2, "the past can only be read"),
        ("create s", 2, "NAME"),
        ("show s none", 2, "it has: early, later"),
        ("delete s none", 2, "it has: early, later"),
        ("restore s none --yes", 2, "it has: early, later"),
        ("restore s early --yes", 2, "would lose the later snapshots later"),
        ("restore s early --drop-later", 2, "--yes"),
        ("restore s later", 2, "--yes"),
        ("restore s later -o s", 1, "exists"),
        ("restore nowhere later -o n", 10, "no store"),
        ("list nowhere", 10, "no store"),
        ("name s x", 2, "no such verb"),
    ],
)
def test_refusals_change_nothing(cli: Cli, arguments: str, code: int, said: str) -> None:
    before = fingerprint(Path())
    ran = cli("snapshot", *arguments.split())
    is_refused(ran, code, said)
    assert fingerprint(Path()) == before
    note = cli("snapshot", "create", "s", "x", "--note", "n" * 1001)
    is_refused(note, 2, "note", "1000")
    assert fingerprint(Path()) == before


def test_a_snapshot_becomes_a_store_of_its_own(cli: Cli) -> None:
    before = fingerprint(Path("s"))
    made = cli.ok("snapshot", "restore", "s", "later", "-o", "new", "--json").json
    with Inspection.open("s", at="later") as view:
        expected = {"name": "later", "step": 12, "digest": view.digest}
        lanes = view.summary()["lanes"]
    assert made == {"path": os.path.abspath("new"), **expected}
    assert fingerprint(Path("s")) == before
    told = cli.ok("inspect", "new", "--json").json
    assert (told["step"], told["digest"], told["lanes"]) == (12, made["digest"], lanes)
    assert [one["name"] for one in cli.ok("snapshot", "list", "new", "--json").json["snapshots"]]


def test_going_back_in_place(cli: Cli) -> None:
    with Inspection.open("s", at="later") as view:
        digest = view.digest
    told = cli.ok("snapshot", "restore", "s", "later", "--yes", "--json").json
    assert told == {
        "path": os.path.abspath("s"),
        "name": "later",
        "step": 12,
        "lost_steps": 8,
        "lost_events": 0,
        "lost_begun": True,
        "lost_snapshots": [],
        "digest": digest,
        "dry_run": False,
    }
    assert cli.ok("inspect", "s", "--json").json["digest"] == digest
    told = cli.ok("snapshot", "restore", "s", "early", "--drop-later", "--yes").out
    assert told == "back at 'early', step 4; lost: 8 later steps, the snapshots later\n"


# -- compact ---------------------------------------------------------------------------------------

KEYS = (
    "path dry_run engrams_kept engrams_dropped entries_kept entries_dropped snapshots_dropped"
    " steps_kept bytes_before bytes_after held_by waiting"
).split()


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def test_compact_says_what_it_frees_and_frees_it(cli: Cli) -> None:
    before, digest = size(Path("s")), cli.ok("inspect", "s", "--json").json["digest"]
    plan = cli.ok("compact", "s", "--dry-run", "--json").json
    assert list(plan) == KEYS
    assert size(Path("s")) == before == plan["bytes_before"]
    assert (plan["dry_run"], plan["waiting"]) == (True, False)
    assert plan["engrams_dropped"] > plan["engrams_kept"] > WIDTH
    assert plan["steps_kept"] == [4, 12, 20]
    assert "would free about" in cli.ok("compact", "s", "--dry-run").out
    is_refused(cli("compact", "s"), 2, "Compact it? nobody is there to answer")
    done = cli.ok("compact", "s", "--yes", "--json").json
    assert list(done) == KEYS
    assert done["bytes_after"] == size(Path("s"))
    measured = ("dry_run", "bytes_after")
    assert {k: v for k, v in done.items() if k not in measured} == {
        k: v for k, v in plan.items() if k not in measured
    }
    told = cli.ok("inspect", "s", "--json").json
    assert (told["digest"], told["phase"]) == (digest, "working")
    held = plan["held_by"]
    assert list(held) == ["early", "later"]
    with Inspection.open("s", at="later") as then, Inspection.open("s") as now:
        assert held["later"] == len({*then.life.ids.tolist()} - {*now.life.ids.tolist()}) > 0
    first, second = cli.ok("compact", "s").out.splitlines()
    assert first == "nothing to free"
    assert f"early ({held['early']}), later ({held['later']}); --keep NAME" in second
    is_refused(cli("inspect", "s@7"), 2, "compaction has removed it", "4, 12 and 20 to 20")
    assert cli.ok("inspect", "s@later", "--json").json["step"] == 12
    is_refused(cli("replay", "s@later"), 2, "compaction has removed the steps 1 to 12")


def test_the_hint_about_the_past_works(cli: Cli) -> None:
    ran = cli("step", "s@4", "--text", "x")
    assert "`memoria snapshot restore s@4 -o NEW`" in ran.err
    cli.ok("snapshot", "restore", "s@4", "-o", "new")
    assert cli.ok("inspect", "new", "--json").json["step"] == 4


def test_compact_drops_snapshots_that_are_not_kept(cli: Cli) -> None:
    is_refused(cli("compact", "s", "--keep", "early", "--drop-snapshots"), 2, "exclude each other")
    is_refused(cli("compact", "s", "--keep", "none", "--yes"), 2, "it has: early, later")
    told = cli.ok("compact", "s", "--keep", "later", "--yes", "--json").json
    assert told["snapshots_dropped"] == ["early"]
    assert told["steps_kept"] == [12, 20]
    names = [one["name"] for one in cli.ok("snapshot", "list", "s", "--json").json["snapshots"]]
    assert names == ["later"]
    assert "snapshots dropped: later" in cli.ok("compact", "s", "--drop-snapshots", "--yes").out
    assert cli.ok("snapshot", "list", "s", "--json").json["snapshots"] == []
    freed = cli.ok("compact", "s", "--drop-snapshots").out
    assert freed == "nothing to free: everything is needed\n"


def test_compact_while_a_reader_holds_the_files(cli: Cli) -> None:
    lease = ReaderLease.take(Path("s"))
    assert lease is not None
    told = cli.ok("compact", "s", "--yes").out
    assert "readers still hold" in told
    lease.release()
    held = size(Path("s"))
    cli.ok("snapshot", "create", "s", "on")
    assert size(Path("s")) < held
    assert not compact("s").waiting


def on_terminal(answer: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, and what the terminal showed."""
    leader, follower = pty.openpty()
    done = subprocess.Popen(
        command_line(*arguments),
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=follower,
        env=environment(),
    )
    os.close(follower)
    os.write(leader, f"{answer}\n".encode())
    out = done.communicate(timeout=120)[0].decode()
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(leader)
    return done.returncode, out, shown.decode()


@pytest.mark.parametrize("answer", ["", "n", "yess"])
def test_no_on_a_terminal_changes_nothing(cli: Cli, answer: str) -> None:
    before = fingerprint(Path())
    code, out, shown = on_terminal(answer, "compact", "s")
    assert (code, out) == (1, "")
    assert "will free about" in shown
    assert "Compact it? [y/N]" in shown
    assert shown.rstrip().endswith("memoria: aborted")
    assert fingerprint(Path()) == before


@pytest.mark.parametrize("answer", ["y", "YES"])
def test_yes_on_a_terminal_goes_ahead(cli: Cli, answer: str) -> None:
    code, out, shown = on_terminal(answer, "snapshot", "restore", "s", "early", "--drop-later")
    assert code == 0
    assert "Go back to 'early', step 4? [y/N]" in shown
    assert "lost: 16 later steps, the step begun, the snapshots later" in shown
    assert out.startswith("back at 'early', step 4")


def test_none_of_it_loads_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('torch was loaded')")
    for line in (
        "snapshot create s x",
        "snapshot list s",
        "snapshot show s x",
        "snapshot restore s x -o t",
        "compact s --yes",
        "snapshot restore s early --drop-later --yes",
        "snapshot delete s early --yes",
    ):
        path = os.pathsep.join([str(tmp_path), str(STORES.parent)])
        ran = process(*line.split(), variables={"PYTHONPATH": path}, cwd=tmp_path)
        assert (ran.code, ran.err) == (0, ""), (line, ran)
