"""The step that has been begun, against what was alive before it."""

from __future__ import annotations

import numpy as np

from memoria.chunkstore.root import ROOT_NAME
from memoria.store.verify.damaged import LooseFiles
from memoria.store.verify.events import FoldedLog
from memoria.store.verify.findings import Findings
from memoria.store.verify.steps import Steps


def check_lengths(loose: LooseFiles, prefix: str, findings: Findings) -> bool:
    """Whether the arrays are as long as each other, so that they can be one memory's."""
    names = ("log/ids", "log/expiry", "vectors", "texts/index", "events/index", "events/values")
    entries, expiries, vectors, texts, events, values = (
        loose.committed_rows(prefix + name) for name in names
    )
    if entries != expiries:
        text = f"log/ids has {entries} entries, log/expiry {expiries}"
        findings.add("log", ROOT_NAME, text, array=prefix + "log/expiry")
    if texts > vectors:
        text = f"texts/index has {texts} rows, there are {vectors} engrams"
        findings.add("texts", ROOT_NAME, text, array=prefix + "texts/index")
    if events != values:
        text = f"events/index has {events} rows, events/values {values}"
        findings.add("events", ROOT_NAME, text, array=prefix + "events/values")
    scales = vectors
    if prefix + "scales" in loose.names():
        scales = loose.committed_rows(prefix + "scales")
    if scales != vectors:
        text = f"scales has {scales} rows, there are {vectors} engrams"
        findings.add("vector", ROOT_NAME, text, array=prefix + "scales")
    return entries == expiries and texts <= vectors == scales and events == values


def check_counts(steps: Steps, findings: Findings) -> None:
    """The attributes count what there is."""
    files, attributes = steps.files, steps.files.attributes
    done = steps.loose.committed_rows(steps.name)

    def say(kind: str, message: str) -> None:
        findings.add(kind, ROOT_NAME, message, step=done + 1, spoils=True)

    if attributes.step != done:
        text = f"step is {attributes.step}, log/steps has {done} rows"
        last = min(attributes.step, done)
        findings.add("attributes", ROOT_NAME, text, step=last + 1, spoils=True)
    if files.created % steps.lanes:
        say("attributes", f"{files.created} engrams are no multiple of {steps.lanes} lanes")
    if done > steps.done or (done and not steps.good[done - 1]):
        return  # the last row, which counts the rest, cannot be trusted
    if files.log_end != steps.end_after(done):
        say("log", f"there are {files.log_end} entries, after step {done} {steps.end_after(done)}")
    begun = files.created - steps.created_after(done)
    phase = attributes.pending.phase
    if (begun > 0) != (phase != "idle"):
        say("pending", f"phase is '{phase}' and {begun} engrams are of a step begun")


def check_pending(steps: Steps, folded: FoldedLog, findings: Findings) -> None:
    """What the step begun reminded of was alive, in the order in which it must stand."""
    pending, done = steps.files.attributes.pending, steps.done
    if pending.phase != "reminded" or done < steps.loose.committed_rows(steps.name):
        return
    created = steps.created_after(done)
    for lane, (ids, found) in enumerate(zip(pending.reminded, pending.longterm, strict=True)):
        for number, engram in enumerate(ids):
            text = ""
            row = -1
            if engram < created:
                row = int(steps.files.engram_rows(np.array([engram]))[0])
            if row < 0:
                text = f"engram {engram} is reminded, there are {created} before the step"
            elif folded.known and not folded.is_alive(row, done):
                text = f"engram {engram} is reminded after it was forgotten"
            elif number not in (0, found) and engram >= ids[number - 1]:
                text = f"engram {engram} stands out of order behind {ids[number - 1]}"
            if text:
                findings.add("pending", ROOT_NAME, text, lane=lane, step=done + 1, spoils=True)
