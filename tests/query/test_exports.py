"""Exports read back by the libraries that others would read them with."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx
import numpy as np
import pyarrow.parquet as pq
import pytest
from cli_tools import Cli, fingerprint

from memoria import MemoriaConfig
from memoria.errors import InputError, MissingExtraError, StorageError, StoreExistsError
from memoria.exports import FORMATS, export_memory
from memoria.query.inspection import Inspection
from memoria.query.listing import EngramFilter
from memoria.store import MemoryStore

HOSTILE = "\x1b[2J <&>\"' ]]> \r\n\t line\ufffe two \x7f\x85\u202e é 漢 \U0001f600"
XML = HOSTILE.translate(dict.fromkeys(map(ord, "\x1b\ufffe"), "\ufffd"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lanes, forgotten and pinned ones, texts for some and hostile ones, a step under way."""
    path = tmp_path_factory.mktemp("exports") / "store"
    config = MemoriaConfig(
        hidden_dim=3, lanes=2, num_reminded_stm=2, stm_capacity=3, initial_lifespan=3.5
    )
    numbers = np.random.default_rng(1)
    texts = [["plain", None], [HOSTILE, "x" * 99]]
    places = [[("a.txt", 4), None], [(HOSTILE, 0), ("a.txt", 2**40)]]
    with MemoryStore.create(path, config) as made:
        for _ in range(9):
            made.step(numbers.random((2, 2, 3), dtype=np.float32), "uniform:0.25", texts, places)
        made.pin([32, 33])
        made.forget([34])
        made.add(numbers.random((2, 2, 3), dtype=np.float32), texts, places)
        made.remind()
    return path


@pytest.fixture
def view(store: Path) -> Iterator[Inspection]:
    with Inspection.open(store) as opened:
        yield opened


def everyone(view: Inspection, kind: Any = "all") -> list[dict[str, Any]]:
    return list(view.listing(EngramFilter(kind)).documents())


def edges_of(view: Inspection) -> dict[tuple[int, int], tuple[int, float]]:
    return {
        (one["source"], one["target"]): (one["cofire_count"], one["weight"]) for one in view.edges()
    }


def vectors_of(view: Inspection, listed: list[dict[str, Any]]) -> Any:
    return view.vectors(np.array([one["id"] for one in listed]))


def test_parquet(view: Inspection, tmp_path: Path) -> None:
    assert len({one["type"] for one in everyone(view)}) == 4
    written = export_memory(view, tmp_path / "p", "parquet", forgotten=True, vectors=True)
    expected, edges = everyone(view), edges_of(view)
    table = pq.read_table(tmp_path / "p" / "engrams.parquet")
    rows = table.to_pylist()
    for row, one in zip(rows, expected, strict=True):
        row.pop("vector")
        time = row.pop("created_time")
        told = None if time is None else time.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        assert {**row, "created_time": told} == one
    vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, 3)
    assert np.array_equal(vectors, vectors_of(view, expected))
    assert json.loads(table.schema.metadata[b"memoria"]) == {
        "step": 9,
        "digest": view.digest,
        "config": view.config.model_dump(mode="json"),
    }
    found = pq.read_table(tmp_path / "p" / "edges.parquet").to_pylist()
    assert {
        (one["source"], one["target"]): (one["cofire_count"], one["weight"]) for one in found
    } == edges
    assert all(one["lane"] == one["source"] % 2 for one in found)
    log = pq.read_table(tmp_path / "p" / "firings.parquet").to_pylist()
    assert len(log) == len(view.firings.ids)
    for id_ in range(view.created):
        mine = [(one["step"], one["lifespan"]) for one in log if one["id"] == id_]
        assert mine == [(one["step"], one["lifespan"]) for one in view.engram(id_)["firings"]]
    steps = pq.read_table(tmp_path / "p" / "steps.parquet").drop(["time"]).to_pylist()
    assert steps == [{k: v for k, v in one.items() if k != "time"} for one in view.history()]
    assert written == {
        "format": "parquet",
        "path": str(tmp_path / "p"),
        "step": 9,
        "engrams": view.created,
        "edges": len(edges),
        "bytes": sum(file.stat().st_size for file in (tmp_path / "p").iterdir()),
    }


