"""Every hyper-parameter of a memory, with its bounds and units.

Presets are the authors' published configurations (PAPER: experiment configs), the tutorial, and
`keep`, which forgets nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from memoria.errors import ConfigError, StorageError
from memoria.io.bounds import open_regular
from memoria.io.checked import (
    AnyOf,
    Choice,
    DictOf,
    Flag,
    Number,
    OrNone,
    Record,
    RefusedError,
    Text,
    Whole,
    field,
    judge,
)
from memoria.timeline.gain import parse_rule
from memoria.timeline.lifespan import ENDLESS

if TYPE_CHECKING:
    from pydantic_core import ValidationError

TieBreak = Literal["hash", "oldest"]
Layout = Literal["dense", "sparse", "auto"]
VectorType = Literal["float32", "float16", "int8"]
PresetName = Literal["keep", "tutorial", "gpt2", "enwik8", "sort", "bert"]

_BACKBONE_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "array": {"initial_lifespan": 50.0, "rule": "correlation:8"},
    "static": {"hidden_dim": 256},
}


class _Rule(Text):
    """A lifespan rule that `parse_rule` knows."""

    def __call__(self, value: Any, /) -> str:
        rule = super().__call__(value)
        try:
            return _known_rule(rule)
        except ValueError as error:
            raise RefusedError(str(error), value) from None

    def schema(self) -> Any:
        """The same check as a schema of pydantic's."""
        from pydantic_core.core_schema import no_info_after_validator_function

        return no_info_after_validator_function(_known_rule, super().schema())


def _known_rule(value: str) -> str:
    try:
        parse_rule(value)
    except ConfigError as error:
        reason = error.message.removeprefix(f"rule = {value!r}: ")
        raise ValueError(f"{reason}; {error.hint}") from None
    return value


_COUNT: Final = Whole(0, 2**31 - 1)


