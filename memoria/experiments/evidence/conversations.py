"""Conversations with questions and the turns that answer them, from files.

LoCoMo's form: a JSON document with ``session_N`` (turns of ``speaker``, ``dia_id``, ``text``,
perhaps ``blip_caption``), ``session_N_date_time``, and ``qa`` (``question``, ``evidence``,
``category``); or a list of documents with these in ``conversation`` and ``qa``.

ConvoMem's form: a JSON document with ``evidenceItems`` (``question``, ``message_evidences`` of
``speaker`` and ``text``, ``conversations`` of ``messages``, ``category``), and perhaps
``conversations`` that all of them are asked of; or a list of such documents. Evidence is found by
its speaker and text.

JSON lines: a turn has ``text`` and ``id``, perhaps ``speaker``, ``session``, ``time``
(milliseconds or an ISO 8601 date); a question has ``question`` and ``evidence``, an id of a turn
or a list of them, perhaps ``category``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from memoria.errors import InputError, first_line
from memoria.io.bounds import open_regular, parse_json
from memoria.io.files import reading
from memoria.io.times import parse_date

Captions = Literal["shared", "plain"]

_MOST_BYTES: Final = 1 << 28  # of a file
_ENDINGS: Final = (".json", ".jsonl")
_SESSION: Final = re.compile(r"session_([0-9]{1,6})")
_DIALOGUE: Final = re.compile(r"D:?([0-9]{1,6}):([0-9]{1,6})")  # as LoCoMo's evidence has it
_CATEGORIES: Final = {  # of LoCoMo
    1: "multi-hop",
    2: "temporal",
    3: "open domain",
    4: "single hop",
    5: "adversarial",
}


@dataclass(frozen=True)
class Turn:
    """What somebody says.

    Attributes:
        text: after its speaker, where there is one.
        session: its number; turns of one session are read together.
        time: milliseconds since 1970; None where it is not known.
        date: the same in the words of the file; "" where it has none.
    """

    text: str
    session: int
    time: int | None = None
    date: str = ""


@dataclass(frozen=True)
class Question:
    """A question, its kind, and the numbers of the turns that answer it, ascending."""

    text: str
    category: str
    evidence: tuple[int, ...]


@dataclass(frozen=True)
class Conversation:
    """Turns in their order, and the questions whose evidence is among them."""

    name: str
    turns: Sequence[Turn]
    questions: Sequence[Question]


def read_conversations(data: Sequence[str], captions: Captions = "shared") -> list[Conversation]:
    """The conversations in files, and in the .json and .jsonl files of folders by name.

    Questions without evidence among the turns are left out.

    Args:
        data: paths.
        captions: how the caption of a picture stands behind a turn's text: ``[shares CAPTION]``, or
            "plain", as published figures have it.

    Raises:
        InputError: a file is missing or of neither form, or nothing is asked.
    """
    found = [one for path in _files(data) for one in _conversations(path, captions)]
    if not any(one.questions for one in found):
        raise InputError(
            f"{', '.join(data) or 'data'}: no questions with evidence",
            "name conversations in LoCoMo's or ConvoMem's form, or JSON lines of turns, questions",
        )
    return found


def _files(data: Sequence[str]) -> Iterator[Path]:
    for name in data:
        path = Path(name)
        if path.is_dir():
            yield from sorted(one for one in path.iterdir() if one.suffix in _ENDINGS)
        else:
            yield path


def _conversations(path: Path, captions: Captions) -> Iterator[Conversation]:
    with reading(os.fspath(path)), open(open_regular(path), "rb") as file:
        raw = file.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise InputError(f"{path}: more than {_MOST_BYTES >> 20} MiB", "split it")
    try:
        if path.suffix == ".jsonl":
            lines = [parse_json(line) for line in raw.splitlines() if line.strip()]
            yield _of_lines(path.stem, lines)
            return
        document = parse_json(raw)
        for number, one in enumerate(document if isinstance(document, list) else [document]):
            name = str(one.get("sample_id", path.stem if document is one else number))
            items = one.get("evidenceItems", one.get("evidence_items"))
            if items is not None:
                yield from _of_convomem(name, items, one.get("conversations"))
                continue
            whole = {**one.get("conversation", one), "qa": one.get("qa", [])}
            yield _of_locomo(name, whole, captions)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: holds no conversation: {type(error).__name__}: {first_line(error)}",
            "it is read in LoCoMo's or ConvoMem's form, or as JSON lines of turns and questions",
        ) from None


def _of_locomo(name: str, document: Mapping[str, Any], captions: Captions) -> Conversation:
    turns: list[Turn] = []
    numbers: dict[tuple[int, int], int] = {}
    sessions = [int(found[1]) for key in document if (found := _SESSION.fullmatch(key))]
    for session in sorted(sessions):
        date = str(document.get(f"session_{session}_date_time", ""))
        for one in document[f"session_{session}"]:
            for found in _DIALOGUE.finditer(str(one["dia_id"])):
                numbers[int(found[1]), int(found[2])] = len(turns)
            text = f"{one['speaker']}: {_flat(one.get('clean_text') or one['text'])}"
            if one.get("blip_caption"):
                caption = _flat(one["blip_caption"])
                text += f" {caption}" if captions == "plain" else f" [shares {caption}]"
            turns.append(Turn(text, session, _time_of(date), date))
    questions = []
    for one in document["qa"]:
        named = _DIALOGUE.finditer(" ".join(map(str, one.get("evidence") or ())))
        evidence = {numbers.get((int(found[1]), int(found[2])), -1) for found in named}
        category = one.get("category")
        kind = _CATEGORIES.get(category, str(category))
        questions.append((_flat(one["question"]), kind, evidence))
    return Conversation(name, turns, _answerable(questions))


def _of_convomem(
    name: str, items: Sequence[Mapping[str, Any]], shared: Sequence[Mapping[str, Any]] | None
) -> Iterator[Conversation]:
    """One conversation that all items are asked of, or each item's own."""
    if shared:
        yield _of_messages(name, shared, items)
        return
    for number, item in enumerate(items):
        yield _of_messages(f"{name}-{number}", item["conversations"], [item])


