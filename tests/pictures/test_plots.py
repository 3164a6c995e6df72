"""Pictures: what they show, that they are the same bytes each time, and need no network."""

from __future__ import annotations

import json
import random
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from past_lives import PastLife, live

from memoria.analysis import KINDS, Analysis, Chronicle, analyse, open_chronicle, write_table
from memoria.analysis.palette import GROUND, MEMORY_COLOURS
from memoria.errors import InputError, MissingExtraError, StorageError, StoreExistsError
from memoria.plots import PICTURES, draw, figure
from memoria.plots.drawing import SCENES, scene_of
from memoria.plots.marks import Bars, Cloud, Heat, Line, Points, Segments

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chronicle]:
    path = tmp_path_factory.mktemp("life") / "store"
    live(PastLife(13), path, 40, random.Random(1))
    with open_chronicle(path) as chronicle:
        yield chronicle


@pytest.fixture
def nothing(tmp_path: Path) -> Iterator[Chronicle]:
    path = tmp_path / "store"
    live(PastLife(5), path, 0, random.Random(1))
    with open_chronicle(path) as chronicle:
        yield chronicle


def test_every_kind_has_a_scene() -> None:
    assert set(SCENES) == set(KINDS)


def test_what_people_recall_next_lies_over_contiguity_when_it_is_asked_for(
    lived: Chronicle,
) -> None:
    plain, beside = (analyse(lived, "contiguity", people=one) for one in (False, True))
    people = beside.frames["people"]
    assert list(beside.frames) == ["contiguity", "people"]
    assert list(plain.frames) == ["contiguity"]
    next_, before = (people["recalled_next"][people["lag"] == lag][0] for lag in (1, -1))
    assert (next_, before) == (0.433, 0.255)  # of PEERS, as the experiment `freerecall` has it
    lines = [mark for mark in scene_of(beside).marks if isinstance(mark, Line)]
    assert len(lines) == 3  # a gap where the word itself would be
    np.testing.assert_array_equal(np.concatenate([one.x for one in lines[1:]]), people["lag"])
    assert "People recall next" in beside.alt
    assert "People" not in plain.alt


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_shows_the_numbers(lived: Chronicle, kind: str) -> None:
    """What can be recounted from the marks is what the table says."""
    analysis = analyse(lived, kind, **({"lane": 0} if kind == "connections" else {}))
    frame, marks = analysis.frame(), scene_of(analysis).marks
    assert not scene_of(analysis).empty
    if kind == "survival":
        old, new = (mark for mark in marks if isinstance(mark, Bars))
        assert (old.base == 0).all()
        assert (new.base == old.height).all()
        assert (old.colour, new.colour) == (
            MEMORY_COLOURS["longterm"],
            MEMORY_COLOURS["shortterm"],
        )
        np.testing.assert_allclose(old.height + new.height, frame["share"])
    elif kind == "raster":
        points = [mark for mark in marks if isinstance(mark, Points)]
        assert sum(len(mark.x) for mark in points) == len(analysis)
        by_colour = {mark.colour: len(mark.x) for mark in points}
        for memory in ("working", "shortterm", "longterm"):
            shown = int((frame["memory"] == memory).sum())
            assert by_colour[MEMORY_COLOURS[memory]] == shown
        lives = next(mark for mark in marks if isinstance(mark, Segments))
        assert (lives.end >= lives.start).all()
    elif kind == "connections":
        heat = next(mark for mark in marks if isinstance(mark, Heat))
        weights = frame["weight"].reshape(heat.values.shape)
        off = ~np.eye(len(weights), dtype=bool)
        assert (heat.values[off] == weights[off]).all()
        assert np.isnan(np.diag(heat.values)).all()
    elif kind == "map":
        points = [mark for mark in marks if isinstance(mark, Points)]
        drawn = {(x, y) for mark in points for x, y in zip(mark.x, mark.y, strict=True)}
        assert drawn == set(zip(frame["x"], frame["y"], strict=True))
        assert len({mark.shape for mark in points}) == len(points), "told apart without colours"
        aged = scene_of(analyse(lived, kind, colour="age")).marks[0]
        assert isinstance(aged, Cloud)
        assert aged.values.tolist() == frame["age"].tolist()
    else:
        lines = [mark for mark in marks if isinstance(mark, Line)]
        column = {
            "contiguity": "mean",
            "reminded-age": "mean",
            "lifespans": "lifespan",
            "sizes": "longterm",
            "autocorrelation": "autocorrelation",
        }[kind]
        drawn = np.concatenate([mark.y for mark in lines])
        wanted = frame[column]
        if kind == "reminded-age":
            wanted = wanted[frame["memory"] != "all"]
        assert set(wanted[np.isfinite(wanted)].tolist()) <= set(drawn.tolist())


