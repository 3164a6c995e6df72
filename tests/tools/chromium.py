"""A headless Chromium that asks the network for nothing by itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-dev-shm-usage",
)


def installed() -> bool:
    """Whether there is a Chromium and what drives it."""
    return shutil.which("chromium") is not None and shutil.which("chromedriver") is not None


def started(profile: Path, size: str = "1200,1000") -> Any:
    """A selenium driver of a new Chromium with an empty ``profile``; its logs are kept."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*_FLAGS, f"--window-size={size}", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def requested(driver: Any) -> list[str]:
    """The addresses that the pages of ``driver`` asked for since the last call.

    Not what a browser takes from itself, such as the icon that clears a search field.
    """
    messages = [json.loads(one["message"])["message"] for one in driver.get_log("performance")]
    return [
        one["params"]["request"]["url"]
        for one in messages
        if one["method"] == "Network.requestWillBeSent"
        and not one["params"]["request"]["url"].startswith("chrome:")
    ]
