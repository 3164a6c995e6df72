"""What other programs leave, in their public forms, becomes engrams."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Cli

from memoria.imports.importing import import_texts
from memoria.store import MemoryStore
from memoria.store.verify import verify

# Chroma's tables, as far as they hold documents.
CHROMA = """
CREATE TABLE collections (id TEXT PRIMARY KEY, name TEXT NOT NULL, dimension INTEGER,
    database_id TEXT, config_json_str TEXT);
CREATE TABLE segments (id TEXT PRIMARY KEY, type TEXT NOT NULL, scope TEXT NOT NULL,
    collection TEXT NOT NULL);
CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL,
    embedding_id TEXT NOT NULL, seq_id BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, UNIQUE (segment_id, embedding_id));
CREATE TABLE embedding_metadata (id INTEGER REFERENCES embeddings(id), key TEXT NOT NULL,
    string_value TEXT, int_value INTEGER, float_value REAL, bool_value INTEGER,
    PRIMARY KEY (id, key));
"""


def chroma(folder: Path) -> Path:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as database:
        database.executescript(CHROMA)
        database.execute("INSERT INTO collections (id, name) VALUES ('c1', 'garden')")
        for scope in ("VECTOR", "METADATA"):
            database.execute("INSERT INTO segments VALUES (?, 't', ?, 'c1')", (scope, scope))
        for number, text in enumerate(["The bees live in the oak.", "Apples ripen late.", None], 1):
            database.execute(
                "INSERT INTO embeddings VALUES (?, 'METADATA', ?, x'00', '2024-05-06 07:08:09')",
                (number, f"doc{number}"),
            )
            rows: list[tuple[Any, ...]] = [
                ("page", None, number, None, None),
                ("sure", None, None, None, number % 2),
            ]
            if text is not None:
                rows.append(("chroma:document", text, None, None, None))
            database.executemany(
                f"INSERT INTO embedding_metadata VALUES ({number}, ?, ?, ?, ?, ?)", rows
            )
        database.commit()
    return folder


def chatgpt() -> list[dict[str, Any]]:
    def message(role: str, parts: list[Any], at: float, kind: str = "text") -> dict[str, Any]:
        content = {"content_type": kind, "parts": parts}
        return {"id": f"m{at}", "author": {"role": role}, "create_time": at, "content": content}

    nodes: dict[str, Any] = {
        "root": {"message": None, "parent": None},
        "sys": {"message": message("system", [""], 1.7e9), "parent": "root"},
        "ask": {"message": message("user", ["Where do bees live?"], 1.7e9 + 1), "parent": "sys"},
        "old": {"message": message("assistant", ["In a hive."], 1.7e9 + 2), "parent": "ask"},
        "new": {"message": message("assistant", ["In an oak.", ""], 1.7e9 + 3), "parent": "ask"},
        "tool": {"message": message("tool", ["noise"], 1.7e9 + 4, "code"), "parent": "new"},
        "image": {
            "message": message(
                "user", [{"asset_pointer": "x"}, "And wasps?"], 1.7e9 + 5, "multimodal_text"
            ),
            "parent": "tool",
        },
    }
    return [{"title": "Bees", "id": "0123456789", "current_node": "image", "mapping": nodes}]


def claude() -> list[dict[str, Any]]:
    return [
        {
            "uuid": "abcdef-123",
            "name": "Bread",
            "chat_messages": [
                {"uuid": "1", "sender": "human", "text": "Who bakes rye bread?",
                 "created_at": "2025-01-31T10:00:00.000000Z"},
                {"uuid": "2", "sender": "assistant", "text": "",
                 "content": [{"type": "text", "text": "Clara bakes rye bread."},
                             {"type": "tool_use", "input": {}}],
                 "created_at": "2025-01-31T10:00:05.000000Z"},
                {"uuid": "3", "sender": "human", "text": "", "content": []},
            ],
        }
    ]  # fmt: skip


def mem0() -> dict[str, Any]:
    return {
        "count": 2,
        "results": [
            {"id": "b", "memory": "Anna prefers tea.", "user_id": "anna",
             "created_at": "2025-02-01T08:00:00-08:00", "metadata": {"kind": "taste", "deep": {}},
             "categories": ["food"]},
            {"id": "a", "memory": "Anna lives in Lyon.", "user_id": "anna",
             "created_at": "2024-02-01T08:00:00-08:00", "metadata": None},
            {"id": "c", "memory": ""},
        ],
    }  # fmt: skip


def listed(cli: Cli, store: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cli.ok("list", store, "--json").json["engrams"]
    return found


def test_a_folder_of_chroma(cli: Cli, tmp_path: Path) -> None:
    chroma(tmp_path / "db")
    made = cli.ok("import", "db", "notes", "--json").json
    assert (made["origin"], made["texts_added"], made["engrams_added"], made["step"]) == (
        "chroma",
        2,
        2,
        2,
    )
    first, second = listed(cli, "notes")
    assert (first["text"], first["source"]) == ("The bees live in the oak.", "garden/doc1")
    assert first["time"] == 1_714_979_289_000
    assert first["meta"] == {"collection": "garden", "document": "doc1", "page": 1, "sure": True}
    assert second["meta"]["sure"] is False
    again = cli.ok("import", "db", "notes", "--json").json
    assert (again["texts_added"], again["texts_skipped"], again["step"]) == (0, 2, 2)
    assert verify(tmp_path / "notes").findings == ()


@pytest.mark.parametrize("form", ["file", "folder", "zip"])
def test_an_export_of_chatgpt(cli: Cli, tmp_path: Path, form: str) -> None:
    text = json.dumps(chatgpt())
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
            archive.writestr("user.json", "{}")
            archive.writestr("data/conversations.json", text)
        given = "export.zip"
    else:
        (tmp_path / "export").mkdir()
        (tmp_path / "export" / "conversations.json").write_text(text)
        given = "export" if form == "folder" else "export/conversations.json"
    said = cli.ok("import", given, "notes").out
    assert "3 texts of chatgpt, 3 engrams" in said
    engrams = listed(cli, "notes")
    assert [one["text"] for one in engrams] == ["Where do bees live?", "In an oak.", "And wasps?"]
    assert [one["meta"]["speaker"] for one in engrams] == ["user", "assistant", "user"]
    assert {one["source"] for one in engrams} == {"Bees (01234567)"}
    assert engrams[0]["time"] == 1_700_000_001_000
    assert [one["offset"] for one in engrams] == [0, 21, 33]


def test_chats_may_hold_any_number_and_half_characters(cli: Cli, tmp_path: Path) -> None:
    def node(text: str, at: Any) -> dict[str, Any]:
        content = {"content_type": "text", "parts": [text]}
        return {"message": {"author": {"role": "user"}, "content": content, "create_time": at}}

    nodes = [node("The bees fly.", 10**400), node("Half \ud800 a word.", 1e9), node("Two.", 2e9)]
    chat = {"title": "a\ud800b", "id": "1", "mapping": {str(at): n for at, n in enumerate(nodes)}}
    (tmp_path / "conversations.json").write_text(json.dumps([chat]))
    made = cli.ok("import", "conversations.json", "store", "--json").json
    assert made["texts_added"] == 2
    assert [one["text"] for one in listed(cli, "store")] == ["Half \ufffd a word.", "Two."]


def test_what_no_store_keeps_beside_a_memory_is_left_out(cli: Cli, tmp_path: Path) -> None:
    beside = {"a": float("inf"), "b": "\ud800", "c": "x" * 70_000, "d": 1.5}
    memory = {"memory": "Ada keeps bees.", "metadata": beside}
    (tmp_path / "memories.json").write_text(json.dumps({"results": [memory]}))
    cli.ok("import", "memories.json", "store")
    [one] = listed(cli, "store")
    assert (one["text"], one["meta"]) == ("Ada keeps bees.", {"d": 1.5})


def test_an_export_of_claude(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "conversations.json").write_text(json.dumps(claude()), encoding="utf-8")
    made = cli.ok("import", "conversations.json", "notes", "--from", "claude", "--json").json
    assert (made["origin"], made["texts_added"]) == ("claude", 2)
    first, second = listed(cli, "notes")
    assert (first["text"], first["meta"]["speaker"]) == ("Who bakes rye bread?", "user")
    assert (second["text"], second["time"]) == ("Clara bakes rye bread.", 1_738_317_605_000)
    answer = cli.ok("ask", "notes", "Who bakes bread?", "--json").json["answers"][0]
    assert answer["text"] in ("Clara bakes rye bread.", "Who bakes rye bread?")


def test_memories_of_mem0(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "memories.json").write_text(json.dumps(mem0()), encoding="utf-8")
    cli.ok("init", "notes", "--backbone", "hash")
    cli.ok("step", "notes", "--text", "Something else.")
    assert cli.ok("import", "memories.json", "notes", "--json").json["origin"] == "mem0"
    older, newer = listed(cli, "notes")[1:]
    assert (older["text"], newer["text"]) == ("Anna lives in Lyon.", "Anna prefers tea.")
    assert newer["meta"] == {
        "kind": "taste", "user_id": "anna", "id": "b", "categories": ["food"]
    }  # fmt: skip
    assert newer["time"] == 1_738_425_600_000
    cli.ok("undo", "notes", "--yes")
    assert len(listed(cli, "notes")) == 1
    told: list[tuple[int, int]] = []
    import_texts("memories.json", "notes", progress=lambda *counts: told.append(counts))
    assert told[-1] == (2, 2)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "[[[]]]",
        "[" * 100_000,
        '[{"mapping": 3}]',
        '[{"mapping": {"a": {"parent": "a", "message": []}}, "current_node": "a"}]',
        '[{"chat_messages": [{"sender": 1, "text": {}}]}]',
        '{"results": [{"memory": 3, "created_at": {}}]}',
        '[{"unknown": 1}]',
    ],
)
def test_what_is_no_export_is_refused_in_one_line(cli: Cli, tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    ran = cli("import", "x.json", "notes")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "notes").exists()


def test_a_database_of_another_program_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "chroma.sqlite3").write_bytes(b"no database" * 100)
    ran = cli("import", "db", "notes")
    assert (ran.code, "not a database of Chroma" in ran.err) == (2, True)
    ran = cli("import", tmp_path, "notes", "--from", "chroma")
    assert (ran.code, "not a folder of Chroma" in ran.err) == (2, True)
    assert not (tmp_path / "notes").exists()


def test_archives_are_imported_as_before(cli: Cli, tmp_path: Path) -> None:
    cli.ok("init", "a", "--backbone", "hash")
    cli.ok("step", "a", "--text", "One.")
    cli.ok("export", "a", "a.memoria.zip")
    assert cli.ok("import", "a.memoria.zip", "b", "--json").json["engrams"] == 1
    with MemoryStore.open(tmp_path / "a") as a, MemoryStore.open(tmp_path / "b") as b:
        assert a.digest() == b.digest()
