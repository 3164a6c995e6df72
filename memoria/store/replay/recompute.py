"""Every step of a store run again from its inputs, and compared with what was logged.

On the machine that made it the same bits come out. Elsewhere a matrix product may round another
way, and where two engrams are equally near by all but the last digits, another one is reminded:
such a near-tie is reported as one, never as equal.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.core.memory_core import MemoryCore
from memoria.core.similarity import log_correlation
from memoria.io.progress import Progress, progress_bar
from memoria.store.arguments import as_gains
from memoria.store.edits import apply_event, displaced_ids, revise
from memoria.store.life import StepTable, fold
from memoria.store.loading import load_core
from memoria.store.memory_files import MemoryFiles
from memoria.store.payloads import decode_revision
from memoria.store.reading import check_lane, open_files, past_view
from memoria.store.reminded import as_pending, positions_of_ids
from memoria.store.replay.steps import Difference, LoggedStep, Replay, follow_log, steps_there
from memoria.store.schema import EventColumn
from memoria.timeline import rules
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import EventKind, FloatArray, IntArray

_NEAR: Final = 2.0**-21  # scores are ranked in float32: what some of its last digits may decide


def recompute(
    path: str | os.PathLike[str],
    first: int | None = None,
    last: int | None = None,
    lane: int | None = None,
    at: int | str | None = None,
    progress: Progress | bool = False,
) -> Replay:
    """Run steps ``first`` to ``last`` again and compare ids, lifespans, types and digests.

    After a step that came out differently the logged one counts, so that each step is judged by
    itself. Where a step's gains came from elsewhere than its rule, they are taken from the log.
    ``lane`` compares one lane alone. Raises `InputError` for steps that are not there.
    """
    with (
        closing(open_files(path, at)) as files,
        progress_bar(progress, "replaying", "steps") as show,
    ):
        check_lane(lane, files.config.lanes)
        found = Replay(0, *steps_there(files, first, last), [], [])
        if found.last < found.first:
            return found
        table = files.event_rows()
        core = load_core(past_view(files, found.first - 1), files.config)

        def run(step: LoggedStep) -> tuple[list[Difference], bool, IntArray]:
            apply_events(core, files, step)
            differences, near = _one_step(core, step, found)
            first_short = core.state.first_shortterm()
            differences += _displace(core, step.number, table)
            return differences, near, first_short

        follow_log(files, found, run, show, lane)
        found.note(found.last, _ending(past_view(files, found.last), core, lane), False)
        return found


def apply_events(core: MemoryCore, files: MemoryFiles, step: LoggedStep) -> None:
    """Do to ``core`` what was done by hand before ``step``, in order."""
    values = files.event_values(*step.happened)
    for number, (event, value) in enumerate(zip(step.events, values.tolist(), strict=True)):
        engram, kind = int(event[EventColumn.ENGRAM]), EventKind(int(event[EventColumn.KIND]))
        if kind == EventKind.DISPLACE:
            continue  # at the end of the step before
        ids = np.full((core.state.lanes, 1), -1)
        ids[engram % core.state.lanes, 0] = engram
        apply_event(core, kind, positions_of_ids(core, ids), value)
        if kind == EventKind.EDIT:
            payload = files.event_payload(step.happened[0] + number)
            vector = decode_revision(payload, files.config).get("vector")
            if vector is not None:
                revise(core, engram, vector)


def _one_step(core: MemoryCore, step: LoggedStep, found: Replay) -> tuple[list[Difference], bool]:
    """Run the step; where it came out otherwise, and whether rounding may have decided."""
    is_constant = core.config.lifespan_by == "constant"
    core.add(step.memory.data, None if is_constant else _logged_expiry(step, step.new))
    working, recalled = core.working_positions(), core.recall()
    pending = as_pending(core, recalled)
    differences = [
        Difference(step.number, lane, "reminded", ids.tolist(), list(recalled_ids))
        for lane, (ids, recalled_ids) in enumerate(
            zip(step.reminded, pending.reminded, strict=True)
        )
        if ids.tolist() != list(recalled_ids)
    ]
    near = bool(differences) and all(_rounding_decided(core, step, d) for d in differences)
    ids = _padded(step.reminded)
    positions = positions_of_ids(core, ids)
    if differences:
        core.fire_positions(np.concatenate((working, positions), 1))
    else:
        core.fire(recalled)
    wanted = _logged_expiry(step, ids)
    gains = _gains(core, positions, wanted)
    if not differences:
        ruled = as_gains(core.config.rule, ids, pending.scores)
        found.given_gains += not np.array_equal(_after(core, positions, ruled), wanted)
    core.adjust(positions, gains)
    fired = np.concatenate((working, positions), 1)
    expiry = core.state.at(core.state.expiry, fired, 0)
    logged = np.concatenate((_logged_expiry(step, step.new), wanted), 1)
    for lane in np.flatnonzero((expiry != logged).any(1)).tolist():
        differences.append(
            Difference(step.number, lane, "lifespan", logged[lane].tolist(), expiry[lane].tolist())
        )
        near = False
    first_short = core.state.first_shortterm().tolist()
    for lane, (was, now) in enumerate(zip(step.first_short.tolist(), first_short, strict=True)):
        if was != now:
            differences.append(Difference(step.number, lane, "type", [was], [now]))
            near = False
    return differences, near


def _displace(core: MemoryCore, number: int, table: IntArray) -> list[Difference]:
    """Let go whom the end of step ``number`` displaced by the log; where the rule says others."""
    first, last = np.searchsorted(table[:, EventColumn.STEP], [number, number + 1])
    kinds = table[first:last, EventColumn.KIND]
    logged = table[first:last, EventColumn.ENGRAM][kinds == EventKind.DISPLACE]
    ruled, lanes = displaced_ids(core), core.state.lanes
    if len(logged):
        ids = np.full((lanes, len(logged)), -1)
        ids[logged % lanes, np.arange(len(logged))] = logged
        apply_event(core, EventKind.DISPLACE, positions_of_ids(core, ids))
    if np.array_equal(logged, ruled):
        return []
    return [Difference(number, None, "displaced", logged.tolist(), ruled.tolist())]


def _rounding_decided(core: MemoryCore, step: LoggedStep, difference: Difference) -> bool:
    """Whether what was reminded instead is as near to the cue but for the last digits.

    The short-term memory is ranked first; where another one of it came back, the search from it
    went another way, and says nothing.
    """
    lane = difference.lane or 0
    was, now = {int(i) for i in difference.logged}, {int(i) for i in difference.recomputed}
    short = _shortterm(core, lane, was ^ now)
    some = short or was ^ now
    if len(some & was) != len(some & now):
        return False
    ids = np.full((core.state.lanes, len(some)), -1)
    ids[lane] = sorted(some)
    keys = core.state.data_at(positions_of_ids(core, ids))
    scores = log_correlation(step.memory.data, keys)[lane]
    return bool(scores.max() - scores.min() <= _NEAR * (1.0 + abs(scores).max()))


def _shortterm(core: MemoryCore, lane: int, ids: set[int]) -> set[int]:
    """Those of the store's ``ids`` that are short-term memory of the lane."""
    first = int(core.state.first_shortterm()[lane])
    return {id_ for id_ in ids if id_ // core.state.lanes >= first}


def _padded(reminded: list[IntArray]) -> IntArray:
    width = max(len(row) for row in reminded)
    rows = [[*row.tolist(), *[-1] * (width - len(row))] for row in reminded]
    return np.array(rows, np.int64)


def _logged_expiry(step: LoggedStep, ids: IntArray) -> FloatArray:
    """What the log says of ``ids`` [B, N], 0 where -1."""
    known = step.expiry | {-1: 0.0}
    return np.array([[known[id_] for id_ in row] for row in ids.tolist()], np.float64)


def _after(core: MemoryCore, positions: IntArray, gains: FloatArray) -> FloatArray:
    """Expiry [B, N] of ``positions`` at the step's end if they gained so much, 0 where -1."""
    state = core.state
    pinned = state.at(state.pinned, positions, False)
    after = state.at(state.expiry, positions, 0) + rules.effective_gain(gains, pinned)
    held = np.where(pinned, rules.hold(after, core.step), after)
    return np.where(positions < 0, 0.0, held)


def _gains(core: MemoryCore, positions: IntArray, wanted: FloatArray) -> FloatArray:
    """Gains [B, N] after which the expiry of ``positions`` is ``wanted``, to the last bit."""
    state = core.state
    pinned = state.at(state.pinned, positions, False)
    gains: FloatArray = wanted - rules.carry(state.at(state.expiry, positions, 0), pinned)
    for _ in range(4):  # the difference of far apart numbers is rounded itself
        short = _after(core, positions, gains) - wanted
        up, down = np.nextafter(gains, gains + 1), np.nextafter(gains, gains - 1)
        gains = np.where(short < 0, up, np.where(short > 0, down, gains))
    return np.where(positions < 0, 0.0, gains)


def _ending(files: MemoryFiles, core: MemoryCore, lane: int | None) -> list[Difference]:
    """Where the state that came out is not what the log says it is."""
    life = fold(files, files.config, StepTable.read(files))
    state, found = core.state, []
    for one in range(life.lanes):
        in_lane = life.of_lane(one)
        living = state.types[one] != EngramType.NULL
        columns: dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]] = {
            "reminded": (life.ids[in_lane] // life.lanes, state.ids[one][living]),
            "lifespan": (life.expiry[in_lane], state.expiry[one][living]),
            "type": (life.types[in_lane], state.types[one][living]),
        }
        for kind, (was, now) in columns.items():
            if lane in (None, one) and not np.array_equal(was, now):
                found.append(Difference(life.step, one, kind, was.tolist(), now.tolist()))
    return found
