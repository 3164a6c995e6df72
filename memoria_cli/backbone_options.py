"""The options that choose how a backbone makes its vectors, shared by `init` and `encode`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias

import typer

from memoria.errors import UsageError

__all__ = [
    "BACKBONE_PANEL",
    "DType",
    "MaxLength",
    "More",
    "Normalize",
    "Pooling",
    "Revision",
    "chosen_options",
    "run_options",
]

BACKBONE_PANEL: Final = "Backbone"

_SETTINGS: Final = ("pooling", "normalize", "dtype", "revision", "max_length")
_WITHOUT_MODEL: Final = ("hash", "array")  # computed here: no device, no batches


def _option(*declarations: str, about: str, metavar: str | None = None) -> Any:
    return typer.Option(
        *declarations,
        help=about,
        metavar=metavar,
        rich_help_panel=BACKBONE_PANEL,
        show_default=False,
    )


Pooling: TypeAlias = Annotated[
    str | None,
    _option("--pooling", metavar="HOW", about="Of a model's hidden states: mean, cls, last, none."),
]
Normalize: TypeAlias = Annotated[
    bool | None,
    _option("--normalize/--no-normalize", about="Bring vectors to length 1, or leave them."),
]
DType: TypeAlias = Annotated[
    str | None,
    _option(
        "--dtype",
        metavar="TYPE",
        about="Numbers a model computes with: float32, float16, bfloat16.",
    ),
]
Revision: TypeAlias = Annotated[
    str | None, _option("--revision", metavar="REV", about="Revision of a model.")
]
MaxLength: TypeAlias = Annotated[
    int | None,
    _option("--max-length", metavar="N", about="Tokens above which a text is encoded in parts."),
]
More: TypeAlias = Annotated[
    list[str] | None,
    _option(
        "--backbone-option",
        metavar="KEY=VALUE",
        about="Any other option of the backbone. Repeatable.",
    ),
]


def chosen_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options above that were given, by the names that backbones know."""
    chosen = {name: given[name] for name in _SETTINGS if given[name] is not None}
    return chosen | dict(_pairs(given["backbone_option"] or ()))


def run_options(backbone: str, batch_size: int | None, device: str | None) -> dict[str, Any]:
    """What changes a backbone's speed only; nothing for those that run no model."""
    if backbone in _WITHOUT_MODEL:
        return {}
    given = {"batch_size": batch_size, "device": device}
    return {key: value for key, value in given.items() if value is not None}


def _pairs(texts: Iterable[str]) -> Iterable[tuple[str, str | bool | int | float]]:
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"--backbone-option {text}: not KEY=VALUE", "write it like overlap=16")
        yield key, _value(value)


def _value(text: str) -> str | bool | int | float:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
