"""The routes of the JSON API, as one table: what is checked, what is called, what is documented."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from memoria.errors import InputError
from memoria.serving.operations import (
    MOST_ANSWERS,
    MOST_CONTEXT,
    MOST_LISTED,
    MOST_STEPS,
    Document,
    Kind,
    MemoryOperations,
)

_MOST_ID: Final = 2**63 - 1
_MOST_TEXT: Final = 2**18  # characters of one parameter

ParameterKind: TypeAlias = Literal["text", "whole", "texts", "ids", "object"]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a route: in the path, in the query of GET, in the JSON body of POST.

    Attributes:
        name: as the operation knows it.
        kind: what its value is; ``texts`` and ``ids`` are lists, in a query given again and again.
        about: what it means.
        required: whether it must be there.
        least, most: bounds of a whole number, or of how many values a list has.
        choices: the only texts it may be; any if empty.
    """

    name: str
    kind: ParameterKind
    about: str
    required: bool = False
    least: int = 0
    most: int = _MOST_ID
    choices: tuple[str, ...] = ()

    def schema(self) -> Document:
        """As JSON Schema."""
        text: Document = {"type": "string", "maxLength": _MOST_TEXT}
        if self.choices:
            text = {"type": "string", "enum": [*self.choices]}
        whole = {"type": "integer", "minimum": self.least, "maximum": self.most}
        if self.kind == "text":
            return text
        if self.kind == "whole":
            return whole
        if self.kind == "object":
            return {"type": "object"}
        item = text if self.kind == "texts" else {**whole, "minimum": 0, "maximum": _MOST_ID}
        return {"type": "array", "items": item, "minItems": 1, "maxItems": min(self.most, 10_000)}


