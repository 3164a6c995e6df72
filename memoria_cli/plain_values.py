"""Values of a command line that are plainly right are taken as they are.

Typer converts each value by pydantic, which takes longer to import than a short command takes to
run. Here text for text, digits for a number within its bounds, and a choice as it is spelt need no
pydantic. Whatever else comes is Typer's to convert or to refuse, in its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, get_args, get_origin

import typer

_WIDEST: Final = 2**63  # of ids, and of all that numpy counts
_NOT_PLAIN: Final[Any] = object()
_NUMBERS: Final[dict[Any, str]] = {int: "-?[0-9]{1,18}", float: r"-?[0-9]{1,15}(\.[0-9]{1,15})?"}


def take_plain_values(command: Any) -> None:
    """Let the parameters of ``command`` take plain values."""
    make_help = command.get_help_option

    def get_help_option(context: Any) -> Any:
        option = make_help(context)
        if option is not None:
            _take_plain_values(option)
        return option

    command.get_help_option = get_help_option
    for parameter in command.params:
        _take_plain_values(parameter)


def _take_plain_values(parameter: Any) -> None:
    if not isinstance(parameter.get_runtime_param, partial):
        parameter.get_runtime_param = partial(_PlainFirst, parameter.get_runtime_param)


class _PlainFirst:
    """Converts like what ``typer_param`` makes, which is made where a value is not plain."""

    def __init__(self, typer_param: Callable[[], Any]) -> None:
        self._typer_param = typer_param

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as the verb's function gets it; raises Typer's `BadParameter`."""
        wanted = param.type_descriptor
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if several and not isinstance(value, (list, tuple)):
            plain = _NOT_PLAIN
        else:
            plain = _plain(value, wanted.annotation, wanted.parameter_info)
        if plain is not _NOT_PLAIN:
            return plain
        converted = self._typer_param().coerce(value, param=param, ctx=ctx)
        for one in converted if isinstance(converted, list) else [converted]:
            if isinstance(one, int) and not -_WIDEST <= one < _WIDEST:
                raise typer.BadParameter(f"{one} is beyond 64 bits", ctx, param)
        return converted


def _plain(value: Any, kind: Any, info: Any) -> Any:
    """``value`` as a ``kind``, or `_NOT_PLAIN`."""
    if get_origin(kind) is list and isinstance(value, (list, tuple)):
        items = [_plain(one, get_args(kind)[0], info) for one in value]
        return _NOT_PLAIN if any(one is _NOT_PLAIN for one in items) else items
    if get_origin(kind) is Literal:
        return value if type(value) is str and value in get_args(kind) else _NOT_PLAIN
    if kind is str or kind is bool:
        return value if type(value) is kind else _NOT_PLAIN
    if kind in _NUMBERS and info.parser is None:
        if type(value) is str and re.fullmatch(_NUMBERS[kind], value):
            value = kind(value)
        if type(value) is kind and _is_within(value, info.min, info.max):
            return value
    return _NOT_PLAIN


def _is_within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)