class MemoriaConfig(Record):
    """What a memory is made of. Frozen: a memory keeps the configuration it was born with.

    The defaults suit a memory of texts, which forgets nothing unless told to: they are those of
    the preset "keep", but with the backbone "array" a memory forgets. `MemoriaConfig.preset` of
    "gpt2" and its siblings holds the authors' values. Counts are engrams per lane, lifespans are
    steps.
    """

    hidden_dim: int = field(
        Whole(1, 1_048_576),
        default=384,
        description="Numbers in one engram's vector (D); the backbone 'static' gives 256.",
    )
    lanes: int = field(
        Whole(1, 65_536), default=1, description="Independent memory streams side by side (B)."
    )
    num_reminded_stm: int = field(
        _COUNT, default=8, description="Short-term engrams reminded at a step, per lane."
    )
    stm_capacity: int = field(
        _COUNT,
        default=128,
        description="Short-term engrams kept, per lane; older ones become long-term.",
    )
    ltm_search_depth: int = field(
        _COUNT,
        default=10,
        description="Rounds of the walk along connections through long-term memory.",
    )
    initial_lifespan: float = field(
        Number(above=0, most=2.0**52),
        default=ENDLESS,
        description="Steps that a new engram lives unless reminded: without end, or 50 with the "
        "backbone 'array'.",
    )
    num_final_ltms: int = field(
        _COUNT, default=16, description="Long-term engrams reminded at a step, per lane."
    )
    random_entries: Literal["unreminded"] | int = field(
        AnyOf(Choice(("unreminded",)), _COUNT),
        default="unreminded",
        description="Random entry points into long-term memory: 'unreminded' draws one for every "
        "short-term engram not reminded (the authors' released behaviour), N draws N, 0 none.",
    )
    tie_break: TieBreak = field(
        Choice(get_args(TieBreak)),
        default="hash",
        description="Which of equally connected entry points wins: 'hash' or 'oldest'.",
    )
    seed: int = field(Whole(0, 2**63 - 1), default=0, description="Seed of the tie rule's hash.")
    layout: Layout = field(
        Choice(get_args(Layout)),
        default="auto",
        description="How connections are kept: 'dense' matrix, 'sparse' log, 'auto' by size.",
    )
    wm_length: int = field(
        Whole(1, 1_048_576),
        default=8,
        description="Units (sentences, rows) that make one working memory.",
    )
    rule: str = field(
        _Rule(),
        default="uniform:0",
        description="Lifespan rule of `adjust` and `step` unless they name one: 'uniform:X' or "
        "'correlation:ALPHA'; correlation:8 with the backbone 'array'.",
    )
    backbone: str = field(
        Text(1, 4096),
        default="hash",
        description="What turns inputs into vectors: 'static', 'hash', 'array', 'hf:ID', 'st:ID'.",
    )
    backbone_fingerprint: str = field(
        Text(0, 128),
        default="",
        description="Hash of the weights that the backbone had when the memory was made.",
    )
    backbone_options: dict[str, str | bool | int | float] = field(
        DictOf(Text(), AnyOf(Text(), Flag(), Whole(), Number())),
        default={},
        description="Options the backbone was chosen with.",
    )
    vector_dtype: VectorType = field(
        Choice(get_args(VectorType)),
        default="float32",
        description="How vectors are kept in a store: 'float32', 'float16' or 'int8'; the memory "
        "works with what that rounds them to.",
    )
    capacity: int | None = field(
        OrNone(Whole(1, 2**31 - 1)),
        default=None,
        description="Engrams kept, per lane: at the end of a step those that expire first go, "
        "unless pinned; none: as many as come. It chooses lifespan_by 'information'.",
    )
    lifespan_by: str = field(
        Text(pattern="[a-z][a-z0-9_]{0,31}"),
        default="constant",
        description="What gives a new engram its lifespan: 'constant' gives initial_lifespan, "
        "'information' no end, and a place in the order of going by what its text tells.",
    )
    unit: str = field(
        Text(pattern="sentence|paragraph|line|window:[1-9][0-9]{0,6}"),
        default="sentence",
        description="What part of a text becomes one engram: sentence, paragraph, line, window:N.",
    )

    def __init__(self, /, **values: Any) -> None:
        if values.get("capacity") is not None:
            values.setdefault("lifespan_by", "information")
        try:
            super().__init__(**values)
        except RefusedError:
            super().__init__(**_judged(values))
        for name, value in _BACKBONE_DEFAULTS.get(self.backbone, {}).items():
            if name not in self.model_fields_set:
                vars(self)[name] = value  # not as if it had been set

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> MemoriaConfig:
        """A named preset.

        Args:
            name: of `PRESETS`.
            overrides: fields that are otherwise than there.

        Raises:
            ConfigError: there is no such preset or field, or a value is out of range.
        """
        return cls(**{**preset_values(name), **overrides})

    @classmethod
    def from_toml(cls, path: str | Path, **overrides: Any) -> MemoriaConfig:
        """Read a TOML file of fields; a field ``preset = "gpt2"`` starts from that preset.

        Args:
            path: the file.
            overrides: fields that are otherwise than there.

        Raises:
            ConfigError: the file is no TOML, there is no such field, or a value is out of range.
        """
        return cls.from_values({**read_toml(Path(path)), **overrides})

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> MemoriaConfig:
        """Like the constructor; a key ``preset`` names the preset to start from."""
        settings = dict(values)
        name = settings.pop("preset", None)
        return cls(**settings) if name is None else cls.preset(str(name), **settings)

    def replace(self, **changes: Any) -> MemoriaConfig:
        """A copy with ``changes``, checked like a new one."""
        return type(self)(**{**self.model_dump(), **changes})

    def to_toml(self, path: str | Path | None = None) -> str:
        """All fields as TOML text; written to ``path`` too when it is given."""
        import tomli_w

        text = tomli_w.dumps(self.model_dump(exclude_none=True))
        if path is not None:
            try:
                Path(path).write_text(text, encoding="utf-8")
            except OSError as error:
                raise StorageError(f"{path}: cannot write: {error.strerror or error}") from None
        return text


_MOST_TOML: Final = 1 << 14  # bytes; reading keys of many dots takes the square of that

_GPT2: Final[dict[str, Any]] = {
    "hidden_dim": 768,
    "wm_length": 50,
    "num_reminded_stm": 50,
    "stm_capacity": 400,
    "ltm_search_depth": 10,
    "initial_lifespan": 9.0,
    "num_final_ltms": 50,
    "rule": "correlation:8",
}