@pytest.mark.parametrize("form", PICTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_make_the_same_bytes(
    lived: Chronicle, nothing: Chronicle, tmp_path: Path, kind: str, form: str
) -> None:
    made = []
    for chronicle in (lived, nothing):
        for name in ("a", "b"):
            path = tmp_path / f"{name}.{form}"
            draw(analyse(chronicle, kind), path, force=True)
            made.append(path.read_bytes())
    assert made[0] == made[1] != made[2] == made[3]
    assert b"nothing to show" in made[2] or form == "png"
    analysis = analyse(lived, kind)
    if form == "png":
        assert made[0].startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", made[0][16:24])
        assert width >= 1000
        assert height >= 700
        assert b"Description" in made[0]
    elif form == "svg":
        described = ET.fromstring(made[0]).find(f"{SVG}desc")
        assert described is not None
        assert described.text == analysis.alt
        assert analysis.alt.startswith(analysis.title)
        texts = [node.text for node in ET.fromstring(made[0]).iter(f"{SVG}text")]
        assert {analysis.title, analysis.x_label, analysis.y_label} <= set(texts)
    else:
        text = made[0].decode()
        assert f"<title>{analysis.title}</title>".replace("'", "&#x27;") in text
        assert not re.search(r"<(script|link|img)[^>]*(src|href)=", text)
        assert f'role="img" aria-label="{escape(analysis.alt)}"' in text


def test_a_picture_differs_with_its_numbers(lived: Chronicle, tmp_path: Path) -> None:
    for name, bins in (("a", 40), ("b", 10)):
        draw(analyse(lived, "sizes", bins=bins), tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_matplotlib_is_left_as_it_was(lived: Chronicle, tmp_path: Path) -> None:
    """No pyplot, and what the user has set neither changes nor matters."""
    code = (
        "import sys, matplotlib; from memoria.plots import draw;"
        "from memoria.analysis import analyse, open_chronicle;"
        "matplotlib.rcParams['font.size'] = 30; matplotlib.rcParams['axes.grid'] = True\n"
        f"with open_chronicle({str(lived.name)!r}) as c:\n"
        f" draw(analyse(c, 'sizes'), {str(tmp_path / 'a.png')!r})\n"
        "assert matplotlib.rcParams['font.size'] == 30 and matplotlib.rcParams['axes.grid']\n"
        "assert matplotlib.rcParams['svg.hashsalt'] is None\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    draw(analyse(lived, "sizes"), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_plotly_figure_can_be_had_on_both_grounds(lived: Chronicle, kind: str) -> None:
    for ground in ("light", "dark"):
        made = figure(analyse(lived, kind), ground)
        assert made.layout.paper_bgcolor == GROUND[ground]
        drawn = json.loads(made.to_json())
        assert drawn["data"]
        assert "bdata" not in json.dumps(drawn), "numbers are plain, not packed"
    with pytest.raises(InputError, match="ground = 'pink': unknown; known: light, dark"):
        figure(analyse(lived, kind), "pink")


def test_what_a_title_says_is_never_markup(lived: Chronicle, tmp_path: Path) -> None:
    hostile = replace(
        analyse(lived, "sizes"), title="</script><b onload=x>", note="<img src=x onerror=y>"
    )
    draw(hostile, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text("utf-8")
    assert "<img" not in page.split("plotly.js", 1)[0]
    assert "<b onload" not in page
    assert "onerror=y>" not in page
    draw(hostile, tmp_path / "a.svg")
    ET.parse(tmp_path / "a.svg")


def test_a_file_is_replaced_only_by_force(lived: Chronicle, tmp_path: Path) -> None:
    analysis, path = analyse(lived, "sizes"), tmp_path / "a.png"
    path.write_text("mine")
    for write in (draw, write_table):
        target = path if write is draw else path.with_suffix(".csv")
        target.write_text("mine")
        with pytest.raises(StoreExistsError, match="exists already"):
            write(analysis, target)  # type: ignore[operator]
        assert target.read_text() == "mine"
        write(analysis, target, force=True)  # type: ignore[operator]
        assert target.read_bytes() != b"mine"
        with pytest.raises(InputError, match="the extension names no"):
            write(analysis, tmp_path / "a.doc")  # type: ignore[operator]
        with pytest.raises(StorageError, match="there is no folder"):
            write(analysis, tmp_path / "none" / target.name)  # type: ignore[operator]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.csv", "a.png"]


def test_a_missing_extra_is_named(
    lived: Chronicle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = analyse(lived, "sizes")
    calls: dict[str, Any] = {
        "matplotlib": lambda: draw(analysis, tmp_path / "a.png"),
        "plotly": lambda: draw(analysis, tmp_path / "a.html"),
        "pandas": analysis.to_pandas,
        "pyarrow": lambda: write_table(analysis, tmp_path / "a.parquet"),
    }
    for module, call in calls.items():
        with monkeypatch.context() as patch:
            for loaded in [one for one in sys.modules if one.partition(".")[0] == module]:
                patch.delitem(sys.modules, loaded)
            patch.setitem(sys.modules, module, None)
            extra = "parquet" if module == "pyarrow" else "viz"
            hint = rf"pip install 'memoria-engrams\[{extra}\]'"
            with pytest.raises(MissingExtraError, match=hint):
                call()
    assert list(tmp_path.iterdir()) == []


def test_tables_hold_the_numbers(lived: Chronicle, tmp_path: Path) -> None:
    import pandas

    analysis = analyse(lived, "contiguity", max_lag=60)
    for form in ("csv", "parquet", "json"):
        write_table(analysis, tmp_path / f"t.{form}")
    document = json.loads((tmp_path / "t.json").read_text())
    assert document == json.loads(json.dumps(analysis.document()))
    table = analysis.to_pandas()
    for again in (
        pandas.read_csv(tmp_path / "t.csv"),
        pandas.read_parquet(tmp_path / "t.parquet"),
        pandas.DataFrame(document["frames"]["contiguity"]),
    ):
        pandas.testing.assert_frame_equal(again, table, check_dtype=False)


def test_nan_and_single_points_can_be_drawn(lived: Chronicle, tmp_path: Path) -> None:
    analysis = analyse(lived, "sizes", bins=1)
    assert len(analysis) == 1
    frame = {name: column.astype(float) for name, column in analysis.frame().items()}
    frame["shortterm"][:] = np.nan
    for number, one in enumerate((analysis, replace(analysis, frames={"sizes": frame}))):
        for form in PICTURES:
            draw(_checked(one), tmp_path / f"{number}.{form}")


def _checked(analysis: Analysis) -> Analysis:
    json.dumps(analysis.document(), allow_nan=False)
    return analysis
