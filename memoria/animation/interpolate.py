"""One frame between two steps of a life, as what can be drawn: dots, lines, glows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.palette import FIRED, GROUND, MEMORY_COLOURS, rgb
from memoria.animation.layout import Layout
from memoria.animation.select import ShownEngrams
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import FloatArray

_MOVED: Final = 0.45  # of a step the engrams move,
_TURNS: Final = 0.6  # of which the last part changes their colour,
_FIRES: Final = (0.40, 0.98)  # then they fire,
_FADES: Final = 0.55  # and from here on the forgotten fade
_RADIUS: Final = (0.075, 0.15)  # of a dot: of a lifespan of nearly nothing, and of a long one
_RAYS: Final = 2  # to each engram that is reminded
_GRADES: Final = 3  # of the strengths of connections
_LONG: Final = 3.0  # times the lifespan an engram begins with


_COLOURS: Final = np.array([rgb(GROUND["dark"]), *map(rgb, MEMORY_COLOURS.values())])
_FIRED: Final = np.array(rgb(FIRED))


@dataclass(frozen=True, eq=False)
class Frame:
    """D dots and the lines between them.

    Attributes:
        row: which of the steps shown it belongs to.
        engrams: the engram of each dot, by its rank among those shown, int64 [D].
        xy: middle of each dot, float64 [D, 2].
        radius: of each dot, float64 [D].
        colour: red, green and blue of each dot, 0 to 1, float64 [D, 3].
        strength: opacity of each dot, 0 to 1, float64 [D].
        glow: strength of the glow around each dot, 0 to 1, float64 [D].
        links: ends of the connections, float64 [E, 2, 2].
        link_strength: float64 [E].
        rays: ends of lines from what is new to what it reminds of, float64 [R, 2, 2].
        ray_strength: float64 [R].
    """

    row: int
    engrams: npt.NDArray[np.int64]
    xy: FloatArray
    radius: FloatArray
    colour: FloatArray
    strength: FloatArray
    glow: FloatArray
    links: FloatArray
    link_strength: FloatArray
    rays: FloatArray
    ray_strength: FloatArray


def interpolate(shown: ShownEngrams, layout: Layout, row: int, part: float) -> Frame:
    """The frame ``part`` (0 to 1) of the way through shown step ``row``."""
    before = max(row - 1, 0)
    now, was = shown.types[row], shown.types[before]
    moved = _smooth(part / _MOVED)
    origin, target = layout.xy[before], layout.xy[row]
    xy = origin + (target - origin) * moved
    new = (now == EngramType.WORKING) & ((was == 0) | (row == 0))
    xy[new] = target[new] - np.array([0.6, 0.0]) * (1 - moved)
    turned = _smooth((part / _MOVED - _TURNS) / (1 - _TURNS))
    colour = _COLOURS[was] * (1 - turned) + _COLOURS[now] * turned
    colour[was == 0] = _COLOURS[now[was == 0]]

    left = np.maximum(shown.lifespan[row], 0.0) / shown.initial_lifespan
    radius = _RADIUS[0] + (_RADIUS[1] - _RADIUS[0]) * np.sqrt(np.minimum(left / _LONG, 1.0))
    radius = np.where(now == EngramType.WORKING, _RADIUS[1], radius)
    strength = np.where(now > 0, 0.45 + 0.55 * np.minimum(left, 1.0), 0.0)
    strength[new] *= min(1.0, 2.0 * moved)
    gone = shown.forgotten[row]
    fading = _smooth((part - _FADES) / (1 - _FADES))
    strength[gone] *= 1 - fading
    colour[gone] += (_COLOURS[4] - colour[gone]) * fading
    radius[gone] *= 1 + 0.5 * fading

    pulse = _bump((part - _FIRES[0]) / (_FIRES[1] - _FIRES[0]))
    fires = shown.fired[row]
    glow = np.where(fires, pulse, 0.0)
    reminded = fires & (now != EngramType.WORKING)
    colour[reminded] += (_FIRED - colour[reminded]) * (0.8 * pulse)
    radius = radius * (1 + 0.35 * glow)

    seen = np.flatnonzero(strength > 0.01)
    return Frame(
        row=row,
        engrams=seen,
        xy=xy[seen],
        radius=radius[seen],
        colour=np.clip(colour[seen], 0.0, 1.0),
        strength=strength[seen],
        glow=glow[seen],
        **_lines(shown, layout, row, xy, strength, moved, pulse),
    )


def _lines(
    shown: ShownEngrams,
    layout: Layout,
    row: int,
    xy: FloatArray,
    strength: FloatArray,
    moved: float,
    pulse: float,
) -> dict[str, FloatArray]:
    """Connections in long-term memory, and rays from what is new to what it reminds of.

    A connection is as strong in one frame as in the next, unless an end comes or goes: what
    stands still costs a .gif nothing.
    """
    a, b = layout.links.T
    types, fires = shown.types[row], shown.fired[row]
    settled = types == EngramType.LONGTERM
    here = np.where(shown.forgotten[row], strength, 1.0) * settled
    if row:
        here[settled & (shown.types[row - 1] != EngramType.LONGTERM)] *= moved
    known = (shown.fired[: row + 1, a] & shown.fired[: row + 1, b]).any(axis=0)
    both = np.minimum(here[a], here[b]) * np.ceil(_GRADES * layout.weights) / _GRADES * known
    visible = both > 0.01
    sources = np.flatnonzero(fires & (types == EngramType.WORKING))
    targets = np.flatnonzero(fires & (types > EngramType.WORKING))
    rays = np.empty((0, 2, 2))
    if pulse > 0.01 and len(sources) and len(targets):
        each = min(_RAYS, len(sources))
        turn = np.arange(each * len(targets)) % len(sources)  # each new one in turn
        rays = xy[np.column_stack((sources[turn], np.repeat(targets, each)))]
    return {
        "links": xy[layout.links[visible]],
        "link_strength": both[visible],
        "rays": rays,
        "ray_strength": np.full(len(rays), pulse),
    }


def _smooth(part: float) -> float:
    """From 0 to 1 without a jerk."""
    x = min(1.0, max(0.0, part))
    return x * x * (3.0 - 2.0 * x)


def _bump(part: float) -> float:
    """0 outside of 0 to 1, 1 in the middle."""
    if not 0.0 < part < 1.0:
        return 0.0
    return _smooth(2.0 * part) if part < 0.5 else _smooth(2.0 * (1.0 - part))
