"""Plots as pages in a real Chromium: they draw without a complaint and without a network."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from past_lives import PastLife, live

from memoria.analysis import KINDS, analyse, open_chronicle
from memoria.plots import draw

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no chromium and chromedriver"
)

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1100,700"),
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield made
    made.quit()


def asked_for(driver: Any) -> set[str]:
    """The addresses that the page asked for."""
    messages = [json.loads(one["message"])["message"] for one in driver.get_log("performance")]
    sent = [one for one in messages if one["method"] == "Network.requestWillBeSent"]
    return {one["params"]["request"]["url"].partition(":")[0] for one in sent}


def test_every_kind_is_drawn(driver: Any, tmp_path: Path) -> None:
    live(PastLife(13), tmp_path / "store", 40, random.Random(1))
    with open_chronicle(tmp_path / "store") as chronicle:
        for kind in KINDS:
            analysis = analyse(chronicle, kind)
            draw(analysis, tmp_path / f"{kind}.html")
            driver.get((tmp_path / f"{kind}.html").as_uri())
            assert driver.get_log("browser") == []
            assert asked_for(driver).isdisjoint({"http", "https", "ws", "wss"})
            drawn = driver.execute_script(
                "const p = document.querySelector('.js-plotly-plot');"
                "return [p.data.length, p.querySelectorAll('.xtick').length,"
                " p.querySelector('.gtitle').textContent, p.getBoundingClientRect().height]"
            )
            assert drawn[0] > 0
            assert drawn[1] > 2, kind
            assert analysis.title in drawn[2]
            assert 400 < drawn[3] <= 700
