"""Frozen records whose values are checked as they come: from a file, they may be anything.

A field is declared with a check and perhaps a default. Only plain values of exactly the right type
pass: no text for a number, no bool for an int. Nothing is imported for it, so that a command which
opens a store starts at once. Where a check says no, `judge` can ask pydantic, which knows more
types and has words for what is wrong; its bounds are those of the checks. The methods of records
have the names that pydantic gives them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Any, ClassVar, Final, Literal, Protocol, Self, dataclass_transform


class Check(Protocol):
    """Gives the value as it is kept; raises `RefusedError`."""

    def __call__(self, value: Any, /) -> Any: ...


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


def judge(kind: type[Record], values: Mapping[str, Any]) -> dict[str, Any]:
    """The ``values`` of a record's fields as pydantic takes them, by the same checks.

    Raises:
        pydantic_core.ValidationError: it takes them no more than the checks do.
        AttributeError: a field's check has no ``schema`` for pydantic.
    """
    from pydantic_core import SchemaValidator
    from pydantic_core.core_schema import typed_dict_field, typed_dict_schema

    schemas = {
        name: typed_dict_field(_schema(one.check), required=False)
        for name, one in kind.model_fields.items()
    }
    judged = SchemaValidator(typed_dict_schema(schemas, extra_behavior="forbid"))
    kept: dict[str, Any] = judged.validate_python(dict(values))
    return kept


# Checks.


class Whole:
    """A whole number from ``low`` to ``high``, both included; None: without an end."""

    def __init__(self, low: int | None = None, high: int | None = None) -> None:
        self.low, self.high = low, high

    def __call__(self, value: Any, /) -> int:
        if type(value) is not int:
            raise RefusedError("must be an integer", value)
        if self.low is not None and value < self.low:
            raise RefusedError(f"must be {self.low} or more", value)
        if self.high is not None and value > self.high:
            raise RefusedError(f"must be {self.high} or less", value)
        return value

    def schema(self) -> Any:
        """The same check as a schema of pydantic's."""
        from pydantic_core.core_schema import int_schema

        return int_schema(strict=True, ge=self.low, le=self.high)


class Number:
    """A finite number, kept as float; above ``above`` and at most ``most``, if they are given."""

    def __init__(self, above: float | None = None, most: float | None = None) -> None:
        self.above, self.most = above, most

    def __call__(self, value: Any, /) -> float:
        if type(value) is not float and type(value) is not int:
            raise RefusedError("must be a number", value)
        try:
            kept = float(value)
        except OverflowError:
            raise RefusedError("must be a finite number", value) from None
        if not isfinite(kept):
            raise RefusedError("must be a finite number", value)
        if self.above is not None and not kept > self.above:
            raise RefusedError(f"must be greater than {self.above:g}", value)
        if self.most is not None and not kept <= self.most:
            raise RefusedError(f"must be at most {self.most:g}", value)
        return kept

    def schema(self) -> Any:
        """The same check as a schema of pydantic's."""
        from pydantic_core.core_schema import float_schema

        return float_schema(strict=True, allow_inf_nan=False, gt=self.above, le=self.most)


class Text:
    """Text of ``least`` to ``most`` characters, all of which match ``pattern``."""

    def __init__(self, least: int = 0, most: int | None = None, pattern: str | None = None) -> None:
        self.least, self.most, self.pattern = least, most, pattern

    def __call__(self, value: Any, /) -> str:
        if type(value) is not str:
            raise RefusedError("must be text", value)
        if not value.isascii():
            _check_unicode(value)
        if len(value) < self.least:
            raise RefusedError(f"must have at least {self.least} characters", value)
        if self.most is not None and len(value) > self.most:
            raise RefusedError(f"must have at most {self.most} characters", value)
        if self.pattern is not None and re.fullmatch(self.pattern, value) is None:
            raise RefusedError(f"must match the pattern {self.pattern}", value)
        return value

    def schema(self) -> Any:
        """The same check as a schema of pydantic's."""
        from pydantic_core.core_schema import str_schema

        pattern = None if self.pattern is None else f"^(?:{self.pattern})$"
        return str_schema(strict=True, min_length=self.least, max_length=self.most, pattern=pattern)


