"""What the backbones `hf` and `st` share: options, quiet loading, one-line errors."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.backbones.base import OptionValue, Vectors, check_options, option
from memoria.errors import BackboneError, MemoriaError

__all__ = [
    "IMAGE_OPTIONS",
    "TEXT_OPTIONS",
    "Settings",
    "finished",
    "first_line",
    "loading",
    "local_folder",
    "quiet",
]

POOLINGS: Final = ("mean", "cls", "last", "none")
DTYPES: Final = ("float32", "float16", "bfloat16")
IMAGE_OPTIONS: Final = ("pooling", "normalize", "batch_size", "device", "dtype", "revision")
TEXT_OPTIONS: Final = (*IMAGE_OPTIONS, "max_length", "overlap")


@dataclass(frozen=True)
class Settings:
    """The options of one backbone, checked. ``device`` None means a GPU if there is one."""

    pooling: str = "mean"
    normalize: bool = True
    batch_size: int = 32
    device: str | None = None
    dtype: str = "float32"
    revision: str | None = None
    max_length: int | None = None
    overlap: int | None = None

    @classmethod
    def of(
        cls, name: str, options: Mapping[str, OptionValue], allowed: Collection[str]
    ) -> Settings:
        """Checked settings. Raises `BackboneError` naming the option, its value and its bounds."""
        check_options(name, options, allowed)
        settings = cls(
            pooling=option(name, options, "pooling", str, cls.pooling),
            normalize=option(name, options, "normalize", bool, cls.normalize),
            batch_size=_whole(name, options, "batch_size", 1) or cls.batch_size,
            device=option(name, options, "device", str, None),
            dtype=option(name, options, "dtype", str, cls.dtype),
            revision=option(name, options, "revision", str, None),
            max_length=_whole(name, options, "max_length", 1),
            overlap=_whole(name, options, "overlap", 0),
        )
        for key, value, known in (
            ("pooling", settings.pooling, POOLINGS),
            ("dtype", settings.dtype, DTYPES),
        ):
            if value not in known:
                raise BackboneError(
                    f"backbone {name!r}: {key} = {value!r}: unknown",
                    f"choose one of {', '.join(known)}",
                )
        return settings


def first_line(error: BaseException) -> str:
    """What an error from elsewhere says first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def local_folder(name: str, argument: str) -> str:
    """The folder that the argument names, or the argument itself when it is an id."""
    path = Path(argument).expanduser()
    if path.is_dir():
        return str(path)
    if argument.startswith((".", "/", "~")):
        raise BackboneError(f"backbone {name!r}: no such folder", "name a model's folder or id")
    return argument


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Turn whatever goes wrong while a model loads into one `BackboneError`."""
    try:
        yield
    except MemoriaError:
        raise
    except Exception as error:  # files, network, configuration, weights: anything
        raise BackboneError(
            f"backbone {name!r} does not load: {first_line(error)}",
            "check the id or path, and the network when it is not on this machine yet",
        ) from error


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Keep transformers' log lines and progress bars off the terminal, then restore them."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def finished(name: str, rows: Vectors, normalize: bool) -> Vectors:
    """Rows checked to be finite and, if asked, brought to length 1."""
    if not np.isfinite(rows).all():
        raise BackboneError(
            f"backbone {name!r} gave NaN or Inf", "with float16 weights try dtype=float32"
        )
    if normalize:
        length = np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
        rows = (rows / np.maximum(length, 1e-12)).astype(np.float32)
    return rows


def _whole(name: str, options: Mapping[str, OptionValue], key: str, least: int) -> int | None:
    value = option(name, options, key, int, None)
    if value is not None and value < least:
        raise BackboneError(f"backbone {name!r}: {key} = {value}: must be {least} or more")
    return value
