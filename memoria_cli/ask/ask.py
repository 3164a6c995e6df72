"""`memoria ask`: which of all that is kept answers a question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, Final

from memoria.errors import UsageError
from memoria_cli.ask.excerpt import excerpt
from memoria_cli.options import (
    FILTER_PANEL,
    ROWS,
    FilterLane,
    Json,
    Meta,
    Since,
    Until,
    argument,
    limit,
    option,
    panel,
    parse_pairs,
)
from memoria_cli.stores import find_store, load_memory_store, require_present, split_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_engrams, format_minute
from memoria_cli.verbs import verb

if TYPE_CHECKING:
    from memoria.store import MemoryStore
    from memoria.store.answers import Answer, Answers, Neighbour

_filter: Final = panel(FILTER_PANEL)
_teach: Final = panel("Teaching")
_ALL: Final = 2**31  # answers, and more than there are
_LEARNED: Final = 5  # answers that --learn lets live longer
_GAIN: Final = 20.0  # steps, of each of them
_LEAST_REASON: Final = 0.5  # of a part's share in a score that is named without --why
_LEAST_PART: Final = 0.005  # that is shown with two digits
_FAINT: Final = "dim"
_INDENT: Final = "   "

# What the parts of a score are, in words.
_REASONS: Final[Mapping[str, str]] = {
    "dense": "meaning",
    "lexical": "words",
    "trigram": "letters of words",
    "around": "what stands around it",
    "neighbours": "what comes before and after it",
    "information": "how much it says",
    "question": "it only asks",
    "speaker": "the speaker named",
    "day": "the day named",
    "confirmed": "it answered such questions before",
}
_ANSWER: Final = "answer: "  # begins the names of parts for kinds of answers
_KINDS: Final = {"when": "a time", "number": "a number", "where": "a place", "title": "a title"}


@verb(
    "ask",
    'memoria ask notes "Where did the cat sit?"',
    "memoria ask notes where did the cat sit --top 3 --context 1 --why",
    "memoria ask notes cat --source '*.txt' --since 30d --json",
)
def ask(
    words: Annotated[
        list[str] | None,
        argument("[STORE] QUESTION...", "The store, and the question in one or more words."),
    ] = None,
    store: Annotated[
        str | None,
        option(
            "--store",
            "The store, if not the first argument, MEMORIA_STORE or the nearest .memoria "
            "upwards; STORE@NAME and STORE@STEP are its past.",
            "STORE",
        ),
    ] = None,
    top: Annotated[int, limit("Answers at most", "--limit --top -n")] = ROWS,
    context: Annotated[
        int, option("--context", "Show N engrams before and after each answer.", "N", min=0)
    ] = 0,
    why: Annotated[bool, option("--why", "Show the parts of each score, in words.")] = False,
    questions: Annotated[
        str | None,
        option(
            "--questions",
            "Ask every question of this file, in its field 'question' or the one named.",
            "FILE.jsonl[:FIELD]",
        ),
    ] = None,
    lane: FilterLane = None,
    kind: Annotated[
        list[str] | None,
        _filter("--type", "In this memory. Repeatable.", "working|shortterm|longterm"),
    ] = None,
    source: Annotated[
        list[str] | None,
        _filter("--source", "From a source like this: * and ? stand for any. Repeatable.", "GLOB"),
    ] = None,
    since: Since = None,
    until: Until = None,
    meta: Meta = None,
    forgotten: Annotated[
        bool,
        _filter("--forgotten", "What was forgotten but still lies there, instead of what lives."),
    ] = False,
    learn: Annotated[
        bool,
        _teach("--learn", f"Let the {_LEARNED} best answers gain {_GAIN:g} steps of lifespan."),
    ] = False,
    used: Annotated[
        list[int] | None,
        _teach(
            "--used",
            "This engram was the answer: it gains 50 steps, and is found sooner by questions like "
            "this one. Repeatable; as `memoria used`.",
            "ID",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Ask which engrams answer a question, the best first.

    Changes nothing unless told to. Ranks by meaning, words, what stands around and what a text says
    of itself. `memoria remind` is the other way to get something out of a memory: what a model is
    given while it reads.
    """
    from memoria.query.listing import parse_time
    from memoria.store.asking import AskFilter, Asking
    from memoria.store.reading import open_files

    place, said = find_store(words or (), store)
    asked = _questions(said, questions)
    if used and questions is not None:
        raise UsageError("--used is of one question", "leave out --questions")
    wanted = AskFilter(
        lane=lane,
        sources=source,
        since=None if since is None else parse_time("since", since),
        until=None if until is None else parse_time("until", until, end=True),
        types=kind,
        meta=parse_pairs("--meta", meta or ()) or None,
        forgotten=forgotten,
    )
    teaches = learn or bool(used)
    if teaches and place not in (store, *(words or ())):
        output.note(f"the store is {place}")
    path, at = (require_present(place), None) if teaches else split_store(place)
    with closing(open_files(path, at, "r+" if teaches else "r")) as files:
        asking = Asking(files)
        found = [
            (question, asking.ask(question, top or _ALL, wanted, context)) for question in asked
        ]
        taught: list[dict[str, list[int]]] = [{}] * len(found)
        if teaches:
            with load_memory_store(files, "ask") as opened:
                taught = [
                    _taught(opened, question, answers.ids[:_LEARNED] if learn else (), used or ())
                    for question, answers in found
                ]
    documents = [
        {"question": question, **answers.document(), **done}
        for (question, answers), done in zip(found, taught, strict=True)
    ]
    human: list[output.Part] = []
    for (question, answers), done in zip(found, taught, strict=True):
        if questions is not None:
            human.append(output.Styled(question, "bold"))
        human += [*_told(question, answers, why, wanted != AskFilter()), *_taught_lines(done)]
    document: Any
    if questions is None:
        document = {name: value for name, value in documents[0].items() if name != "question"}
    else:
        document = [
            {name: value for name, value in one.items() if name != "step"} for one in documents
        ]
    for note in dict.fromkeys(note for _, answers in found for note in answers.notes):
        output.note(note)
    output.result(document, human, json)


