"""`memoria forget`, `pin` and `unpin`: documents, questions, and what they leave in the store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli, Ran, fingerprint, process
from test_cli_snapshot import on_terminal

from memoria.backbones import load_backbone
from memoria.config import MemoriaConfig
from memoria.query.inspection import Inspection
from memoria.query.selection import Selection, select_engrams
from memoria.store import MemoryStore
from memoria.store.verify import verify

TEXTS = [
    "the cat sat on the mat",
    "a dog barked at the moon",
    "rain fell all night long",
    "apples and pears at the market",
    "dinner was late again",
    "the moon was full and bright",
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lanes, three steps of two sentences each; 0 to 3 are long-term memory."""
    path = tmp_path_factory.mktemp("template") / "s"
    config = MemoriaConfig(
        hidden_dim=64, lanes=2, stm_capacity=4, initial_lifespan=9, backbone="hash", wm_length=2
    )
    backbone = load_backbone("hash", 64)
    with MemoryStore.create(path, config) as store:
        for first in (0, 2, 4):
            texts = TEXTS[first : first + 2]
            data = np.asarray(backbone.encode(texts), np.float32)
            both = [[f"{text} {lane}" for text in texts] for lane in range(2)]
            store.step(np.stack([data, data]), 0.0, both)
    return path


@pytest.fixture(autouse=True)
def _copy(template: Path, tmp_path: Path) -> None:
    shutil.copytree(template, tmp_path / "s")


def living() -> list[int]:
    with Inspection.open("s") as view:
        return [one["id"] for one in view.engram_list()]


def ids(ran: Ran) -> list[int]:
    return [one["id"] for one in ran.json["forgotten"]]


def test_forgetting_by_id(cli: Cli) -> None:
    before = fingerprint(Path())
    shown = cli.ok("forget", "s", "3", "0", "--dry-run", "--json").json
    assert fingerprint(Path()) == before
    ran = cli.ok("forget", "s", "3", "0", "--yes", "--json").json
    expected: dict[str, Any] = {
        "step": 3,
        "count": 2,
        "forgotten": [
            {"id": 0, "lane": 0, "lifespan": 6.0, "text": f"{TEXTS[0]} 0"},
            {"id": 3, "lane": 1, "lifespan": 6.0, "text": f"{TEXTS[1]} 1"},
        ],
    }
    assert shown == {**expected, "dry_run": True}
    assert ran == {**expected, "dry_run": False}
    assert living() == [1, 2, *range(4, 12)]
    assert verify("s").findings == ()
    again = cli("forget", "s", "1", "0", "--yes")
    assert (again.code, again.out) == (2, "")
    assert "engram 0: is forgotten already" in again.err
    assert living() == [1, 2, *range(4, 12)]
    told = cli.ok("inspect", "s", "3").out
    assert "forgotten by hand" in told


def test_forgetting_by_text(cli: Cli) -> None:
    asked = ["forget", "s", "--query", TEXTS[4], "--dry-run", "--json"]
    assert ids(cli.ok(*asked)) == [8]  # the best alone, of two alike the older
    assert ids(cli.ok(*asked, "--limit", "2")) == [8, 9]
    assert ids(cli.ok(*asked, "--least", "0.99")) == [8, 9]
    assert ids(cli.ok(*asked, "--least", "0")) == ids(cli.ok(*asked, "--limit", "99"))
    assert ids(cli.ok(*asked, "--least", "-0.01")) == [8, 9]
    assert ids(cli.ok(*asked, "--least", "-1e9")) == ids(cli.ok(*asked, "--limit", "99"))
    assert sorted(ids(cli.ok(*asked, "--limit", "99"))) == list(range(12))
    assert ids(cli.ok(*asked, "--lane", "1")) == [9]
    found = ids(cli.ok(*asked, "--type", "longterm", "--limit", "99"))
    assert sorted(found) == [0, 1, 2, 3]
    assert sorted(ids(cli.ok(*asked, "--older-than", "2"))) == [0, 1, 2, 3]
    assert ids(cli.ok("forget", "s", "--query", TEXTS[4], "--yes", "--json")) == [8]
    assert 8 not in living()
    assert "log correlation" in cli.ok("forget", "s", "--query", TEXTS[4], "--dry-run").out


def test_all_living_engrams_are_ranked_in_blocks(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cue = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)
    whole = select_engrams("s", Selection(cue=cue))
    with Inspection.open("s") as view:
        vectors = view.vectors(np.arange(12)).astype(np.float64)
    distances = ((cue[None].astype(np.float64) - vectors[:, None]) ** 2).sum(2)
    expected = np.exp(-distances).mean(1)
    assert [one["correlation"] for one in whole.engrams] == pytest.approx(
        sorted(expected, reverse=True)
    )
    assert whole.ids.tolist() == sorted(range(12), key=lambda i: (-expected[i - i % 2], i))
    monkeypatch.setattr("memoria.query.selection._BLOCK_BYTES", 5 * 4 * 64)
    assert select_engrams("s", Selection(cue=cue)).ids.tolist() == whole.ids.tolist()


