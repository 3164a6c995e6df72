"""Pictures as they are: of 16 bits, with transparent parts, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memoria.errors import InputError

pytest.importorskip("PIL.Image")
from PIL import Image

from memoria.backbones.hf_image import HfImageBackbone

RAMP = np.linspace(0, 65535, 4096).reshape(64, 64)


def opened(item: Any) -> np.ndarray[Any, Any]:
    backbone = HfImageBackbone.__new__(HfImageBackbone)
    backbone.name = "hf:x"
    return np.asarray(backbone._opened(item), np.int64)


@pytest.mark.parametrize("ending", ["png"])
def test_grey_of_16_bits_is_that_of_8_bits(tmp_path: Path, ending: str) -> None:
    wide, narrow = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    Image.fromarray(RAMP.astype(np.uint16)).save(wide)
    Image.fromarray((RAMP / 257).astype(np.uint8)).save(narrow)
    assert np.abs(opened(wide) - opened(narrow)).max() <= 1
    assert opened(wide).shape == (64, 64, 3)


def test_what_has_no_range_is_refused() -> None:
    for image in (Image.new("F", (4, 4)), Image.fromarray(np.full((4, 4), 10**6, np.int32))):
        with pytest.raises(InputError, match=r"mode '[FI]'; save it with 8 or 16 bits"):
            opened(image)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_show_what_is_behind(tmp_path: Path, mode: str) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)  # black throughout, and seen in its middle alone
    pixels[2:6, 2:6, 3] = 255
    picture = Image.fromarray(pixels)
    if mode == "P":
        seen = Image.fromarray(np.where(pixels[..., 3] > 0, 0, 1).astype(np.uint8)).convert("P")
        seen.putpalette([0, 0, 0, 9, 9, 9])
        seen.save(tmp_path / "a.png", transparency=1)
    else:
        picture.convert(mode).save(tmp_path / "a.png")
    expected = np.full((8, 8, 3), 255)
    expected[2:6, 2:6] = 0
    assert np.array_equal(opened(tmp_path / "a.png"), expected)


def test_a_white_drawing_does_not_vanish() -> None:
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[..., 3] = 0
    pixels[2:6, 2:6, 3] = 255
    assert opened(Image.fromarray(pixels)).min() == 0
    assert opened(Image.new("RGBA", (4, 4), (255, 255, 255, 255))).min() == 255
