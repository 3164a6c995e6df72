"""`memoria report`: what is in the file, without a browser."""

from __future__ import annotations

import hashlib
import re
import sys
from base64 import b64encode
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli, fingerprint
from hypothesis import given
from hypothesis import strategies as st
from report_stores import HOSTILE, block, column, remember
from spec_reader import SpecReader

from memoria.analysis import Chronicle, open_chronicle
from memoria.analysis.connections import Edges, strongest_edges
from memoria.analysis.layout import layout_in_cells
from memoria.analysis.meaning import place
from memoria.errors import InputError
from memoria.query.inspection import Inspection
from memoria.report import graph as graph_module
from memoria.report import write_report, writing
from memoria.report.graph import Slider, choose
from memoria.report.page import excerpt, json_for_script, packed
from memoria.report.plots import PLOTTED, library
from memoria.report.writing import compose
from memoria.store import MemoryStore
from memoria.timeline.engram_type import EngramType
from memoria.timeline.fold import Expiries
from memoria.timeline.log import Firings

MEGABYTE = 10**6


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return remember(tmp_path_factory.mktemp("life") / "notes", 40)


@pytest.fixture(autouse=True)
def short_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five megabytes of plotly in every page say nothing here."""
    monkeypatch.setattr(writing, "library", lambda: "/* plotly.js v0 */")


class Elements(HTMLParser):
    """Every element of a page with its attributes; complains of what is left open."""

    EMPTY = ("meta", "input", "link", "br", "img")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def written(store: Path, out: Path, **options: object) -> str:
    write_report(store, out, force=True, **options)  # type: ignore[arg-type]
    return out.read_text(encoding="utf-8")


def test_the_verb_writes_one_page(cli: Cli, life: Path, tmp_path: Path) -> None:
    before = fingerprint(life)
    document = cli.ok("report", life, "-o", "report.html", "--json").json
    out = tmp_path / "report.html"
    assert document["path"] == str(out)
    assert document["bytes"] == out.stat().st_size
    assert (document["step"], document["engrams"], document["shown"]) == (40, 80, 80)
    assert "80 of 80 engrams at step 40" in cli.ok("report", life, "-o", "b.html").out
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["b.html", "report.html"]
    assert out.read_bytes() == (tmp_path / "b.html").read_bytes()
    assert fingerprint(life) == before


def test_bad_calls_write_nothing(cli: Cli, life: Path, tmp_path: Path) -> None:
    (tmp_path / "there.html").write_text("mine")
    (tmp_path / "folder").mkdir()
    for code, *arguments in (
        (1, life, "-o", "there.html"),
        (1, life, "-o", "folder", "--force"),
        (1, life, "-o", "nowhere/report.html"),
        (2, life, "-o", life / "report.html"),
        (2, life, "-o", "a.html", "--lane", "1"),
        (2, life, "-o", "a.html", "--most-engrams", "2001"),
        (2, life, "-o", "a.html", "--most-engrams", "0"),
        (2, f"{life}@41", "-o", "a.html"),
        (2, life),
        (10, "nobody", "-o", "a.html"),
    ):
        ran = cli("report", *arguments)
        assert (ran.code, ran.out) == (code, ""), arguments
        assert "Traceback" not in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "there.html"]
    assert (tmp_path / "there.html").read_text() == "mine"
    cli.ok("report", life, "-o", "there.html", "--force")
    assert (tmp_path / "there.html").read_text() != "mine"


def test_the_past_and_archives_open_too(cli: Cli, life: Path, tmp_path: Path) -> None:
    cli.ok("export", life, "notes.memoria.zip")
    assert cli.ok("report", f"{life}@7", "-o", "then.html", "--json").json["step"] == 7
    graph = block((tmp_path / "then.html").read_text("utf-8"), "data-graph")
    assert (graph["steps"], graph["total"]) == (7, 14)
    cli.ok("report", "notes.memoria.zip", "-o", "zip.html")
    cli.ok("report", life, "-o", "store.html")
    one, other = ((tmp_path / f"{name}.html").read_text("utf-8") for name in ("zip", "store"))
    assert block(one, "data-graph") == block(other, "data-graph")


def test_a_memory_elsewhere(
    cli: Cli, life: Path, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    cli.ok("push", life, "s3://memories/reports/notes")
    document = cli.ok("report", "s3://memories/reports/notes", "-o", "far.html", "--json").json
    assert (document["step"], document["shown"]) == (40, 80)
    assert "<bdi>notes</bdi>" in Path("far.html").read_text("utf-8")


@pytest.mark.parametrize("steps", [0, 1])
def test_memories_of_nothing_and_of_little(tmp_path: Path, steps: int) -> None:
    store = remember(tmp_path / "young", steps, width=1)
    page = written(store, tmp_path / "page.html")
    Elements(page)
    graph = block(page, "data-graph")
    assert (graph["total"], graph["positions"], graph["connections"]) == (steps, steps, 0)


def test_a_step_under_way_is_left_out(cli: Cli, tmp_path: Path) -> None:
    cli.ok("init", "notes")
    for text in ("One thing.", "Another thing."):
        cli.ok("step", "notes", "--text", text)
    cli.ok("add", "notes", "--text", "A third thing.")
    assert cli.ok("report", "notes", "-o", "a.html", "--json").json["engrams"] == 2
    cli.ok("remind", "notes")
    assert cli.ok("report", "notes", "-o", "b.html", "--json").json["engrams"] == 2
    page = (tmp_path / "b.html").read_text("utf-8")
    assert "under way" in page
    assert block(page, "data-graph")["texts"] == ["One thing.", "Another thing."]


def test_what_the_graph_says_is_what_the_chronicle_says(life: Path, tmp_path: Path) -> None:
    graph = block(written(life, tmp_path / "page.html"), "data-graph")
    ends = [0, *column(graph["fired"]["ends"])]
    ranks = column(graph["fired"]["ranks"])
    engrams = {name: column(values) for name, values in graph["engrams"].items()}
    counts = {name: column(values) for name, values in graph["counts"].items()}
    with open_chronicle(life) as chronicle:
        everyone = np.arange(len(chronicle))
        assert engrams["id"] == chronicle.ids.tolist()
        assert graph["texts"] == chronicle.texts(chronicle.ids)
        assert engrams["gone"] == chronicle.gone.tolist()
        assert 0 < np.count_nonzero(chronicle.gone) < len(chronicle)
        for step in range(1, 41):
            assert sorted(ranks[ends[step - 1] : ends[step]]) == sorted(chronicle.fired(step))
            kinds = chronicle.types(everyone, step)
            for name in ("working", "shortterm", "longterm"):
                expected = np.count_nonzero(kinds == EngramType[name.upper()])
                assert counts[name][step - 1] == expected, (name, step)
            gone = (chronicle.gone > 0) & (chronicle.gone < step)
            assert counts["forgotten"][step - 1] == np.count_nonzero(gone)
            assert counts["fired"][step - 1] == len(chronicle.fired(step))
        kinds = chronicle.types_after(everyone, 40)
        for name in ("shortterm", "longterm"):
            assert counts[name][40] == np.count_nonzero(kinds == EngramType[name.upper()])
        assert counts["working"][40] == 0
        assert counts["forgotten"][40] == np.count_nonzero(chronicle.gone)


def test_the_last_position_says_what_the_summary_says(life: Path, tmp_path: Path) -> None:
    graph = block(written(life, tmp_path / "page.html"), "data-graph")
    with Inspection.open(life) as view:
        lanes = view.summary()["lanes"]
    for name in ("working", "shortterm", "longterm", "forgotten"):
        last = column(graph["counts"][name])[-1]
        assert last == sum(one[name] for one in lanes), name


def test_pinned_engrams_live_as_long_as_the_specification_says(tmp_path: Path) -> None:
    """Pinned after step 6 and unpinned, or not, after step 9; steps and pages as everywhere."""
    store = remember(tmp_path / "pins", 6)
    rng = np.random.default_rng(1)
    with MemoryStore.open(store, mode="r+") as memory:
        pins = SpecReader(store).state().engrams
        memory.pin(list(pins))
        for step in range(6):
            memory.step(rng.normal(size=(1, 2, 4)).astype(np.float32))
            if step == 2:
                memory.unpin(list(pins)[::2])
    graph = block(written(store, tmp_path / "pins.html"), "data-graph")
    engrams = {name: column(values) for name, values in graph["engrams"].items()}
    expected = SpecReader(store).state()
    assert any(one.pinned for one in expected.engrams.values())
    left = dict(zip(engrams["id"], engrams["lifespan"], strict=True))
    gone = {id_ for id_, step in zip(engrams["id"], engrams["gone"], strict=True) if step}
    assert {id_: left[id_] for id_ in left if id_ not in gone} == {
        id_: np.float32(one.expiry - 12) for id_, one in expected.engrams.items()
    }


def test_only_one_lane(tmp_path: Path) -> None:
    store = remember(tmp_path / "two", 12, lanes=2)
    both = block(written(store, tmp_path / "both.html"), "data-graph")
    graph = block(written(store, tmp_path / "one.html", lane=1), "data-graph")
    assert both["total"] == 2 * graph["total"] == 48
    assert set(column(graph["engrams"]["lane"])) == {1}
    assert set(column(both["engrams"]["lane"])) == {0, 1}
    lane = column(both["engrams"]["lane"])
    ends = zip(column(both["edges"]["source"]), column(both["edges"]["target"]), strict=True)
    assert all(lane[a] == lane[b] for a, b in ends)


def test_the_strongest_connections(life: Path) -> None:
    with open_chronicle(life) as chronicle:
        everyone = np.arange(len(chronicle))
        together = np.zeros((len(chronicle), len(chronicle)), np.int64)
        for step in range(1, chronicle.steps + 1):
            fired = chronicle.fired(step)
            together[np.ix_(fired, fired)] += 1
        np.fill_diagonal(together, 0)
        edges = strongest_edges(chronicle, everyone, 3)
        for engram in everyone.tolist():
            mine = edges.source == engram
            expected = np.sort(together[engram])[::-1][:3]
            assert edges.cofires[mine].tolist() == expected[expected > 0].tolist()
            assert (together[engram, edges.target[mine]] == edges.cofires[mine]).all()
        weight = edges.cofires / chronicle.fires[edges.source]
        assert (edges.weight == weight).all()


@given(st.integers(1, 90))
def test_which_engrams_a_graph_shows(most: int) -> None:
    fires = np.random.default_rng(most).integers(1, 9, 80)
    chronicle = Chronicle.__new__(Chronicle)
    chronicle.__dict__["fires"] = fires
    chosen = choose(chronicle, np.arange(80), most)
    assert len(chosen) == len(set(chosen.tolist())) == min(most, 80)
    assert (np.diff(chosen) > 0).all()
    if most < 80:
        assert set(range(80 - most // 4, 80)) <= set(chosen.tolist())
        often = np.sort(fires[: 80 - most // 4])[::-1][: most // 4]
        assert np.isin(chosen, np.flatnonzero(fires >= often.min(initial=99))).sum() >= len(often)
        if most >= 8:  # spread: no gap longer than two runs
            assert int(np.diff(chosen, prepend=0).max()) <= 2 * -(-80 // (most // 2))


def test_the_layout_is_the_same_each_time(life: Path) -> None:
    with open_chronicle(life) as chronicle:
        edges = strongest_edges(chronicle, np.arange(80), 4)
        xy = layout_in_cells(chronicle.lane, edges)
        assert (layout_in_cells(chronicle.lane, edges) == xy).all()
    assert xy.min() == 0
    assert xy.max() == 1
    assert len(np.unique(xy, axis=0)) == 80


def test_lanes_and_pieces_have_cells_of_their_own() -> None:
    """Five lanes, each of ten engrams in two pieces and one alone, in a grid of 3 by 2."""
    lanes = np.repeat([0, 2, 5, 6, 9], 11)
    first = np.concatenate([11 * lane + np.array([0, 1, 2, 3, 5, 6, 7, 8]) for lane in range(5)])
    ones = np.ones(len(first), np.int64)
    edges = Edges(first, first + 1, ones, ones.astype(float))
    xy = layout_in_cells(lanes, edges)
    assert (layout_in_cells(lanes, edges) == xy).all()
    cells = (xy * (3, 2)).astype(int)
    for cell, lane in enumerate((0, 2, 5, 6, 9)):
        assert np.unique(cells[lanes == lane], axis=0).tolist() == [[cell % 3, cell // 3]]
        mine = xy[lanes == lane] * (3, 2) % 1
        assert np.ptp(mine, axis=0).min() > 0.5
        together = np.linalg.norm(mine[0] - mine[1])
        assert together < np.linalg.norm(mine[0] - mine[9])
    assert layout_in_cells(
        np.zeros(1, np.int64), Edges(*(ones[:0],) * 3, np.empty(0))
    ).tolist() == [[0.5, 0.5]]
    assert layout_in_cells(lanes[:0], Edges(*(ones[:0],) * 3, np.empty(0))).shape == (0, 2)


def test_without_the_extra(cli: Cli, life: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("networkx", "plotly.graph_objects"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            ran = cli("report", life, "-o", "a.html")
            assert (ran.code, ran.out) == (1, "")
            assert "pip install 'memoria-engrams[viz]'" in ran.err
            assert not Path("a.html").exists()


def test_long_lives_take_bounded_room(
    monkeypatch: pytest.MonkeyPatch, life: Path, tmp_path: Path
) -> None:
    with open_chronicle(life) as chronicle:
        everyone, every = np.arange(len(chronicle)), np.ones(len(chronicle), np.bool_)
        whole = Slider.fit(chronicle, every, everyone)
        monkeypatch.setattr(graph_module, "_MOST_FIRINGS", 150)
        less = Slider.fit(chronicle, every, everyone)
        assert less.bins.width > 1
        assert len(less.fired) <= 150 < len(whole.fired)
        last = np.append(less.bins.ends - 1, 40)  # and what the last step left
        assert (less.counts["longterm"] == whole.counts["longterm"][last]).all()
        assert less.counts["fired"][:-1].sum() == whole.counts["fired"][:-1].sum()
        first = set(whole.fired[: whole.ends[less.bins.width - 1]].tolist())
        assert set(less.fired[: less.ends[0]].tolist()) == first
        monkeypatch.setattr(graph_module, "_MOST_FIRINGS", 0)
        assert len(Slider.fit(chronicle, every, everyone).bins) == 1
    text = written(life, tmp_path / "page.html")
    assert "The slider moves 40 steps at a time" in text


def test_the_map_of_a_page_is_that_of_the_vectors(life: Path, tmp_path: Path) -> None:
    graph = block(written(life, tmp_path / "page.html"), "data-graph")
    with open_chronicle(life) as chronicle:
        xy = place(chronicle.vectors(chronicle.ids)).xy
    for name, values in (("x", xy[:, 0]), ("y", -xy[:, 1])):
        seen = np.array(column(graph["map"][name]))
        assert (seen.min(), seen.max()) == (0, 65_535)
        assert np.corrcoef(seen, values)[0, 1] > 0.9999


def test_texts_outside_of_the_graph_can_be_searched(
    life: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = written(life, tmp_path / "page.html", most_engrams=10)
    graph = block(page, "data-graph")
    others = graph["others"]
    assert sorted(graph["texts"] + others["texts"]) == sorted(f"thing {n}" for n in range(80))
    assert [f"thing {n}" for n in column(others["ids"])] == others["texts"]
    assert "The search knows all texts." in page
    monkeypatch.setattr(graph_module, "_OTHER_TEXTS", 300)
    page = written(life, tmp_path / "page.html", most_engrams=10)
    kept = block(page, "data-graph")["others"]
    assert 10 < len(kept["texts"]) < kept["total"] == 70
    assert f"The search knows {len(kept['texts']) + 10} texts." in page


def test_settings_and_sources_are_on_the_page(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One. Two. Three.")
    (tmp_path / "<b>.txt").write_text("Four.")
    cli.ok("init", "notes", "--wm-length", "2")
    cli.ok("step", "notes", "a.txt", "<b>.txt")
    page = written(tmp_path / "notes", tmp_path / "page.html")
    Elements(page)
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    by_name = {row[0].rpartition("/")[2]: row[1:] for row in cells if row}
    assert by_name["a.txt"] == ["3", "1", "2"]
    assert by_name["&lt;b&gt;.txt"][0] == "1"
    assert by_name["wm length"] == ["2"]


def test_few_of_many(life: Path, tmp_path: Path) -> None:
    page = written(life, tmp_path / "page.html", most_engrams=10)
    graph = block(page, "data-graph")
    assert (graph["shown"], graph["total"], len(graph["texts"])) == (10, 80, 10)
    assert "10 of 80 engrams" in page
    assert column(graph["counts"]["fired"])[5] > 2  # the counts are of all
    with pytest.raises(InputError, match="most_engrams"):
        write_report(life, tmp_path / "no.html", most_engrams=2001)


def dense(steps: int, engrams: int) -> Chronicle:
    """A life in which all fire as often as can be, and say as much as can be said."""
    born = np.sort(np.random.default_rng(0).integers(1, steps + 1, engrams))
    fired_steps = np.repeat(np.arange(1, steps + 1), 30)
    fired = np.minimum(fired_steps * 7 + np.tile(np.arange(30), steps), 10**9) % engrams
    keys = np.unique(
        np.concatenate((fired_steps * engrams + fired, born * engrams + np.arange(engrams)))
    )
    fired, fired_steps = keys % engrams, keys // engrams
    late = fired_steps >= born[fired]
    fired, fired_steps = fired[late], fired_steps[late]
    entries = Firings(
        fired, fired_steps, fired_steps + np.random.default_rng(1).random(len(fired)) * 90 + steps
    )
    return Chronicle(
        lanes=1,
        steps=steps,
        first_step=1,
        ids=np.arange(engrams),
        born=born,
        gone=np.zeros(engrams, np.int64),
        longterm=np.minimum(born + 1, steps),
        added=np.bincount(born, minlength=steps + 1)[1:],
        fired_ids=fired,
        fired_steps=fired_steps,
        settings=lambda: Expiries.of(entries, steps),
        read_texts=lambda ids: ["\U0001f9e0<\x00&" * 200] * len(ids),
    )


def test_no_life_makes_a_page_of_ten_megabytes(monkeypatch: pytest.MonkeyPatch, life: Path) -> None:
    monkeypatch.setattr(
        graph_module,
        "layout_in_cells",
        lambda lanes, _: np.random.default_rng(0).random((len(lanes), 2)),
    )
    with Inspection.open(life) as view:
        about = view.summary()
    text, graph, plots = compose(about, dense(21_000, 2_500), None, 2_000, library())
    size = len(text.encode())
    assert size < 10 * MEGABYTE
    assert size > 7 * MEGABYTE  # it is a large one
    assert (graph["shown"], graph["steps"]) == (2_000, 21_000)
    assert graph["positions"] <= 20_000
    assert len(graph["texts"][0]) >= 100
    assert plots == list(PLOTTED)


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    store = remember(tmp_path / "<b>&amp;\u202e", 6, texts=HOSTILE)
    page = written(store, tmp_path / "page.html")
    assert len(page.encode()) < 9 * MEGABYTE
    found = Elements(page)
    assert found.named("img") == []
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert len(outside) > 10_000
    for evil in ("owned", "<b>", "\u202e"):
        assert evil not in outside
    graph = block(page, "data-graph")
    for text, said, length in zip(
        HOSTILE * 2, graph["texts"], column(graph["lengths"]), strict=True
    ):
        assert said == text[:400]
        assert length == len(text)


def test_nothing_is_fetched_and_only_known_scripts_run(life: Path, tmp_path: Path) -> None:
    page = written(life, tmp_path / "page.html")
    found = Elements(page)
    for tag, attributes in found.found:
        assert "src" not in attributes, tag
        assert not {name for name in attributes if name.startswith("on")}, tag
        assert tag not in ("link", "iframe", "object", "embed", "base", "form"), tag
        assert (attributes.get("href") or "#").startswith("#")
    assert "@import" not in page
    assert page.count("plotly.js v") == 1
    policy = next(
        one["content"]
        for one in found.named("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    scripts = re.findall(r'<script(?: type="text/plain" id="library")?>(.*?)</script>', page, re.S)
    assert len(scripts) == 5
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    assert allowed == [b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]


def test_the_page_can_be_read_by_machines(life: Path, tmp_path: Path) -> None:
    found = Elements(written(life, tmp_path / "page.html"))
    ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert found.named("html")[0]["lang"] == "en"
    assert len(found.named("main")) == len(found.named("h1")) == len(found.named("title")) == 1
    labels = {attributes.get("for") for attributes in found.named("label")}
    for tag in ("input", "select"):
        for attributes in found.named(tag):
            assert attributes["id"] in labels
    for _, attributes in found.found:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert attributes.get(name) is None or attributes[name] in ids
    headings = [int(tag[1]) for tag, _ in found.found if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(headings))


@given(st.lists(st.integers(-(2**40), 2**40)) | st.lists(st.integers(0, 2**17)))
def test_whole_numbers_come_back(values: list[int]) -> None:
    assert column(packed(np.array(values, np.int64))) == values


@given(st.text() | st.text(st.characters(categories=("Cs", "Cc", "Lo"))), st.integers(0, 9))
def test_any_text_becomes_an_excerpt(text: str, most: int) -> None:
    first, length = excerpt(text, most)
    assert len(first) <= most
    assert length == len(text)
    block = json_for_script({"text": first, "evil": "</script><!--"})
    assert "<" not in block
    block.encode("utf-8")


def test_the_files_of_the_page_are_packaged() -> None:
    folder = Path(graph_module.__file__).parent
    assert {path.name for path in folder.iterdir() if path.suffix not in ("", ".py")} == {
        *("page.html", "page.css", "memory.js", "drawing.js", "controls.js"),
        *("plots.js", "house.css"),
    }
