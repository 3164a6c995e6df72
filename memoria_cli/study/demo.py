"""`memoria demo`: a tour of the other verbs on a real text."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from memoria.errors import InputError, StorageError, StoreExistsError
from memoria_cli.options import Json, argument, option
from memoria_cli.terminal import output
from memoria_cli.verbs import verb

_STORE: Final = "demo-memory"
_STEPS: Final = 120
_SETTINGS: Final = (  # a memory that forgets, the same on every machine
    *("--backbone", "hash", "--initial-lifespan", "50", "--rule", "correlation:8"),
)


@verb(
    "demo",
    "memoria demo",
    "memoria demo diary.txt --store diary-memory --steps 60",
)
def demo(
    files: Annotated[
        list[str] | None,
        argument("FILES", "Texts to read (.txt .md .jsonl) instead of Python's own help."),
    ] = None,
    store: Annotated[
        str, option("--store", "Where the memory is made, and stays.", "PATH")
    ] = _STORE,
    steps: Annotated[int, option("--steps", "Steps to read at most.", "N", min=1)] = _STEPS,
    json: Json = False,
) -> None:
    """Show what a memory does: a tour of the other verbs.

    It reads a text, asks it, and shows what it kept and forgot. Every command it runs is shown as
    you would type it. The memory stays where it was made, for you to go on with.
    """
    from memoria.experiments.demo_texts import QUESTIONS, cues_from, help_text
    from memoria.io.files import classify
    from memoria.query.inspection import Inspection

    if os.path.lexists(store):
        raise StoreExistsError(
            f"{store}: exists already", "name another with --store, or remove it"
        )
    for file in files or ():
        if classify(file) != "text":
            raise InputError(f"{file}: is not a text file", "the tour reads .txt .md .jsonl")
    inputs = list(files or ())
    if not inputs:
        inputs = [f"{store.rstrip(os.sep)}.txt"]
        _write(inputs[0], help_text())
    tour = _Tour(json)
    tour.say(
        "Memoria is a memory: it lives in steps. At every step it takes in some new engrams (here",
        "sentences), is reminded of old ones that go with them, and those live longer for it; what",
        "nothing reminds it of is forgotten. What fires together becomes connected.",
    )
    title = "an empty memory that forgets; the built-in backbone turns texts into vectors"
    tour.run(title, "init", store, *_SETTINGS)
    about = "it reads" if files else f"it reads Python's own help, written to {inputs[0]} for you"
    tour.run(f"{about}, 8 sentences a step", "step", store, *inputs, "--limit", str(steps))

    with Inspection.open(store) as view:
        oldest = view.engram_list()
    questions: Sequence[str] = QUESTIONS
    if files:
        questions = cues_from([one["text"] for one in oldest if one["text"]])
    title = "it is asked what answers a question"
    for question in questions:
        tour.run(title, "ask", store, question, "--top", "2")
        title = ""
    title = "and what a model would be given that reads this: --peek changes nothing"
    for question in questions:
        asked = ("--peek", "--cue-text", question)
        tour.run(title, "remind", store, *asked, "--top", "4")
        title = ""
    tour.run("how it is now", "inspect", store)
    tour.run("what it remembers longest", "inspect", store, "--engrams", "--limit", "6")
    tour.run("what it forgot last", "inspect", store, "--forgotten", "--limit", "6")
    if oldest:
        eventful = max(oldest[:50], key=lambda one: one["fire_count"])
        title = "the life of one engram"
        tour.run(title, "inspect", store, str(eventful["id"]), "--limit", "10")
    again = shlex.quote(store)
    tour.say(
        f"The memory stays in {store}. Go on with it:",
        f"  $ memoria ask {again} 'your question'",
        f"  $ memoria step {again} --text 'Something new to remember.'",
        f"  $ memoria inspect {again} --history",
        "  $ memoria --help",
    )
    if json:
        output.result({"path": os.path.abspath(store), "commands": tour.commands}, [], json)


class _Tour:
    """Prints lines and runs verbs; for --json it prints nothing and keeps their documents."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._begun = False
        self.commands: list[Mapping[str, Any]] = []

    def say(self, *lines: str) -> None:
        """Print lines for people, with an empty line before all but the first call's."""
        if not self._as_json:
            gap = [""] if self._begun else []
            output.result({}, [*gap, *lines], as_json=False)
            self._begun = True

    def run(self, title: str, *arguments: str) -> None:
        """Run a verb as if typed, under a title and the command itself."""
        command = shlex.join(["memoria", *arguments])
        self.say(*([f"# {title}"] if title else []), f"$ {command}")
        if not self._as_json:
            _call(arguments)
            return
        with output.collected() as documents:
            _call([*arguments, "--json"])
        self.commands += [{"command": command, "result": one} for one in documents]


def _call(arguments: Sequence[str]) -> None:
    from memoria_cli.app import command  # which knows this verb, too

    code = command().main(list(arguments), prog_name="memoria", standalone_mode=False)
    if isinstance(code, int) and code:
        raise typer.Exit(code)


def _write(path: str, text: str) -> None:
    place = Path(path)
    try:
        if not os.path.lexists(place) or place.read_bytes() != text.encode():
            with open(place, "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except FileExistsError:
        raise StorageError(f"{path}: exists already", "name another place with --store") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot write: {error.strerror or error}") from None