@dataclass(frozen=True)
class Route:
    """One thing that the API does: ``method`` and ``path``, and the operation that does it."""

    method: Literal["GET", "POST"]
    path: str
    about: str
    operation: Callable[..., Document]
    parameters: tuple[Parameter, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether it changes the memory."""
        return self.method == "POST"


def _text(
    name: str, about: str, required: bool = False, choices: tuple[str, ...] = ()
) -> Parameter:
    return Parameter(name, "text", about, required, choices=choices)


_ID: Final = Parameter("id", "whole", "The engram by id.", required=True)
_META: Final = Parameter("meta", "object", "What stands beside the text: an object of JSON values.")

ROUTES: Final = (
    Route("GET", "/api/memory", "What the memory is and holds.", MemoryOperations.memory),
    Route(
        "GET",
        "/api/ask",
        "Which engrams answer a question, the best first. Changes nothing.",
        MemoryOperations.ask,
        (
            _text("question", "The question.", required=True),
            Parameter("top", "whole", "Answers, at most; 10.", least=1, most=MOST_ANSWERS),
            Parameter("context", "whole", "Engrams before and after each; 0.", most=MOST_CONTEXT),
            Parameter("lane", "whole", "Of this lane only."),
            Parameter("source", "texts", "From sources like these; * and ? stand for any."),
            _text("since", "Of then or later: a date, or 30d (s, m, h, d, w) ago."),
            _text("until", "Of then or before."),
            Parameter(
                "type", "texts", "In these memories.", choices=("working", "shortterm", "longterm")
            ),
            Parameter("meta", "object", "With these values beside the text, as JSON."),
        ),
    ),
    Route(
        "GET",
        "/api/engrams",
        "Engrams that pass the filters, the newest first.",
        MemoryOperations.engrams,
        (
            _text("text", "With this in the text."),
            _text("source", "From a source like this; * and ? stand for any."),
            _text("type", "In which memory; living.", choices=get_args(Kind)),
            Parameter("before", "whole", "With ids below this one: the next page."),
            Parameter("limit", "whole", "So many, at most; 50.", least=1, most=MOST_LISTED),
        ),
    ),
    Route("GET", "/api/engrams/{id}", "The life of one engram.", MemoryOperations.engram, (_ID,)),
    Route(
        "GET",
        "/api/timeline",
        "What the last steps did, oldest first.",
        MemoryOperations.timeline,
        (Parameter("limit", "whole", "So many steps; 100.", least=1, most=MOST_STEPS),),
    ),
    Route("GET", "/api/undo", "What POST would take back.", MemoryOperations.would_undo),
    Route("POST", "/api/undo", "Take back the last command.", MemoryOperations.undo),
    Route(
        "POST",
        "/api/remember",
        "Remember a text in one committed step; returns the ids of its engrams.",
        MemoryOperations.remember,
        (
            _text("text", "What is remembered.", required=True),
            _text("source", "Where it comes from."),
            _text("time", "When it was: a date, a date and time, or 30d ago."),
            _META,
        ),
    ),
    Route(
        "POST",
        "/api/used",
        "Say which engrams answered: they live longer, and are found sooner.",
        MemoryOperations.used,
        (
            Parameter("ids", "ids", "The engrams by id.", required=True, most=1000),
            _text("question", "What they answered."),
        ),
    ),
    Route(
        "POST",
        "/api/forget",
        "Forget engrams.",
        MemoryOperations.forget,
        (Parameter("ids", "ids", "The engrams by id.", required=True, most=10_000),),
    ),
    Route(
        "POST",
        "/api/engrams/{id}/edit",
        "Give an engram another text, or other values of its meta.",
        MemoryOperations.edit,
        (_ID, _text("text", "Its new text."), _META),
    ),
    Route(
        "POST", "/api/engrams/{id}/pin", "Let it lose no lifespan.", MemoryOperations.pin, (_ID,)
    ),
    Route("POST", "/api/engrams/{id}/unpin", "Let it age again.", MemoryOperations.unpin, (_ID,)),
)


def read_query(route: Route, given: Mapping[str, list[str]]) -> Document:
    """The parameters of a GET from its query and path, each a list of texts; checked.

    Raises:
        InputError: one is given twice, or `read_values` refuses it.
    """
    known = {one.name: one for one in route.parameters}
    values: Document = {}
    for name, texts in given.items():
        kind = known[name].kind if name in known else None
        if kind == "texts":
            values[name] = texts
        elif len(texts) > 1:
            raise InputError(f"{name}: given {len(texts)} times", "give it once")
        elif kind == "whole":
            values[name] = _as_whole(name, texts[0])
        elif kind == "object":
            values[name] = _as_object(name, texts[0])
        else:
            values[name] = texts[0]
    return read_values(route, values)


def read_values(route: Route, given: Mapping[str, Any]) -> Document:
    """The parameters of a route, checked against what it takes; those that are null are left out.

    Raises:
        InputError: one is unknown, missing, of another type or out of bounds.
    """
    known = {one.name: one for one in route.parameters}
    for name in given:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise InputError(f"parameter {name[:80]!r}: unknown", takes)
    values = {name: value for name, value in given.items() if value is not None}
    for one in route.parameters:
        if one.name in values:
            _check(one, values[one.name])
        elif one.required:
            raise InputError(f"{one.name}: missing", one.about)
    return values


def _check(parameter: Parameter, value: Any) -> None:
    name, kind = parameter.name, parameter.kind
    if kind == "text":
        _check_text(parameter, value)
    elif kind == "whole":
        if type(value) is not int or not parameter.least <= value <= parameter.most:
            bounds = f"a whole number from {parameter.least} to {parameter.most}"
            raise InputError(f"{name} = {str(value)[:80]}: not {bounds}")
    elif kind == "object":
        if not isinstance(value, dict):
            raise InputError(f"{name}: not an object")
    else:
        if not isinstance(value, list) or not 1 <= len(value) <= parameter.most:
            raise InputError(f"{name}: not a list of 1 to {min(parameter.most, 10_000)} values")
        for item in value:
            if kind == "texts":
                _check_text(parameter, item)
            elif type(item) is not int or not 0 <= item <= _MOST_ID:
                raise InputError(f"{name}: {str(item)[:80]} is not an id")


def _check_text(parameter: Parameter, value: Any) -> None:
    if not isinstance(value, str):
        raise InputError(f"{parameter.name}: not a text")
    if len(value) > _MOST_TEXT:
        raise InputError(
            f"{parameter.name}: {len(value)} characters, at most {_MOST_TEXT} are taken"
        )
    if parameter.choices and value not in parameter.choices:
        raise InputError(
            f"{parameter.name} = {value[:80]!r}: unknown", f"one of {', '.join(parameter.choices)}"
        )


def _as_whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InputError(f"{name} = {text[:80]!r}: not a whole number")
    return int(text)


def _as_object(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{name}: not JSON", 'such as {"speaker": "Anna"}') from None