@pytest.mark.parametrize("forgotten", [False, True])
def test_jsonl(view: Inspection, tmp_path: Path, forgotten: bool) -> None:
    out = tmp_path / "m.jsonl"
    export_memory(view, out, "jsonl", forgotten=forgotten, vectors=True)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    expected = everyone(view, "all" if forgotten else "living")
    expected.sort(key=lambda one: (one["lane"], one["id"]))
    vectors = [row.pop("vector") for row in rows]
    assert np.array_equal(np.array(vectors, np.float32), vectors_of(view, expected))
    connections = {row["id"]: row.pop("connections") for row in rows}
    assert rows == expected
    found = {
        (id_, one["id"]): (one["cofire_count"], one["weight"])
        for id_, several in connections.items()
        for one in several
    }
    assert found == edges_of(view)
    for several in connections.values():
        weights = [one["weight"] for one in several]
        assert weights == sorted(weights, reverse=True)


def test_graphml(view: Inspection, tmp_path: Path) -> None:
    out = tmp_path / "m.graphml"
    export_memory(view, out, "graphml", forgotten=True)
    graph = networkx.read_graphml(out)
    assert graph.is_directed()
    assert not graph.is_multigraph()
    nodes = dict(graph.nodes(data=True))
    assert len(nodes) == view.created
    for one in everyone(view):
        node = nodes[str(one.pop("id"))]
        expected = {name: value for name, value in one.items() if value is not None}
        for name in ("text", "source"):
            if expected.get(name) == HOSTILE:
                expected[name] = XML
        assert node == expected
    found = {
        (int(a), int(b)): (data["cofire_count"], data["weight"])
        for a, b, data in graph.edges(data=True)
    }
    assert found == edges_of(view)
    ElementTree.parse(out)