def _taught(
    store: MemoryStore, question: str, best: Sequence[int], used: Sequence[int]
) -> dict[str, list[int]]:
    """Record that the ``best`` were found and those ``used`` were the answer; which these are."""
    done: dict[str, list[int]] = {}
    if best:
        done["learned"] = store.teach(best, _GAIN).tolist()
    if used:
        done["used"] = store.used(used, question).tolist()
    return done


def _questions(words: Sequence[str], file: str | None) -> list[str]:
    """The one question in ``words``, or those of the file."""
    if file is None:
        if not words:
            raise UsageError("there is no question", 'memoria ask STORE "Where are the bees?"')
        return [" ".join(words)]
    if words:
        raise UsageError(
            f"--questions {file} and a question of its own exclude each other", "choose one"
        )
    from memoria.io.texts import read_fields

    return list(read_fields(file, "question"))


def _told(question: str, answers: Answers, why: bool, filtered: bool) -> Iterator[output.Part]:
    """The answers in words: the text, where and when it was said, and why it was found."""
    if not len(answers):
        yield (
            "nothing that these filters let through is there"
            if filtered
            else "nothing is there to answer this"
        )
        return
    style = ""
    if not answers.seems_answered:
        yield "nothing here seems to answer this; the nearest:"
        style = _FAINT
    alike: dict[tuple[int, str | int], list[Answer]] = {}
    for answer in answers:
        said = answer.id if answer.text is None else _text(answer, question)
        alike.setdefault((answer.lane, said), []).append(answer)
    for number, (answer, *others) in enumerate(alike.values(), 1):
        yield from _neighbours(answer.before, question)
        yield output.Styled(f"{number}. {_text(answer, question)}", style)
        yield output.Styled(f"{_INDENT}{' · '.join(_about(answer, why))}", _FAINT)
        if others:
            ids = ", ".join(str(one.id) for one in others)
            yield output.Styled(f"{_INDENT}the same: engram{'s' * (len(others) > 1)} {ids}", _FAINT)
        if why:
            yield output.Styled(f"{_INDENT}{_parts(answer)}", _FAINT)
        yield from _neighbours(answer.after, question)


def _taught_lines(done: Mapping[str, Sequence[int]]) -> Iterator[str]:
    if "learned" in done:
        yield f"{format_engrams(done['learned'])} gained {_GAIN:g} steps"
    if "used" in done:
        yield f"{format_engrams(done['used'])} answered; the question is kept"


def _neighbours(engrams: Sequence[Neighbour], question: str) -> Iterator[output.Part]:
    for one in engrams:
        yield output.Styled(f"{_INDENT}{_INDENT}{excerpt(_flat(one.text), question)}", _FAINT)


def _text(answer: Answer, question: str) -> str:
    """What of the text the question is about, after its speaker where that stands beside it."""
    from memoria.store.lane_texts import speaker_of

    text, speaker = excerpt(_flat(answer.text), question), speaker_of(answer.meta)
    return f"{speaker}: {text}" if speaker and not text.startswith(f"{speaker}:") else text


def _flat(text: str | None) -> str:
    return "(no text)" if text is None else " ".join(text.split())


def _about(answer: Answer, why: bool) -> Iterator[str]:
    """Where the text stands, when it was said, and briefly why it was found."""
    if answer.source is not None:
        is_told = answer.line is None or f":{answer.line}:" in f"{answer.source}:"
        yield answer.source if is_told else f"{answer.source}:{answer.line}"
    if answer.time is not None:
        from memoria.query.documents import iso_time

        yield format_minute(iso_time(answer.time))
    yield f"engram {answer.id}"
    if not why:
        found = [name for name, part in _by_size(answer.parts) if part >= _LEAST_REASON][:2]
        if found:
            yield f"found by {' and '.join(map(_reason, found))}"


def _parts(answer: Answer) -> str:
    """Every part of the score, the greatest first."""
    parts = ", ".join(
        f"{_reason(name)} {part:+.2f}"
        for name, part in _by_size(answer.parts)
        if abs(part) >= _LEAST_PART
    )
    return f"why: {parts}; together {answer.score:.2f}, confidence {answer.confidence:.0%}"


def _by_size(parts: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(parts.items(), key=lambda part: -part[1])


def _reason(name: str) -> str:
    """A part of a score in words."""
    if name.startswith(_ANSWER):
        kind = name.removeprefix(_ANSWER)
        return f"{_KINDS.get(kind, kind)} in it"
    return _REASONS.get(name, name)
