"""Plots as pages in a real Chromium: they draw without a complaint and without a network."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import installed, requested, started
from past_lives import PastLife, live

from memoria.analysis import KINDS, analyse, open_chronicle
from memoria.plots import draw

pytestmark = pytest.mark.skipif(not installed(), reason="no chromium and chromedriver")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    made = started(tmp_path_factory.mktemp("profile"), "1100,700")
    yield made
    made.quit()


@pytest.mark.slow
def test_every_kind_is_drawn(driver: Any, tmp_path: Path) -> None:
    live(PastLife(13), tmp_path / "store", 40, random.Random(1))
    with open_chronicle(tmp_path / "store") as chronicle:
        for kind in KINDS:
            analysis = analyse(chronicle, kind)
            draw(analysis, tmp_path / f"{kind}.html")
            driver.get((tmp_path / f"{kind}.html").as_uri())
            assert driver.get_log("browser") == []
            asked = {url.partition(":")[0] for url in requested(driver)}
            assert asked.isdisjoint({"http", "https", "ws", "wss"})
            drawn = driver.execute_script(
                "const p = document.querySelector('.js-plotly-plot');"
                "return [p.data.length, p.querySelectorAll('.xtick').length,"
                " p.querySelector('.gtitle').textContent, p.getBoundingClientRect().height]"
            )
            assert drawn[0] > 0
            assert drawn[1] > 2 or kind == "map", kind  # whose axes have no numbers
            assert analysis.title in drawn[2]
            assert 400 < drawn[3] <= 700
