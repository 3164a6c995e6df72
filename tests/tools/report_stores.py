"""Small memories for the tests of reports, and what is inside the page written of them."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from memoria.config import MemoriaConfig
from memoria.store import MemoryStore

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<!-- <script> --> & &amp; ]]> ${1} {{title}}",
    "\u202emirrored\u202c and \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "start \x01 bell \x07 next\u2028line",
    "long " * 200_000,
)


def remember(
    path: Path, steps: int, width: int = 2, lanes: int = 1, texts: tuple[str, ...] = ()
) -> Path:
    """A store with a life of ``steps``, in which much is forgotten; texts in turn."""
    config = MemoriaConfig(
        hidden_dim=4,
        lanes=lanes,
        wm_length=width,
        num_reminded_stm=2,
        stm_capacity=4,
        num_final_ltms=2,
        initial_lifespan=4,
        ltm_search_depth=2,
    )
    rng = np.random.default_rng(0)
    centres = rng.random((5, 4), dtype=np.float32)
    all_texts = texts or tuple(f"thing {n}" for n in range(lanes * width * steps))
    count = 0
    with MemoryStore.create(path, config) as store:
        for _ in range(steps):
            rows = centres[rng.integers(5, size=(lanes, width))]
            some = [all_texts[(count + n) % len(all_texts)] for n in range(lanes * width)]
            count += lanes * width
            store.add(
                rows + rng.normal(0, 0.01, rows.shape).astype(np.float32),
                texts=[some[lane * width : (lane + 1) * width] for lane in range(lanes)],
            )
            store.remind()
            store.adjust("uniform:1.5")
    return path


def block(page: str, name: str) -> Any:
    """The data element ``name`` of a page."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)
    assert found, name
    return json.loads(found[1])


def column(packed: dict[str, str]) -> list[Any]:
    """What a packed column holds."""
    raw = base64.b64decode(packed["base64"])
    values: list[Any] = np.frombuffer(raw, f"<{packed['type']}").tolist()
    return values
