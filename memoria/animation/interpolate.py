"""One moment between two steps of a staged life, as what can be drawn: dots, lines, glows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.palette import FIRED, GROUND, MEMORY_COLOURS
from memoria.animation.layout import Staging
from memoria.animation.select import Cast
from memoria.timeline.engram_type import EngramType

__all__ = ["Moment", "moment", "rgb"]

FloatArray = npt.NDArray[np.float64]

_MOVED: Final = 0.45  # of a step the engrams move,
_TURNS: Final = 0.6  # of which the last part changes their colour,
_FIRES: Final = (0.40, 0.98)  # then they fire,
_FADES: Final = 0.55  # and from here on the forgotten fade
_RADIUS: Final = (0.075, 0.15)  # of a dot: of a lifespan of nearly nothing, and of a long one
_RAYS: Final = 2  # to each engram that is reminded
_GRADES: Final = 3  # of the strengths of connections
_LONG: Final = 3.0  # times the lifespan an engram begins with


@dataclass(frozen=True)
class Moment:
    """Dots [D]: ``xy`` [D, 2], ``radius``, ``colour`` [D, 3], ``strength`` (0: not seen), ``glow``.

    Lines [E, 2, 2] with strengths: ``links`` are connections, ``rays`` are reminding now. ``row``
    is the step, of those shown.
    """

    row: int
    who: npt.NDArray[np.int64]
    xy: FloatArray
    radius: FloatArray
    colour: FloatArray
    strength: FloatArray
    glow: FloatArray
    links: FloatArray
    link_strength: FloatArray
    rays: FloatArray
    ray_strength: FloatArray


def rgb(colour: str) -> FloatArray:
    """``#RRGGBB`` as [3], 0 to 1."""
    return np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0


_COLOURS: Final = np.array(
    [
        rgb(GROUND["dark"]),
        *(rgb(MEMORY_COLOURS[kind]) for kind in ("working", "shortterm", "longterm", "forgotten")),
    ]
)
_FIRED: Final = rgb(FIRED)


def moment(cast: Cast, staging: Staging, row: int, part: float) -> Moment:
    """``part`` (0 to 1) of the way through shown step ``row``."""
    now = cast.kinds[row]
    was = cast.kinds[row - 1] if row else now
    moved = _smooth(part / _MOVED)
    origin = staging.places[row - 1 if row else row]
    xy = origin + (staging.places[row] - origin) * moved
    new = (now == EngramType.WORKING) & ((was == 0) | (row == 0))
    xy[new] = staging.places[row][new] - np.array([0.6, 0.0]) * (1 - moved)
    turned = _smooth((part / _MOVED - _TURNS) / (1 - _TURNS))
    colour = _COLOURS[was] * (1 - turned) + _COLOURS[now] * turned
    colour[was == 0] = _COLOURS[now[was == 0]]

    left = np.maximum(cast.lifespan[row], 0.0) / cast.begins_with
    radius = _RADIUS[0] + (_RADIUS[1] - _RADIUS[0]) * np.sqrt(np.minimum(left / _LONG, 1.0))
    radius = np.where(now == EngramType.WORKING, _RADIUS[1], radius)
    strength = np.where(now > 0, 0.45 + 0.55 * np.minimum(left, 1.0), 0.0)
    strength[new] *= min(1.0, 2.0 * moved)
    gone = cast.gone[row]
    fading = _smooth((part - _FADES) / (1 - _FADES))
    strength[gone] *= 1 - fading
    colour[gone] += (_COLOURS[4] - colour[gone]) * fading
    radius[gone] *= 1 + 0.5 * fading

    pulse = _bump((part - _FIRES[0]) / (_FIRES[1] - _FIRES[0]))
    fires = cast.fired[row]
    glow = np.where(fires, pulse, 0.0)
    reminded = fires & (now != EngramType.WORKING)
    colour[reminded] += (_FIRED - colour[reminded]) * (0.8 * pulse)
    radius = radius * (1 + 0.35 * glow)

    who = np.flatnonzero(strength > 0.01)
    return Moment(
        row=row,
        who=who,
        xy=xy[who],
        radius=radius[who],
        colour=np.clip(colour[who], 0.0, 1.0),
        strength=strength[who],
        glow=glow[who],
        **_lines(cast, staging, row, xy, strength, moved, pulse),
    )


def _lines(
    cast: Cast,
    staging: Staging,
    row: int,
    xy: FloatArray,
    strength: FloatArray,
    moved: float,
    pulse: float,
) -> dict[str, FloatArray]:
    """Connections in long-term memory, and rays from what is new to what it reminds of.

    A connection is as strong in one moment as in the next, unless an end comes or goes: what
    stands still costs a .gif nothing.
    """
    a, b = staging.links.T
    kinds, fires = cast.kinds[row], cast.fired[row]
    settled = kinds == EngramType.LONGTERM
    here = np.where(cast.gone[row], strength, 1.0) * settled
    if row:
        here[settled & (cast.kinds[row - 1] != EngramType.LONGTERM)] *= moved
    known = (cast.fired[: row + 1, a] & cast.fired[: row + 1, b]).any(axis=0)
    both = np.minimum(here[a], here[b]) * np.ceil(_GRADES * staging.weights) / _GRADES * known
    shown = both > 0.01
    sources = np.flatnonzero(fires & (kinds == EngramType.WORKING))
    targets = np.flatnonzero(fires & (kinds > EngramType.WORKING))
    rays = np.empty((0, 2, 2))
    if pulse > 0.01 and len(sources) and len(targets):
        each = min(_RAYS, len(sources))
        turn = np.arange(each * len(targets)) % len(sources)  # everyone new in turn
        rays = xy[np.column_stack((sources[turn], np.repeat(targets, each)))]
    return {
        "links": xy[staging.links[shown]],
        "link_strength": both[shown],
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
