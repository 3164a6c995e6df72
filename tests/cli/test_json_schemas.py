"""What verbs print with --json is what their schemas say, key for key."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from cli_tools import ROOT, Cli

from memoria_cli.app import VERBS, command
from memoria_cli.documents import DOCUMENTS, ERROR, KEYS, schema, write
from memoria_cli.help_page import is_group

SCHEMAS = ROOT / "docs" / "reference" / "schemas"


def test_every_verb_has_a_schema() -> None:
    leaves: set[str] = set()
    for verb in VERBS:
        made = command().commands[verb]
        leaves |= {f"{verb} {name}" for name in made.commands} if is_group(made) else {verb}
    assert set(DOCUMENTS) == leaves


def test_the_files_are_those_of_the_program(tmp_path: Path) -> None:
    write(tmp_path / "schemas")
    made = {path.name: path.read_text() for path in (tmp_path / "schemas").iterdir()}
    kept = {path.name: path.read_text() for path in SCHEMAS.iterdir()}
    assert made == kept, "python -m memoria_cli.documents docs/reference/schemas"
    assert (tmp_path / "json.md").read_text() == (SCHEMAS.parent / "json.md").read_text()


@pytest.mark.parametrize("verb", DOCUMENTS)
def test_a_schema_is_sound(verb: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(verb))


def test_no_key_is_told_that_nothing_has() -> None:
    text = json.dumps({**DOCUMENTS, "error": ERROR})
    assert [name for name in KEYS if f'"{name}": {{' not in text] == []


LINES = [
    "list notes -n 2",
    "list notes --type all",
    "ask notes cat --context 1 --why",
    "ask notes cat --learn --used 26",
    "ask notes --questions questions.jsonl",
    "inspect notes --engrams --edges --history --forgotten --full",
    "inspect notes 0",
    "inspect notes 26",
    "remind notes --peek --cue-text cat",
    "diff notes@3 notes --connections",
    "pin notes 26",
    "unpin notes 26",
    "edit notes 26 --text New. --meta a=1",
    "used notes 26 --question why",
    "undo notes --dry-run",
    "add notes --text One.",
    "remind notes",
    "adjust notes",
    "step --each stores.jsonl",
    "step notes papers",
    "step notes papers --sync",
    "step notes papers --sync --dry-run",
    "step notes papers --dry-run",
    "import mem0.json mine --from mem0",
    "snapshot create notes now",
    "snapshot list notes",
    "snapshot show notes now",
    "snapshot restore notes now -o then",
    "snapshot restore notes now --dry-run",
    "snapshot delete notes now --yes",
    "forget notes 25 --dry-run",
    "config show notes",
    "config show --user",
    "config set notes unit=line",
    "verify notes",
    "verify notes --repair -o saved",
    "compact notes --dry-run",
    "export notes notes.zip",
    "export notes notes.jsonl",
    "import notes.zip copy",
    "import memories.json copy",
    "replay notes",
    "replay notes --sample 1 -o draw.npz",
    "replay notes --set stm_capacity=2 -o other",
    "encode diary.txt --backbone hash -o v.npy",
    "plot notes sizes",
    "experiment list sorting",
    "mcp notes",
    "forget notes 26 --erase --yes",
]


@pytest.mark.usefixtures("notes")
def test_what_comes_out_has_the_keys_of_the_schema(cli: Cli) -> None:
    Path("questions.jsonl").write_text('{"question": "Who barked?"}\n')
    Path("stores.jsonl").write_text('{"store": "notes", "inputs": ["diary.txt"]}\n')
    Path("memories.json").write_text('{"results": [{"memory": "Anna likes tea."}]}\n')
    Path("papers").mkdir()
    Path("papers/one.txt").write_text("Bees dance. They fly.")
    Path("mem0.json").write_text('[{"id": "1", "memory": "Ann likes bees."}]')
    for line in LINES:
        ran = cli(*line.split(), "--json")
        assert ran.code in (0, 3), (line, ran)
        verb = next(name for name in DOCUMENTS if f"{line} ".startswith(f"{name} "))
        jsonschema.validate(ran.json, schema(verb))


def test_a_key_too_many_is_noticed() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"step": 1, "unpinned": [], "x": 1}, schema("unpin"))


def test_errors_too(cli: Cli) -> None:
    for line in ("list nowhere", "list --limit x", "nonsense"):
        jsonschema.validate(json.loads(cli(*line.split(), "--json").err), ERROR)
