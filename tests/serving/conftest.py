"""A store of three engrams."""

from __future__ import annotations

from pathlib import Path

import pytest
from served_notes import make_notes


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return make_notes(tmp_path / "notes")
