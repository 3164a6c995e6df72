"""The digest of every step computed anew, from the recorded one of the step before."""

from __future__ import annotations

from collections.abc import Callable

from memoria.chunkstore.root import ROOT_NAME
from memoria.errors import DamageError, InputError, StorageError
from memoria.store.digest import chain_over_events, chain_start, next_digest, state_digest
from memoria.store.texts import StoredTexts
from memoria.store.verify.events import EventList
from memoria.store.verify.findings import Findings
from memoria.store.verify.steps import Steps


def check_digests(
    steps: Steps, events: EventList, findings: Findings, show: Callable[[int], None]
) -> frozenset[str]:
    """Name each step whose digest is not that of its content; ``show`` gets bytes gone through.

    Returns the snapshots that name nothing.

    What compaction left of the steps before an era has no digest: the one that stands in the
    table is what the chain goes on from.
    """
    check = _Check(steps, events, findings)
    check.era()
    for step in range(steps.files.attributes.era.step + 1, steps.done + 1):
        if steps.known[step - 1]:
            show(check.step(step))
    check.now()
    return frozenset(check.snapshots())


class _Check:
    def __init__(self, steps: Steps, events: EventList, findings: Findings) -> None:
        self._steps, self._events, self._findings = steps, events, findings
        self._files = steps.files
        self._stored_texts = StoredTexts(self._files)
        self._vectors = steps.array("vectors")
        self._happened = events.steps()

    def chain(self, step: int, events: int | None = None) -> bytes | None:
        """The chain after ``step`` and the events after it, of the first ``events`` ones.

        None where its row cannot be read, or payloads are gone with what compaction left behind.
        """
        era = self._files.attributes.era
        first, last = self._events.span(step, events)
        if era.generation is not None and step <= era.step:
            if step == era.step and last >= era.events:
                first = era.events
            elif self._events.may_have_lost_payloads(first, last):
                return None
        if step == 0:
            chain: bytes | None = chain_start(self._files.attributes.config)
        else:
            chain = self._steps.digest(step)
        if era.generation is not None and step == era.step and first == era.events:
            chain = bytes.fromhex(era.digest)
        if chain is not None and step in self._happened:
            try:
                chain = chain_over_events(chain, self._files, first, last)
            except (DamageError, InputError, StorageError):
                return None  # a payload cannot be read, which has been named
        return chain

    def era(self) -> None:
        """The digest that the era began with, where it can be computed."""
        era = self._files.attributes.era
        if era.generation is None or not 0 < era.step <= self._steps.done:
            return
        first, last = self._events.span(era.step, era.events)
        chain = self._steps.digest(era.step)
        if chain is None or self._events.may_have_lost_payloads(first, last):
            return
        if chain_over_events(chain, self._files, first, last) != bytes.fromhex(era.digest):
            text = f"era.digest is not that of {era.step} steps and {era.events} events"
            self._findings.add("era", ROOT_NAME, text)

    def step(self, number: int) -> int:
        """Check one step; returns the bytes that it has."""
        steps, loose = self._steps, self._steps.loose
        start, stop = int(steps.vector_start[number - 1]), int(steps.vector_stop[number - 1])
        before = self.chain(number - 1)
        if before is None or not loose.is_sound(self._vectors, start, stop):
            return 0
        rows = steps.created_after(number - 1), steps.created_after(number)
        entries = steps.end_after(number - 1), steps.end_after(number)
        first_short = steps.first_short(number, number + 1)[0]
        try:
            found = next_digest(before, self._files, self._stored_texts, rows, entries, first_short)
        except (DamageError, InputError, StorageError) as error:
            self._unchecked(number, error)
            return 0
        if found != steps.digest(number):
            text = "is not that of the step's content"
            if not self._events.known:
                text = "cannot be checked: events are lost, or it is not that of the content"
            text = f"the digest of step {number} {text}"
            steps.tell("digest", steps.name, number - 1, text, step=number)
        return (stop - start) * loose.spec(self._vectors).row_bytes

    def now(self) -> None:
        """The digest in the root, of all steps and the step begun."""
        steps, attributes = self._steps, self._files.attributes
        done = steps.done
        if done < attributes.step or (done and not steps.good[done - 1]):
            return
        chain = self.chain(done)
        pending, first = attributes.pending, steps.created_after(done)
        start = first - attributes.era.rows + attributes.era.kept
        sound = steps.loose.is_sound(self._vectors, start, steps.loose.rows(self._vectors))
        if chain is None or (pending.phase != "idle" and not sound):
            return
        try:
            found = state_digest(chain, self._files, self._stored_texts, pending, first)
        except (DamageError, InputError, StorageError) as error:
            self._unchecked(done + 1, error)
            return
        if found != attributes.digest:
            begun = " and the step begun" if pending.phase != "idle" else ""
            text = f"the digest is not that of {done} steps{begun}"
            self._findings.add("digest", ROOT_NAME, text, step=done + (1 if begun else 0))
            if begun:
                self._findings.spoilt = min(self._findings.spoilt, done + 1)

    def snapshots(self) -> list[str]:
        """Each names a state that there is, with its digest; the names of those that do not."""
        lost = []
        attributes = self._files.attributes
        era, done = attributes.era, self._steps.done
        for name, one in sorted(attributes.snapshots.items()):
            wrong = ""
            if one.step > attributes.step:
                wrong = f"is of step {one.step}, there are {attributes.step}"
            elif one.step < era.step and one.step not in era.steps:
                wrong = f"is of step {one.step}, which compaction did not keep"
            elif one.step > done or not self._events.known:
                continue
            elif not self._events.may_count(one.step, one.events):
                wrong = f"counts {one.events} events after step {one.step}"
            elif self.chain(one.step, one.events) not in (None, bytes.fromhex(one.digest)):
                wrong = f"has another digest than step {one.step}"
            if wrong:
                lost.append(name)
                self._findings.add(
                    "snapshot", ROOT_NAME, f"snapshot '{name}' {wrong}", step=one.step
                )
        return lost

    def _unchecked(self, step: int, error: Exception) -> None:
        """Its texts cannot be read. That has been named, but perhaps not with this step."""
        path = self._steps.array("texts/index")
        text = f"the digest of step {step} cannot be computed: {error}"
        self._findings.add("texts", path, text, array=path, step=step, spoils=True)
