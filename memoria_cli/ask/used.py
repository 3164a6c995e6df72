"""`memoria used`: which engrams answered, so that they stay and come first the next time."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Final

from memoria_cli.options import Json, NamedEngrams, option
from memoria_cli.stores import Store, load_memory_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_engrams, format_number
from memoria_cli.verbs import verb

_GAIN: Final = 50.0


@verb(
    "used",
    "memoria used notes 8",
    'memoria used notes 8 --question "Where did the cat sit?" --json',
)
def used(
    store: Store,
    ids: NamedEngrams,
    question: Annotated[
        str | None,
        option("--question", "What they answered: kept, and helped by when asked again.", "TEXT"),
    ] = None,
    gain: Annotated[float, option("--gain", "Steps of lifespan that each gains.", "X")] = _GAIN,
    json: Json = False,
) -> None:
    """Say which engrams answered a question: they live longer.

    The question is kept beside them. Nothing ages, and no engram is made of the question. Only
    between steps.
    """
    from memoria.store.reading import open_files

    with closing(open_files(store, mode="r+")) as files, load_memory_store(files, "used") as opened:
        taught = opened.teach(ids, gain, question).tolist()
        document = {"step": opened.timestep, "used": taught, "gain": gain, "question": question}
    kept = "; the question is kept" if question is not None else ""
    human = f"{format_engrams(taught)} gained {format_number(gain)} step{'s' * (gain != 1)}{kept}"
    output.result(document, [human], json)