def test_forgetting_by_age(cli: Cli) -> None:
    asked = ["forget", "s", "--dry-run", "--json", "--older-than"]
    for steps, expected in (("0", 12), ("1", 8), ("2", 4), ("3", 0), ("9" * 15, 0)):
        assert ids(cli.ok(*asked, steps)) == list(range(expected))
    assert ids(cli.ok(*asked, "1", "--limit", "3")) == [0, 1, 2]
    assert ids(cli.ok(*asked, "1h")) == ids(cli.ok(*asked, "30d")) == []
    assert ids(cli.ok(*asked, "0s")) == list(range(12))
    assert ids(cli.ok(*asked, "2020-01-31")) == []
    nothing = cli.ok("forget", "s", "--older-than", "3")  # nobody need be asked
    assert nothing.out == "nothing to forget\n"
    assert ids(cli.ok("forget", "s", "--older-than", "2", "--yes", "--json")) == [0, 1, 2, 3]
    assert living() == list(range(4, 12))


def test_pins(cli: Cli) -> None:
    assert cli.ok("pin", "s", "1", "0", "--json").json == {"step": 3, "pinned": [0, 1]}
    assert cli.ok("pin", "s", "2", "1", "--json").json == {"step": 3, "pinned": [2]}
    assert cli.ok("pin", "s", "2").out == "pinned: 0 engrams; 1 were pinned already\n"
    listed = cli.ok("list", "s", "--pinned", "--json").json["engrams"]
    assert [one["id"] for one in listed] == [0, 1, 2]
    told = cli.ok("inspect", "s", "--engrams", "--json").json["engram_list"]
    assert [one["id"] for one in told if one["pinned"]] == [0, 1, 2]
    assert "6, pinned" in cli.ok("inspect", "s", "1").out
    assert "pinned by hand" in cli.ok("inspect", "s", "1").out
    found = ids(cli.ok("forget", "s", "--older-than", "0", "--dry-run", "--json"))
    assert found == list(range(3, 12))  # a pinned one goes by its id alone
    found = ids(cli.ok("forget", "s", "--query", TEXTS[0], "--dry-run", "--json"))
    assert not {0, 1, 2} & {*found}
    assert ids(cli.ok("forget", "s", "2", "--yes", "--json")) == [2]
    assert cli.ok("unpin", "s", "0", "--json").json == {"step": 3, "unpinned": [0]}
    assert cli.ok("unpin", "s", "1", "5").out == "unpinned: 1 engram (1); 1 were not pinned\n"
    assert cli.ok("list", "s", "--pinned", "--json").json["engrams"] == []
    assert verify("s").findings == ()


def test_nobody_to_ask(cli: Cli) -> None:
    before = fingerprint(Path())
    ran = cli("forget", "s", "0")
    assert (ran.code, ran.out) == (2, "")
    assert "--yes" in ran.err
    assert process("forget", "s", "--older-than", "1").code == 2
    assert fingerprint(Path()) == before


def test_a_question_on_a_terminal(cli: Cli) -> None:
    before = fingerprint(Path())
    code, out, shown = on_terminal("n", "forget", "s", "--older-than", "1")
    assert (code, out) == (1, "")
    assert TEXTS[0] in shown
    assert "Forget 8 engrams (0, 1, 2, 3, 4, 5, 6, 7)? [y/N]" in shown
    assert fingerprint(Path()) == before
    code, out, shown = on_terminal("y", "forget", "s", "0", "1")
    assert code == 0
    assert out.startswith("forgotten: 2 engrams (0, 1)\n")
    assert living() == list(range(2, 12))


def test_a_memory_that_changed_while_one_was_asked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(*_: object) -> bool:
        with MemoryStore.open("s", "r+") as store:
            store.pin([5])
        return True

    monkeypatch.setattr("memoria_cli.terminal.output.ask", change)
    ran = cli("forget", "s", "0")
    assert (ran.code, ran.out) == (2, "")
    assert "has changed meanwhile" in ran.err
    assert 0 in living()


def test_processes_of_their_own(cli: Cli) -> None:
    assert process("pin", "s", "4", "--json").json == {"step": 3, "pinned": [4]}
    ran = process("forget", "s", "--query", TEXTS[0], "--yes", "--json")
    assert (ran.code, ran.err, ids(ran)) == (0, "", [0])
    assert process("unpin", "s", "4", "--json").json == {"step": 3, "unpinned": [4]}
    ran = process("forget", "s", "0", "--yes", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert '"code": 2' in ran.err


@pytest.mark.parametrize("verb", ["forget", "pin", "unpin"])
def test_the_past_is_refused(cli: Cli, verb: str) -> None:
    before = fingerprint(Path())
    yes = ["--yes"] if verb == "forget" else []
    ran = cli(verb, "s@2", "0", *yes)
    assert (ran.code, ran.out) == (2, "")
    assert "the past can only be read" in ran.err
    assert fingerprint(Path()) == before
