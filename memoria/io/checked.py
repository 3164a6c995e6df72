"""Frozen records whose values are checked as they come: from a file, they may be anything.

A field is declared with a check and perhaps a default. Only plain values of exactly the right type
pass: no text for a number, no bool for an int. numpy, pydantic and the like stay unloaded, so that
a command which opens a store starts at once. The methods have the names that pydantic gives them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from math import inf, isfinite
from typing import Any, ClassVar, Final, Literal, Self, dataclass_transform

Check = Callable[[Any], Any]  # gives the value as it is kept; raises `RefusedError`

_REQUIRED: Final[Any] = object()
_MISSING: Final = "Field required"


class RefusedError(ValueError):
    """A value that a check refuses.

    Attributes:
        message: what it must be.
        place: names of fields, keys and numbers of items that lead to it.
        value: the value.
    """

    def __init__(self, message: str, value: Any, place: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.value, self.place = message, value, place

    def within(self, part: str | int) -> RefusedError:
        """The same error, seen from what holds ``part``."""
        return RefusedError(self.message, self.value, (part, *self.place))


class Field:
    """What a field of a `Record` may be, and what it is where nothing is given."""

    __slots__ = ("check", "default", "description")

    def __init__(self, check: Check, default: Any, description: str) -> None:
        self.check, self.default, self.description = check, default, description

    @property
    def is_required(self) -> bool:
        """Whether it has no default."""
        return self.default is _REQUIRED


def field(check: Check, default: Any = _REQUIRED, description: str = "") -> Any:
    """Declare a field of a `Record`; without a default it is required."""
    return Field(check, default, description)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Record:
    """Base of frozen records; ``extra`` says what becomes of keys that are no fields.

    Raises:
        RefusedError: a value is refused, a field is missing, or a key is no field.
    """

    model_fields: ClassVar[Mapping[str, Field]] = {}
    model_fields_set: ClassVar[frozenset[str]]  # of an instance: the fields that were given
    model_extra: ClassVar[Mapping[str, Any]]  # of an instance: what is kept besides its fields
    extra: ClassVar[Literal["refuse", "keep", "pass over"]] = "refuse"

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        own = {name: one for name, one in vars(cls).items() if isinstance(one, Field)}
        for name in own:
            delattr(cls, name)
        cls.model_fields = {**cls.model_fields, **own}

    def __init__(self, /, **values: Any) -> None:
        fields, held = self.model_fields, vars(self)
        for name, one in fields.items():
            if name in values:
                try:
                    held[name] = one.check(values[name])
                except RefusedError as error:
                    raise error.within(name) from None
            elif one.is_required:
                raise RefusedError(_MISSING, None, (name,))
            else:
                held[name] = {**one.default} if type(one.default) is dict else one.default
        others = {name: value for name, value in values.items() if name not in fields}
        if others and self.extra == "refuse":
            name, value = next(iter(others.items()))
            raise RefusedError("no such field", value, (name,))
        held["model_extra"] = others if self.extra == "keep" else {}
        held["model_fields_set"] = frozenset(values.keys() & fields.keys())

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name}")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), *self._values().values()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._values().items())
        return f"{type(self).__name__}({values})"

    def model_dump(
        self,
        mode: Literal["python", "json"] = "python",
        include: Collection[str] | None = None,
        exclude: Collection[str] = (),
        exclude_none: bool = False,
    ) -> dict[str, Any]:
        """The values as a new dict, records within as dicts; with ``"json"`` tuples as lists."""
        return {
            name: _dumped(value, mode)
            for name, value in self._values().items()
            if (include is None or name in include)
            and name not in exclude
            and not (exclude_none and value is None)
        }

    def model_copy(self, update: Mapping[str, Any] | None = None) -> Self:
        """A copy with the values of ``update``, which are not checked."""
        made = object.__new__(type(self))
        given = self.model_fields_set | (update or {}).keys()
        vars(made).update({**vars(self), **(update or {}), "model_fields_set": given})
        return made

    def _values(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self.model_fields}, **self.model_extra}


def _dumped(value: Any, mode: Literal["python", "json"]) -> Any:
    if isinstance(value, Record):
        return value.model_dump(mode)
    if isinstance(value, dict):
        return {key: _dumped(one, mode) for key, one in value.items()}
    if isinstance(value, tuple):
        many = (_dumped(one, mode) for one in value)
        return list(many) if mode == "json" else tuple(many)
    return value


# Checks.


def whole(low: int, high: int) -> Check:
    """A whole number from ``low`` to ``high``, both included."""

    def check(value: Any) -> int:
        if type(value) is not int:
            raise RefusedError("must be an integer", value)
        if not low <= value <= high:
            raise RefusedError(f"must be {low} to {high}", value)
        return value

    return check


def number(value: Any) -> float:
    """A finite number, kept as float."""
    if type(value) is not float and type(value) is not int:
        raise RefusedError("must be a number", value)
    try:
        kept = float(value)
    except OverflowError:
        kept = inf
    if not isfinite(kept):
        raise RefusedError("must be a finite number", value)
    return kept


def text(least: int = 0, most: int | None = None, pattern: str | None = None) -> Check:
    """Text of ``least`` to ``most`` characters, all of which match ``pattern``."""

    def check(value: Any) -> str:
        if type(value) is not str:
            raise RefusedError("must be text", value)
        if len(value) < least or (most is not None and len(value) > most):
            raise RefusedError(f"must have {least} to {most} characters", value)
        if pattern is not None and re.fullmatch(pattern, value) is None:
            raise RefusedError(f"must match the pattern {pattern}", value)
        return value

    return check


def flag(value: Any) -> bool:
    """True or False."""
    if type(value) is not bool:
        raise RefusedError("must be true or false", value)
    return value


def choice(*known: str) -> Check:
    """One of ``known``."""

    def check(value: Any) -> str:
        if type(value) is not str or value not in known:
            raise RefusedError(f"must be one of {', '.join(known)}", value)
        return value

    return check


def optional(check: Check) -> Check:
    """None, or what ``check`` lets pass."""
    return lambda value: None if value is None else check(value)


def any_of(*checks: Check) -> Check:
    """What one of ``checks`` lets pass, the first that does; else the last one says why."""

    def check(value: Any) -> Any:
        for one in checks[:-1]:
            try:
                return one(value)
            except RefusedError:
                continue
        return checks[-1](value)

    return check


def many(item: Check) -> Check:
    """A list or tuple of what ``item`` lets pass, kept as a tuple."""

    def check(value: Any) -> tuple[Any, ...]:
        if type(value) is not list and type(value) is not tuple:
            raise RefusedError("must be a list", value)
        kept = []
        for place, one in enumerate(value):
            try:
                kept.append(item(one))
            except RefusedError as error:
                raise error.within(place) from None
        return tuple(kept)

    return check


def mapping(key: Check, item: Check) -> Check:
    """A dict whose keys and values pass, kept as a new dict."""

    def check(value: Any) -> dict[Any, Any]:
        if type(value) is not dict:
            raise RefusedError("must be a dict", value)
        kept = {}
        for name, one in value.items():
            try:
                kept[key(name)] = item(one)
            except RefusedError as error:
                raise error.within(str(name)) from None
        return kept

    return check


def record(kind: type[Record]) -> Check:
    """A record of ``kind``, or a dict of its fields."""

    def check(value: Any) -> Record:
        if isinstance(value, kind):
            return value
        if type(value) is not dict or not all(type(name) is str for name in value):
            raise RefusedError("must be an object", value)
        return kind(**value)

    return check


def anything(value: Any) -> Any:
    """Whatever it is, as it is."""
    return value
