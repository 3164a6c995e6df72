"""The colours of every picture can be told apart with any colour vision, and on both grounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest
from colour_vision import VISIONS, distance, seen

from memoria.analysis.palette import (
    FIRED,
    GROUND,
    INK,
    LIFESPANS,
    LINES,
    MEMORY_COLOURS,
    SCALE,
)
from memoria.experiments.panels import PANEL_COLOURS

APART = 10.0  # in CIELAB; 2 can just be told apart side by side
KINDS: Mapping[str, Sequence[str]] = {
    "memories": (*MEMORY_COLOURS.values(), FIRED),
    "lines": LINES,
    "panels": PANEL_COLOURS,
}
SCALES: Mapping[str, Sequence[str]] = {"lifespans": LIFESPANS, "scale": SCALE}


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_of_kinds_are_told_apart(vision: str) -> None:
    for name, colours in KINDS.items():
        for one, other in combinations(colours, 2):
            assert distance(one, other, vision) >= APART, (name, one, other)


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_of_a_scale_become_lighter(vision: str) -> None:
    for name, colours in SCALES.items():
        lightness = np.array([seen(colour, vision)[0] for colour in colours])
        assert (np.diff(lightness) > 4).all(), (name, lightness)
        assert all(distance(a, b, vision) >= APART for a, b in pairwise(colours)), name


def test_what_is_drawn_stands_out_on_light_and_dark_grounds() -> None:
    for ground in GROUND.values():
        for colour in (*MEMORY_COLOURS.values(), FIRED, *LIFESPANS):
            assert distance(colour, ground, "trichromacy") > 25, (colour, ground)
    for name, ground in GROUND.items():
        assert distance(INK[name], ground, "trichromacy") > 70


def test_the_simulation_is_that_of_the_paper() -> None:
    """Red and green that protanopes confuse; greys that nobody sees otherwise."""
    for vision in VISIONS:
        for grey in ("#000000", "#808080", "#FFFFFF"):
            assert distance(grey, grey, vision) == 0
            assert np.abs(seen(grey, vision)[1:]).max() < 0.1
    assert distance("#B0554A", "#6B6F3A", "trichromacy") > 40
    assert distance("#B0554A", "#6B6F3A", "deuteranopia") < 15
