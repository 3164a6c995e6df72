"""Texts that DejaVu cannot draw: with a font that has them, else told once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
from cli_tools import Cli
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager

from memoria.analysis.fonts import fonts_for
from memoria.animation.painter import _short

BEES, CLOCK = "蜜蜂飞", "旧钟响"


@pytest.fixture
def only_own_fonts() -> Iterator[None]:
    """The fonts that come with matplotlib, and no other, whatever this machine has."""
    before = list(fontManager.ttflist)
    own = str(Path(matplotlib.get_data_path()))
    fontManager.ttflist[:] = [one for one in before if one.fname.startswith(own)]
    yield
    fontManager.ttflist[:] = before


def make_font(folder: Path, family: str, characters: str) -> Path:
    """A font in which each character is a bar of its own height."""
    names = {ord(one): f"g{number}" for number, one in enumerate(characters)}
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for number, name in enumerate(names.values(), 1):
        pen = TTGlyphPen(None)
        top = 100 + 700 * number // len(names)
        for at, draw in (
            ((100, 0), pen.moveTo),
            ((100, top), pen.lineTo),
            ((800, top), pen.lineTo),
        ):
            draw(at)
        pen.closePath()
        glyphs[name] = pen.glyph()
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder([*glyphs])
    font.setupCharacterMap(names)
    font.setupGlyf(glyphs)
    font.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": family, "styleName": "Regular"})
    font.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    font.setupPost()
    font.save(folder / f"{family}.ttf")
    return folder / f"{family}.ttf"


@pytest.mark.usefixtures("only_own_fonts")
def test_fonts_are_chosen_by_what_they_have(tmp_path: Path) -> None:
    assert fonts_for(["Bees fly. Ça va? Пчёлы 😀"]) == (("DejaVu Sans",), "")
    assert fonts_for([BEES, "한글 ไทย हिन्दी 🐝"]).missing == "".join(
        sorted(BEES + "한글ไทยहिन्दी🐝")
    )
    fontManager.addfont(make_font(tmp_path, "Another", BEES))
    assert fonts_for([BEES, CLOCK]) == (("DejaVu Sans", "Another"), "".join(sorted(CLOCK)))
    fontManager.addfont(make_font(tmp_path, "Noto Sans Test", BEES))
    fontManager.addfont(make_font(tmp_path, "Zebra", CLOCK))
    assert fonts_for([BEES, CLOCK]) == (("DejaVu Sans", "Noto Sans Test", "Zebra"), "")


@pytest.mark.usefixtures("only_own_fonts")
def test_an_animation_draws_them_or_says_so_once(cli: Cli, tmp_path: Path) -> None:
    pictures = []
    for name, text in (("a", BEES), ("b", CLOCK)):
        cli.ok("init", name)
        cli.ok("step", name, "--text", text)
        told = cli("replay", name, "--render", f"{name}.gif", "--json")
        assert told.json["missing"] == "".join(sorted(text))
        assert told.err.count(told.json["missing"]) == 1
        assert "Noto Sans CJK" in told.err
        pictures.append((tmp_path / f"{name}.gif").read_bytes())
    assert pictures[0] == pictures[1]  # boxes
    fontManager.addfont(make_font(tmp_path, "Test", BEES + CLOCK))
    pictures = []
    for name in "ab":
        told = cli("replay", name, "--render", f"{name}.gif", "--force", "--json")
        assert (told.json["missing"], told.err) == ("", "")
        pictures.append((tmp_path / f"{name}.gif").read_bytes())
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bees fly.", "Bees fly."),
        ("蜂" * 31, "蜂" * 31),  # two columns each
        ("蜂" * 32, "蜂" * 30 + " …"),
        ("word " * 20, ("word " * 12)[:-1] + " …"),
        ("a" * 80, "a" * 60 + " …"),
        ("a " + "蜂" * 40, "a " + "蜂" * 29 + " …"),
    ],
)
def test_a_text_keeps_to_its_columns(text: str, shown: str) -> None:
    assert _short(text) == shown