class Flag:
    """True or False."""

    def __call__(self, value: Any, /) -> bool:
        if type(value) is not bool:
            raise RefusedError("must be true or false", value)
        return value

    def schema(self) -> Any:
        """The same check as a schema of pydantic's."""
        from pydantic_core.core_schema import bool_schema

        return bool_schema(strict=True)


class Choice:
    """One of the texts ``known``."""

    def __init__(self, known: Sequence[str]) -> None:
        self.known = tuple(known)

    def __call__(self, value: Any, /) -> str:
        if type(value) is not str or value not in self.known:
            raise RefusedError(f"must be one of {', '.join(self.known)}", value)
        return value

    def schema(self) -> Any:
        """The same check as a schema of pydantic's."""
        from pydantic_core.core_schema import literal_schema

        return literal_schema(list(self.known))


class AnyOf:
    """What one of ``checks`` lets pass, the first that does; else the last one says why."""

    def __init__(self, *checks: Check) -> None:
        self._checks = checks

    def __call__(self, value: Any, /) -> Any:
        for one in self._checks[:-1]:
            try:
                return one(value)
            except RefusedError:
                continue
        return self._checks[-1](value)

    def schema(self) -> Any:
        """The same check as a schema of pydantic's; only of checks that have one."""
        from pydantic_core.core_schema import union_schema

        return union_schema([_schema(one) for one in self._checks])


class OrNone:
    """None, or what ``inner`` lets pass."""

    def __init__(self, inner: Check) -> None:
        self.inner = inner

    def __call__(self, value: Any, /) -> Any:
        return None if value is None else self.inner(value)

    def schema(self) -> Any:
        """The same check as a schema of pydantic's; only of a check that has one."""
        from pydantic_core.core_schema import nullable_schema

        return nullable_schema(_schema(self.inner))


class DictOf:
    """A dict whose keys and values pass, kept as a new dict."""

    def __init__(self, key: Check, item: Check) -> None:
        self._key, self._item = key, item

    def __call__(self, value: Any, /) -> dict[Any, Any]:
        if type(value) is not dict:
            raise RefusedError("must be a dict", value)
        kept = {}
        for name, one in value.items():
            try:
                kept[self._key(name)] = self._item(one)
            except RefusedError as error:
                raise error.within(str(name)) from None
        return kept

    def schema(self) -> Any:
        """The same check as a schema of pydantic's; only of checks that have one."""
        from pydantic_core.core_schema import dict_schema

        return dict_schema(_schema(self._key), _schema(self._item))


class Many:
    """A list or tuple of what ``item`` lets pass, kept as a tuple."""

    def __init__(self, item: Check) -> None:
        self._item = item

    def __call__(self, value: Any, /) -> tuple[Any, ...]:
        if type(value) is not list and type(value) is not tuple:
            raise RefusedError("must be a list", value)
        kept = []
        for place, one in enumerate(value):
            try:
                kept.append(self._item(one))
            except RefusedError as error:
                raise error.within(place) from None
        return tuple(kept)


class RecordOf:
    """A record of ``kind``, or a dict of its fields."""

    def __init__(self, kind: type[Record]) -> None:
        self._kind = kind

    def __call__(self, value: Any, /) -> Record:
        if isinstance(value, self._kind):
            return value
        if type(value) is not dict or not all(type(name) is str for name in value):
            raise RefusedError("must be an object", value)
        return self._kind(**value)


class Anything:
    """Whatever it is, as it is."""

    def __call__(self, value: Any, /) -> Any:
        return value


def _check_unicode(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise RefusedError("must be Unicode", value) from None


def _schema(check: Any) -> Any:
    return check.schema()
