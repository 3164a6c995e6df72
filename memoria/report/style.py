"""The style that all pages of the house share: colours, light and dark, words, tables."""

from __future__ import annotations

from importlib.resources import files

from memoria.analysis.palette import FIRED, GROUND, INK, MEMORY_COLOURS, SCALE


def house_style() -> str:
    """CSS for the head of a page: the palette as variables, and ``house.css``."""
    return _palette() + files("memoria.report").joinpath("house.css").read_text(encoding="utf-8")


def _palette() -> str:
    colours = {**MEMORY_COLOURS, "fired": FIRED}
    colours |= {f"scale-{number}": colour for number, colour in enumerate(SCALE)}
    for kind, on in (("ground", GROUND), ("ink", INK)):
        colours |= {f"{kind}-{name}": colour for name, colour in on.items()}
    return ":root { " + " ".join(f"--{name}: {value};" for name, value in colours.items()) + " }\n"