PRESETS: Final[dict[str, dict[str, Any]]] = {
    "keep": {"initial_lifespan": ENDLESS, "rule": "uniform:0"},
    "tutorial": {
        "hidden_dim": 64,
        "lanes": 2,
        "wm_length": 8,
        "num_reminded_stm": 4,
        "stm_capacity": 16,
        "ltm_search_depth": 5,
        "initial_lifespan": 3.0,
        "num_final_ltms": 4,
        "rule": "uniform:5",
        "backbone": "array",
    },
    "gpt2": _GPT2,
    "enwik8": {
        **_GPT2,
        "hidden_dim": 512,
        "wm_length": 128,
        "stm_capacity": 1536,
        "num_reminded_stm": 192,
        "num_final_ltms": 192,
    },
    "sort": {
        **_GPT2,
        "hidden_dim": 512,
        "wm_length": 128,
        "stm_capacity": 512,
        "num_reminded_stm": 256,
        "num_final_ltms": 640,
        "initial_lifespan": 5.0,
    },
    "bert": {
        **_GPT2,
        "wm_length": 64,
        "stm_capacity": 128,
        "num_reminded_stm": 64,
        "num_final_ltms": 64,
        "initial_lifespan": 12.0,
    },
}
assert set(PRESETS) == set(get_args(PresetName))


def preset_values(name: str) -> dict[str, Any]:
    """The fields that the preset sets. Raises `ConfigError` for an unknown name."""
    if name not in PRESETS:
        raise ConfigError(f"preset = {name!r}: unknown", f"choose one of {', '.join(PRESETS)}")
    return dict(PRESETS[name])


def read_toml(path: Path) -> dict[str, Any]:
    """The TOML file's content. Raises `ConfigError` for one too large, or none at all."""
    import tomllib

    try:
        with open(open_regular(path), "rb") as file:
            data = file.read(_MOST_TOML + 1)
        if len(data) > _MOST_TOML:
            raise ConfigError(f"{path}: more than {_MOST_TOML >> 10} KiB", "name a TOML file")
        return tomllib.loads(data.decode("utf-8").replace("\r\n", "\n"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", "name a TOML file") from None
    except ConfigError:
        raise
    except RecursionError:
        raise ConfigError(f"{path}: not TOML: nested too deeply") from None
    except ValueError as error:  # also a null in the name, a number of thousands of digits
        raise ConfigError(f"{path}: not TOML: {error}", "name a TOML file") from None


def _judged(values: Mapping[str, Any]) -> dict[str, Any]:
    """The ``values`` as pydantic takes them; it has words for what is wrong."""
    from pydantic_core import ValidationError

    try:
        return judge(MemoriaConfig, values)
    except ValidationError as error:
        raise ConfigError(complaints(error), _hint(error)) from None


def complaints(error: ValidationError) -> str:
    """What pydantic found, on one line: for each field ``field = value: bound``."""
    found: dict[str, list[Any]] = {}
    for detail in error.errors():
        field = str(detail["loc"][0]) if detail["loc"] else "config"
        found.setdefault(field, []).append(detail)
    return ", ".join(_complaint(field, details) for field, details in found.items())


def names_hint(word: str, known: Iterable[str], what: str = "the settings are") -> str:
    """``did you mean KNOWN? the settings are ...``, for a name that is none of the ``known``.

    Meant is a name that is a part of ``word`` (depth in ltm_search_depth) or the reverse, else one
    that is spelt much like it.
    """
    from difflib import get_close_matches

    names = list(known)
    parts = [one for one in names if min(len(one), len(word)) > 3 and (one in word or word in one)]
    meant = [max(parts, key=len)] if parts else get_close_matches(word, names, n=1)
    guess = f"did you mean {meant[0]}? " if meant else ""
    return f"{guess}{what} {', '.join(names) or 'none'}"


def unknown_setting(error: ValidationError) -> str | None:
    """The first name that pydantic does not know; None where it complains of values."""
    for detail in error.errors():
        if detail["type"] == "extra_forbidden":
            return str(detail["loc"][-1])
    return None


def _complaint(field: str, details: list[Any]) -> str:
    """A union complains once for each of its types; what speaks of the value says most."""
    detail = next((d for d in details if not d["type"].endswith("_type")), details[0])
    try:
        value = f"{field} = {detail['input']!r}"
    except RecursionError:
        value = f"{field} = a deep nest"
    if detail["type"] == "extra_forbidden":
        return f"{value}: no such setting"
    if field == "random_entries":
        return f"{value}: must be 'unreminded' or 0 or more"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{value}: {message[:1].lower()}{message[1:]}"


def _hint(error: ValidationError) -> str | None:
    unknown = unknown_setting(error)
    return None if unknown is None else names_hint(unknown, MemoriaConfig.model_fields)
