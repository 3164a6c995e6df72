"""`memoria replay`: read a life again, run it again, or live it under other parameters."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from memoria.errors import DamageError, UsageError
from memoria_cli.options import Force, Json, Lane, option, panel, parse_pairs
from memoria_cli.stores import StoreAt, split_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_bytes, format_count
from memoria_cli.verbs import verb

if TYPE_CHECKING:
    from memoria.backbones import Backbone

_look: Final = panel("Looking")
_MOST_FPS: Final = 60.0
_MOST_SPEED: Final = 1e6

_Limits: TypeAlias = Mapping[str, Any]  # at, first, last, lane: which part is replayed
_Result: TypeAlias = tuple[Mapping[str, Any], list[str]]  # document, lines for people


@verb(
    "replay",
    "memoria replay notes --recompute",
    "memoria replay notes --set stm_capacity=4 -o other --json",
    "memoria replay notes --set backbone=hash -o renewed",
    "memoria replay notes --sample 2 --priority lifespan -o batch.npz",
    "memoria replay notes --watch --speed 50",
    "memoria replay notes --render life.gif --to 6",
)
def replay(
    store: StoreAt,
    recompute: Annotated[
        bool, option("--recompute", "Run every step again from its inputs, not only read the log.")
    ] = False,
    first: Annotated[int | None, option("--from", "The first step.", "STEP", min=1)] = None,
    last: Annotated[int | None, option("--to", "The last step.", "STEP", min=1)] = None,
    lane: Lane = None,
    changes: Annotated[
        list[str] | None, option("--set", "Another parameter; needs -o. Repeatable.", "KEY=VALUE")
    ] = None,
    sample: Annotated[
        int | None, option("--sample", "Draw so many living engrams into -o FILE.npz.", "N", min=1)
    ] = None,
    priority: Annotated[
        str, option("--priority", "Of a draw: uniform, lifespan, recency.", "NAME")
    ] = "uniform",
    seed: Annotated[int, option("--seed", "Of a draw.", "N", min=0)] = 0,
    out: Annotated[
        str | None, option("--output -o", "The new store, or the file of a draw.", "OUT")
    ] = None,
    watch: Annotated[
        bool, _look("--watch", "Look at it in the terminal, step by step; q quits, space pauses.")
    ] = False,
    render: Annotated[
        str | None,
        _look("--render", "Draw it as an animation: .gif or .mp4 (extra `viz`).", "FILE"),
    ] = None,
    speed: Annotated[
        float | None,
        _look(
            "--speed",
            "Steps a second.",
            "N",
            show_default="2; to watch, what brings it to its end in a minute",
        ),
    ] = None,
    fps: Annotated[
        float | None,
        _look(
            "--fps", "Pictures a second.", "N", show_default="10 to watch, 12 of .gif, 24 of .mp4"
        ),
    ] = None,
    most_engrams: Annotated[
        int | None,
        _look(
            "--most-engrams",
            "Engrams drawn: of every step those that fire most often.",
            "N",
            min=1,
            max=400,
            show_default="200",
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Replay the life of a memory: check it, watch it, or change it.

    Without options the log is read from the start and each step's digest checked. --recompute runs
    every step again: bit for bit the same on the machine that made it; elsewhere it tells where
    rounding decided a near-tie. --set lives the same life under other parameters; --set
    backbone=NAME encodes its texts anew. Exit code 3 if something came out otherwise and no
    near-tie explains it.
    """
    looks = watch or render is not None
    if watch and render is not None:
        raise UsageError("--watch and --render are two ways to look", "choose one")
    if looks and (recompute or changes or sample is not None or out is not None):
        how = "--watch" if watch else "--render"
        raise UsageError(f"{how} only looks", "leave out --recompute, --set, --sample and -o")
    if not looks and (speed, fps) != (None, None):
        raise UsageError("--speed and --fps are for looking", "add --watch or --render")
    if render is None and (most_engrams is not None or force):
        raise UsageError("--most-engrams and --force are for animations", "add --render")
    if sample is not None and (recompute or changes):
        raise UsageError("--sample draws engrams", "leave out --recompute and --set")
    if (sample is not None or changes) and out is None:
        raise UsageError("--set and --sample write something new", "name it with -o")
    if (sample is not None or changes) and (first, last) != (None, None):
        raise UsageError("--from and --to are for comparing", "STORE@STEP ends a life earlier")
    if out is not None and sample is None and not changes:
        raise UsageError(f"-o {out}: nothing is written", "add --set or --sample")
    path, at = split_store(store)
    limits: dict[str, Any] = {"at": at, "first": first, "last": last, "lane": lane}
    if watch:
        pace, rate = _rate("--speed", speed, _MOST_SPEED), _rate("--fps", fps, _MOST_FPS)
        made = _watch(path, limits, pace, rate)
    elif render is not None:
        options = {"speed": speed, "fps": fps, "most_engrams": most_engrams}
        chosen = {name: value for name, value in options.items() if value is not None}
        made = _render(path, render, {**limits, **chosen, "force": force})
    elif sample is not None and out is not None:
        made = _sample(path, out, sample, priority, seed, {"lane": lane, "at": at})
    elif changes and out is not None:
        if lane is not None:
            raise UsageError("--lane is for comparing and drawing", "a life has all its lanes")
        made = _rerun(path, at, out, changes)
    else:
        made = _compare(path, recompute, limits)
    document, human = made
    output.result(document, human, json)
    if document.get("different_steps", 0) > len(document.get("near_ties", ())):
        raise typer.Exit(DamageError.exit_code)


