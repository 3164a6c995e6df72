"""What every experiment's configuration has, and settings written as text."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from memoria.config import complaints, names_hint, unknown_setting
from memoria.errors import ConfigError, InputError

PRESETS: Final = ("small", "paper")
_MOST_SEED: Final = 2**31 - 1
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_+.]*(-[A-Za-z0-9_+.]+)*$"  # it names a folder

ModelNames: TypeAlias = Annotated[
    list[Annotated[StrictStr, Field(pattern=_NAME, max_length=60)]],
    Field(min_length=1, description="What is compared: the first with each of the others."),
]


class ExperimentConfig(BaseModel):
    """Base of the configurations. Frozen; an experiment adds its own fields.

    ``presets`` holds the values of "small" (minutes on two cores) and "paper" (the published
    setting as far as it is known); what a preset leaves out keeps its default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {name: {} for name in PRESETS}

    models: ModelNames = ["memoria", "none"]
    seeds: list[Annotated[StrictInt, Field(ge=0, le=_MOST_SEED)]] = Field(
        [0, 1, 2], min_length=1, description="One run of each model with each seed."
    )
    device: StrictStr = Field(
        "auto", min_length=1, description="cpu, cuda, cuda:1; 'auto' takes a GPU if there is one."
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            unknown = unknown_setting(error)
            hint = None if unknown is None else names_hint(unknown, type(self).model_fields)
            raise ConfigError(complaints(error), hint) from None

    @property
    def model(self) -> str:
        """The model of a single run."""
        return self.models[0]

    @property
    def seed(self) -> int:
        """The seed of a single run."""
        return self.seeds[0]

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> Self:
        """A named preset.

        Args:
            name: of the preset.
            overrides: fields that are otherwise than there.

        Raises:
            ConfigError: there is no such preset or field, or a value is out of range.
        """
        if name not in cls.presets:
            known = ", ".join(cls.presets)
            raise ConfigError(f"preset = {name!r}: unknown", f"choose one of {known}")
        return cls(**_merged(cls.presets[name], overrides))

    def replace(self, **changes: Any) -> Self:
        """A copy with ``changes``, checked like a new one."""
        return type(self)(**_merged(self.model_dump(), changes))

    def single(self, model: str, seed: int) -> Self:
        """The configuration of one run.

        Args:
            model: the network or policy.
            seed: of its random numbers.
        """
        return self.replace(models=[model], seeds=[seed])

    def shared(self) -> dict[str, Any]:
        """What all runs of a folder have in common; models and seeds may be added to it."""
        return self.model_dump(mode="json", exclude={"device", "models", "seeds"})

    @field_validator("models", "seeds")
    @classmethod
    def _each_once(cls, value: list[Any]) -> list[Any]:
        twice = next((one for one in value if value.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} stands there twice")
        return value

    @model_validator(mode="before")
    @classmethod
    def _lists_from_text(cls, values: Any) -> Any:
        """``a,b`` for a field that is a list; a single value for a list of one."""
        if not isinstance(values, Mapping):
            return values
        taken = dict(values)
        for name, value in values.items():
            field = cls.model_fields.get(name)
            if field is None or get_origin(field.annotation) is not list:
                continue
            if isinstance(value, str):
                taken[name] = [
                    parse_value(part.strip()) for part in value.split(",") if part.strip()
                ]
            elif isinstance(value, int | float):
                taken[name] = [value]
        return taken


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """``["steps=200", "models=memoria,none"]`` as values: TOML's, else the text as it is.

    ``settings.memoria.depth=3`` is a value within tables. Raises `ConfigError` for one that is not
    KEY=VALUE or comes twice.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or not key:
            raise ConfigError(f"setting {setting!r}: not KEY=VALUE", "such as steps=200")
        put_setting(found, key, parse_value(value), f"setting {key!r}", "given twice")
    return found


def put_setting(tables: dict[str, Any], key: str, value: Any, name: str, again: str) -> None:
    """Put ``value`` under ``key`` ("a.b" is b in the table a).

    Raises `ConfigError`, which begins with ``name``, for a table that is a value already, and with
    ``again`` for a key that is there.
    """
    table = tables
    *above, last = key.split(".")
    for part in above:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{name}: {part} is given as a whole too")
    if last in table:
        raise ConfigError(f"{name}: {again}")
    table[last] = value


def check_paths(setting: str, paths: Iterable[str], hint: str | None = None) -> None:
    """Raise `InputError` for the first of a setting's ``paths`` that is not there.

    What is no path of this machine (``s3://``) or names a past (``STORE@STEP``) is left to its
    reader.
    """
    for path in paths:
        if "://" not in path and "@" not in path and not os.path.exists(path):
            raise InputError(f"{setting} = {path!r}: no such file", hint)


def parse_seeds(text: str) -> list[int]:
    """``"3"`` is how many, ``"0,4,7"`` which ones (``"4,"`` for a single one)."""
    try:
        if "," not in text:
            count = int(text)
            if 1 <= count <= 1000:
                return list(range(count))
        elif found := [int(part) for part in text.split(",") if part.strip()]:
            return found
    except ValueError:
        pass
    raise ConfigError(f"seeds = {text!r}: neither a count nor a list", "such as 3, or 0,4,7")


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with ``changes``, table by table."""
    merged = dict(values)
    for key, value in changes.items():
        held = merged.get(key)
        if isinstance(held, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(held, value)
        else:
            merged[key] = value
    return merged


def parse_value(text: str) -> Any:
    """A value of TOML, else the text as it is."""
    try:
        return tomllib.loads(f"value = {text}\n")["value"]
    except (ValueError, RecursionError, KeyError):
        return text
