"""`memoria config`: what a memory is, and the settings that may change."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_tools import Cli, fingerprint

from memoria.store import MemoryStore, read_config

pytestmark = pytest.mark.usefixtures("notes")


def test_show_tells_what_stays_and_what_may_change(cli: Cli) -> None:
    document = cli.ok("config", "show", "notes", "--json").json
    config = read_config("notes").model_dump(mode="json")
    assert document["config"] == {name: one for name, one in config.items() if name != "unit"}
    assert document["settings"] == {"backbone": None, "unit": "sentence", "ask": {}, "notes": ""}
    told = cli.ok("config", "show", "notes").out
    assert "stm_capacity          4\n" in told
    assert "unit      sentence\n" in told
    cli.ok("init", "endless")
    assert "initial_lifespan      no end\n" in cli.ok("config", "show", "endless").out


def test_set_changes_settings_alone(cli: Cli) -> None:
    with MemoryStore.open("notes") as store:
        before = store.digest(), store.config
    done = cli.ok(
        *("config", "set", "notes", "unit=line", "notes=7", "ask.dense=0.5"),
        *("ask.language=none", "--json"),
    ).json
    changed = ["unit", "notes", "ask.dense", "ask.language"]
    ask = {"dense": 0.5, "language": "none"}
    settings = {"backbone": None, "unit": "line", "ask": ask, "notes": "7"}
    assert (done["changed"], done["settings"]) == (changed, settings)
    assert cli.ok("config", "show", "notes", "--json").json["settings"] == settings
    with MemoryStore.open("notes") as store:
        assert (store.digest(), store.config.replace(unit="sentence")) == before
        assert store.config.unit == "line"
    assert cli.ok("verify", "notes", "--json").json["sound"]
    told = cli.ok("config", "set", "notes", "ask.dense=", "unit=", "notes=7").out
    assert told == "unit: line -> sentence\nask.dense: 0.5 -> none\n"
    assert cli.ok("config", "set", "notes", "unit=sentence").out == "nothing has changed\n"


def test_a_setting_has_its_effect(cli: Cli) -> None:
    cli.ok("config", "set", "notes", "unit=line")
    assert cli.ok("step", "notes", "--text", "One. Two.", "--json").json["engrams_added"] == 1
    question = ("ask", "notes", "One or two?", "--json")
    before = cli.ok(*question).json["answers"][0]["score"]
    cli.ok("config", "set", "notes", "ask.lexical=9")
    assert cli.ok(*question).json["answers"][0]["score"] > before


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("stm_capacity=9", "`memoria replay notes --set stm_capacity=9 -o NEW`"),
        ("hidden_dim=9", "`memoria replay notes --set backbone=NAME -o NEW`"),
        ("wm_length=9", "`memoria step --wm-length 9`"),
        ("vector_dtype=int8", "`memoria init NEW --vector-dtype int8`"),
        ("nothing=9", "no such setting; hint: the settings are backbone, unit, notes, ask.lang"),
        ("ask.nothing=9", "no such setting"),
        ("unit=chapter", "unit = 'chapter'"),
        ("ask.language=latin", "language = 'latin': unknown"),
        ("ask.first_pass=two", "choose one of int8, binary"),
        ("ask.dense=much", "ask.dense = 'much': must be a number"),
        ("ask.dense=nan", "ask.dense = 'nan': must be a number"),
        ("backbone=array", "asked for 'array'"),
        ("unit", "unit: not KEY=VALUE"),
    ],
)
def test_what_cannot_be_set_changes_nothing(cli: Cli, pair: str, says: str) -> None:
    before = fingerprint_of_store()
    ran = cli("config", "set", "notes", "notes=x", pair)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert says in ran.err
    assert fingerprint_of_store() == before
    assert cli("config", "set", "notes@2", "notes=x").code == 2


def test_a_first_pass_that_loses_is_refused(cli: Cli) -> None:
    cli.ok("init", "hashed", "--backbone", "hash")
    ran = cli("config", "set", "hashed", "ask.first_pass=binary")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert (
        "misses a third of the nearest vectors of 'hash'; hint: ask.first_pass=int8 misses none"
        in ran.err
    )
    assert cli.ok("config", "set", "hashed", "ask.first_pass=int8").out
    told = cli.ok("config", "set", "notes", "ask.first_pass=binary").out
    assert told == "ask.first_pass: none -> binary\n"
    assert cli.ok("config", "set", "notes", "ask.first_pass=").out


def fingerprint_of_store() -> dict[str, str]:
    return {name: one for name, one in fingerprint(Path("notes")).items() if name != ".lock"}