def _watch(path: str, limits: _Limits, speed: float | None, fps: float | None) -> _Result:
    from memoria.store.replay.walk import walk
    from memoria_cli.terminal.screen import check_terminal
    from memoria_cli.terminal.watch import FRAMES_A_SECOND, watch_replay

    check_terminal("--watch")
    at, lane = limits["at"], limits["lane"]
    with walk(path, **limits) as steps:
        moment = "" if at is None else f"@{at}"
        where = "" if lane is None else f", lane {lane}"
        title = f"{os.path.basename(os.path.abspath(path))}{moment}{where}"
        seen = watch_replay(steps, title, speed, fps or FRAMES_A_SECOND)
    human = f"steps {seen.first} to {seen.last} shown" if seen.last else "no steps to show"
    return seen.record(), [human]


def _render(path: str, out: str, options: Mapping[str, Any]) -> _Result:
    from memoria.animation import render

    with output.progress("drawing", "frames") as show:
        made = render(path, out, progress=show, **options)
    parts = [
        f"{made[f'{what}_shown']:,} of {made[what]:,} {what}"
        for what in ("steps", "engrams")
        if made[f"{what}_shown"] < made[what]
    ]
    if parts:
        output.note(f"shown: {' and '.join(parts)}; --from, --to and --most-engrams choose")
    if made["missing"]:
        from memoria.analysis.fonts import missing_note

        output.note(missing_note(made["missing"]))
    span = f"steps {made['from']:,} to {made['to']:,}"
    size = f"{made['seconds']:g} seconds, {format_bytes(made['bytes'])}"
    return made, [f"{span} in {made['path']}, {size}"]


def _rate(option: str, value: float | None, most: float) -> float | None:
    if value is not None and not 0.1 <= value <= most:
        raise UsageError(f"{option} {value:g}: must be from 0.1 to {most:g}")
    return value


def _compare(path: str, again: bool, limits: _Limits) -> _Result:
    with output.progress("replaying", "steps") as show:
        if again:
            from memoria.store.replay.recompute import recompute

            found = recompute(path, **limits, progress=show)
        else:
            from memoria.store.replay.steps import replay_log

            steps = {name: value for name, value in limits.items() if name != "lane"}
            found = replay_log(path, **steps, progress=show)
    what = "run again" if again else "read again"
    span = f"steps {found.first} to {found.last}" if found.steps else "no steps"
    if found.identical:
        same = "every one bit for bit the same" if again else "every digest as it was"
        human = [f"{span} {what}: {same}"]
    else:
        one = found.differences[0]
        where = "" if one.lane is None else f", lane {one.lane}"
        human = [
            f"{span} {what}: {found.different_steps} came out otherwise, "
            f"{len(found.near_ties)} of them by rounding in a near-tie",
            f"first at step {one.step}{where}: {one.kind} {one.logged[:8]} in the log, "
            f"{one.recomputed[:8]} now",
        ]
    if found.given_gains:
        human.append(
            f"in {format_count(found.given_gains, 'step')} lifespans were given, not by the rule"
        )
    return found.record(), human


def _rerun(path: str, at: int | str | None, out: str, changes: list[str]) -> _Result:
    values = parse_pairs("--set", changes)
    from memoria.store.replay.rerun import rerun

    name = values.pop("backbone", None)
    encoder = None if name is None else _text_backbone(str(name))
    with output.progress("stepping", "steps") as show:
        made = rerun(path, out, values, at, show, encoder)
    human = [f"{made.path}: {format_count(made.steps, 'step')} lived with {', '.join(changes)}"]
    if made.skipped_events:
        skipped = format_count(made.skipped_events, "event")
        human.append(f"{skipped} of engrams that did not live here left out")
    human.append(f"`memoria diff` compares the two: memoria diff {path} {out}")
    return made.record(), human


def _text_backbone(name: str) -> Backbone:
    """The backbone that encodes the texts anew."""
    from memoria.backbones import load_backbone

    if name == "array":
        raise UsageError("--set backbone=array: encodes no texts", "name one that does")
    return load_backbone(name)


def _sample(path: str, out: str, count: int, priority: str, seed: int, limits: _Limits) -> _Result:
    from memoria.io.outputs import save_arrays
    from memoria.store.replay.sampling import sample

    drawn = sample(path, count, priority, seed, **limits)
    written = save_arrays(out, drawn)
    ids = drawn["ids"].tolist()
    document = {"path": str(written), "priority": priority, "seed": seed, "ids": ids}
    return document, [f"{format_count(count, 'engram')} in {written}"]
