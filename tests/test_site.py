"""The documentation site: built strictly, and read without a network at any width."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import pytest

ROOT = Path(__file__).parent.parent
WIDTHS = {"desktop": (1200, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as CONTRIBUTING.md says; a warning is an error."""
    pytest.importorskip("sphinx")
    built = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", ROOT / "docs", built],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not chromium.installed():
        pytest.skip("no Chromium")
    driver = chromium.started(tmp_path_factory.mktemp("profile"))
    chromium.requested(driver)  # what its first page asked for
    yield driver
    driver.quit()


def test_every_verb_and_setting_has_its_place(site: Path) -> None:
    from memoria import MemoriaConfig
    from memoria_cli.app import VERBS

    verbs = (site / "reference" / "verbs.html").read_text("utf-8")
    for name in VERBS:
        assert f'<section id="{name}' in verbs, name
    settings = (site / "reference" / "settings.html").read_text("utf-8")
    for name in MemoriaConfig.model_fields:
        assert f">{name}<" in settings, name
    python = (site / "reference" / "python.html").read_text("utf-8")
    assert 'id="memoria.MemoryStore.ask"' in python


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", ["index", "reference/verbs", "reference/python", "results/scale"])
def test_a_page_is_read_without_a_network(site: Path, browser: Any, page: str, width: str) -> None:
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    metrics = {**size, "deviceScaleFactor": 1, "mobile": width == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get((site / f"{page}.html").as_uri())
    assert browser.execute_script("return document.querySelector('h1').innerText")
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= size["width"], "the page scrolls sideways"
    outside = [url for url in chromium.requested(browser) if url.startswith(("http", "ws"))]
    assert outside == []


def test_the_search_finds_a_verb_without_a_network(site: Path, browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get((site / "search.html").as_uri() + "?q=snapshot")
    found = WebDriverWait(browser, 30).until(
        lambda driver: driver.execute_script(
            "return [...document.querySelectorAll('#search-results li a')].map(a => a.innerText)"
        )
    )
    assert "memoria.MemoryStore.snapshot" in found, found