def _of_messages(
    name: str, conversations: Sequence[Mapping[str, Any]], items: Sequence[Mapping[str, Any]]
) -> Conversation:
    turns: list[Turn] = []
    numbers: dict[str, int] = {}  # of the first that says it
    for session, conversation in enumerate(conversations):
        for message in conversation["messages"]:
            text = _message(message)
            numbers.setdefault(text, len(turns))
            turns.append(Turn(text, session))
    questions = [
        (
            _flat(item["question"]),
            str(item.get("category", "all")),
            {numbers.get(_message(one), -1) for one in item["message_evidences"]},
        )
        for item in items
    ]
    return Conversation(name, turns, _answerable(questions))


def _message(message: Mapping[str, Any]) -> str:
    return f"{message['speaker']}: {_flat(message['text'])}"


def _of_lines(name: str, records: Sequence[Mapping[str, Any]]) -> Conversation:
    turns: list[Turn] = []
    numbers: dict[str, int] = {}
    for one in records:
        if "question" in one:
            continue
        numbers[str(one["id"])] = len(turns)
        speaker, time = one.get("speaker"), one.get("time")
        text = f"{speaker}: {_flat(one['text'])}" if speaker else _flat(one["text"])
        milliseconds = parse_date(time) if isinstance(time, str) else time
        date = time if isinstance(time, str) else ""
        turns.append(Turn(text, int(one.get("session", 0)), milliseconds, date))
    questions = [
        (
            _flat(one["question"]),
            str(one.get("category", "all")),
            {numbers.get(id_, -1) for id_ in _ids(one["evidence"])},
        )
        for one in records
        if "question" in one
    ]
    return Conversation(name, turns, _answerable(questions))


def _ids(evidence: Any) -> list[str]:
    """Ids in a list, or one alone."""
    return [str(one) for one in (evidence if isinstance(evidence, list) else [evidence])]


def _answerable(questions: Sequence[tuple[str, str, set[int]]]) -> list[Question]:
    found = [(text, kind, tuple(sorted(evidence - {-1}))) for text, kind, evidence in questions]
    return [Question(*one) for one in found if one[2]]


def _flat(text: object) -> str:
    return " ".join(str(text).split())


def _time_of(date: str) -> int | None:
    """Milliseconds since 1970 of "1:56 pm on 8 May, 2023" as UTC; None of anything else."""
    try:
        time = datetime.strptime(date, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(time.timestamp() * 1000)