@pytest.mark.parametrize("form", FORMATS)
def test_the_past_a_limit_of_edges_and_nothing_at_all(
    store: Path, tmp_path: Path, form: str
) -> None:
    for step, most in ((4, 1), (0, 64), (9, 0)):
        heard: list[int] = []

        def hear(rows: int, total: int, heard: list[int] = heard) -> None:
            heard.append(rows)

        with Inspection.open(store, at=step) as view:
            out = tmp_path / f"{step}.{form}"
            written = export_memory(view, out, form, edges=most, progress=hear)
            listed = view.engram_list()
            counts = [0] * view.created
            for one in view.edges():
                counts[one["source"]] += 1
        assert written["engrams"] == len(listed)
        assert written["edges"] == sum(min(most, count) for count in counts)
        assert written["step"] == step
        assert heard == sorted(heard)
        assert bool(heard) == (step > 0)


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_memory_gives_the_same_bytes(view: Inspection, tmp_path: Path, form: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        export_memory(view, tmp_path / name / "m", form, forgotten=True)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_there_stays_unless_forced(view: Inspection, tmp_path: Path, form: str) -> None:
    out = tmp_path / "m"
    export_memory(view, out, form)
    before = fingerprint(tmp_path)
    with pytest.raises(StoreExistsError, match="--force"):
        export_memory(view, out, form)
    assert fingerprint(tmp_path) == before
    export_memory(view, out, form, force=True, forgotten=True)
    assert fingerprint(tmp_path) != before
    assert os.listdir(tmp_path) == ["m"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    with pytest.raises(StoreExistsError, match="folder of something else"):
        export_memory(view, mine, form, force=True)
    assert (mine / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("form", FORMATS)
def test_a_failure_on_the_way_leaves_nothing(
    view: Inspection, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m"
    export_memory(view, out, form)
    before = fingerprint(tmp_path)

    def full(rows: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        export_memory(view, out, form, force=True, progress=full)
    assert fingerprint(tmp_path) == before
    assert os.listdir(tmp_path) == ["m"]


def test_what_cannot_be(view: Inspection, store: Path, tmp_path: Path) -> None:
    before = fingerprint(store)
    with pytest.raises(InputError, match="known are parquet"):
        export_memory(view, tmp_path / "m", "xlsx")
    for form in ("gexf", "npz"):  # written once, no more
        with pytest.raises(InputError, match="known are parquet"):
            export_memory(view, tmp_path / "m", form)
    with pytest.raises(InputError, match="holds no vectors"):
        export_memory(view, tmp_path / "m", "graphml", vectors=True)
    link = tmp_path / "link"
    link.symlink_to(store)
    for out in (store / "m", store, link / "log" / "m"):
        with pytest.raises(InputError, match="in the store itself"):
            export_memory(view, out, "jsonl", force=True)
    with pytest.raises(StorageError, match="there is no folder"):
        export_memory(view, tmp_path / "no" / "m", "jsonl")
    assert fingerprint(store) == before


def test_without_pyarrow(view: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memoria-engrams\[parquet\]'"):
        export_memory(view, tmp_path / "m", "parquet")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("form", FORMATS)
def test_the_verb_takes_the_format_from_the_name(cli: Cli, store: Path, form: str) -> None:
    document = cli.ok("export", store, f"m.{form}", "--json").json
    assert sorted(document) == ["bytes", "edges", "engrams", "format", "path", "step"]
    assert document["format"] == form
    assert document["path"] == os.path.abspath(f"m.{form}")
    told = cli.ok("export", f"{store}@4", "other", "--format", form, "--edges", 1).out
    assert "engrams and" in told
    assert "connections in other" in told
    assert cli.ok("export", store, f"m.{form}", "--force", "--forgotten").out
    with Inspection.open(store) as view:
        assert document["engrams"] < view.created


def test_errors_of_the_verb_are_one_line(cli: Cli, store: Path, tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").write_text("mine")
    before = fingerprint(tmp_path)
    cases: list[tuple[tuple[object, ...], int, str]] = [
        (("nowhere", "m.jsonl"), 10, "no store"),
        ((store, "m"), 2, "names no format"),
        ((store, "m", "--format", "xlsx"), 2, "--format"),
        ((store, "there.jsonl"), 1, "exists already"),
        ((store, "no/m.jsonl"), 1, "there is no folder"),
        ((store, store / "m.jsonl"), 2, "in the store itself"),
        ((store, "m.graphml", "--vectors"), 2, "holds no vectors"),
        ((f"{store}@99", "m.jsonl"), 2, "step = 99"),
        ((store, "m.jsonl", "--edges", -1), 2, "--edges"),
        ((store,), 2, "OUT"),
    ]
    for arguments, code, part in cases:
        ran = cli("export", *arguments)
        assert (ran.code, ran.out) == (code, ""), ran
        assert part in ran.err
        assert ran.err.count("\n") == 1
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("form", FORMATS)
def test_a_lane_with_an_engram_and_no_connection(cli: Cli, form: str) -> None:
    cli("init", "lonely", "--wm-length", "1")
    cli("step", "lonely", "--text", "Bees fly.")
    done = cli("export", "lonely", f"lonely.{form}", "--format", form)
    assert done.code == 0, done.err
    assert "1 engram" in done.out


def test_what_was_done_and_what_stands_beside_is_shown(cli: Cli, tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "s", MemoriaConfig(hidden_dim=3)) as store:
        vectors = np.eye(3, dtype=np.float32)
        meta = {"speaker": "Ané", "n": [1, None]}
        store.step(
            vectors[:2], texts=["a", "b"], times=[1_700_000_000_123, None], meta=[meta, None]
        )
        store.recall([0], 2.0)
        store.edit(0, text="A")
    (row, other) = cli("list", "s", "--json").json["engrams"]
    assert (row["text"], row["time"], row["meta"]) == ("A", 1_700_000_000_123, meta)
    assert (other["time"], other["meta"]) == (None, None)
    shown = cli("inspect", "s", "0")
    assert "2023-11-14 22:13 UTC" in shown.out
    assert '{"n": [1, null], "speaker": "Ané"}' in shown.out
    assert "recalled by hand" in shown.out
    document = cli("inspect", "s", "0", "--json").json
    assert [one["what"] for one in document["events"]] == ["recalled", "edited"]
    assert (document["time"], document["meta"]) == (row["time"], meta)
    csv = cli("list", "s", "--format", "csv").out.splitlines()
    assert csv[1].endswith('1700000000123,"{""n"": [1, null], ""speaker"": ""An\\u00e9""}"')
    cli.ok("export", "s", "out", "--format", "parquet")
    row, other = pq.read_table(tmp_path / "out" / "engrams.parquet").to_pylist()
    assert row["time"].timestamp() == 1_700_000_000.123
    assert json.loads(row["meta"]) == meta
    assert (other["time"], other["meta"]) == (None, None)
