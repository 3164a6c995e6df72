"""What the backbones `hf` and `st` share: options, quiet loading, one-line errors, one base."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.backbones.base import (
    BackboneBase,
    Batch,
    OptionValue,
    Vectors,
    check_options,
    hash_files,
    option,
)
from memoria.errors import BackboneError, MemoriaError, MissingExtraError, first_line

POOLINGS: Final = ("mean", "cls", "last", "none")
DTYPES: Final = ("float32", "float16", "bfloat16")
IMAGE_OPTIONS: Final = ("pooling", "normalize", "batch_size", "device", "dtype", "revision")
_WEIGHTS: Final = ("*.safetensors", "*.bin")
_MODEL_FILES: Final = ("*.json", "*.txt", "*.model", *_WEIGHTS)
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


def open_request(
    kind: str,
    argument: str | None,
    options: Mapping[str, OptionValue],
    allowed: Collection[str],
    *packages: str,
) -> tuple[str, Settings, str, list[Any]]:
    """What ``kind:argument`` asks for: (name, settings, folder or id, imported ``packages``).

    Raises `BackboneError` for what cannot be asked, `MissingExtraError` without the packages.
    """
    if argument is None:
        raise BackboneError(f"backbone {kind!r} needs a model", f"write {kind}:ID_OR_PATH")
    name = f"{kind}:{argument}"
    settings = Settings.of(name, options, allowed)
    folder = Path(argument).expanduser()
    if not folder.is_dir() and argument.startswith((".", "/", "~")):
        raise BackboneError(f"backbone {name!r}: no such folder", "name a model's folder or id")
    where = str(folder) if folder.is_dir() else argument
    try:
        return name, settings, where, [import_module(package) for package in packages]
    except ImportError:
        raise MissingExtraError(f"backbone {name!r}", "hf") from None


def model_fingerprint(where: str, revision: str | None = None, modules: bool = False) -> str:
    """The fingerprint of a model in a folder: of its configuration, words and weights.

    Of a model of the hub: of its configuration and weights (those of ``modules`` too) as the cache
    holds them at ``revision``; "" where it holds none.
    """
    folder = Path(where)
    if folder.is_dir():
        files = [one for kind in _MODEL_FILES for one in folder.rglob(kind)]
    else:
        from huggingface_hub import try_to_load_from_cache

        names = ("config.json", "modules.json")
        cached = [try_to_load_from_cache(where, name, revision=revision) for name in names]
        folder = next((Path(one).parent for one in cached if isinstance(one, str)), Path())
        if folder == Path():
            return ""
        # Not all files: those that no weight depends on come and go with the programs that ask.
        below = ("", "[0-9]*_*/") if modules else ("",)
        kinds = ("config.json", *(part + kind for part in below for kind in _WEIGHTS))
        files = [one for kind in kinds for one in folder.glob(kind)]
    files = [one for one in files if one.is_file()]
    safe = {one.parent for one in files if one.suffix == ".safetensors"}
    read = [one for one in files if one.suffix != ".bin" or one.parent not in safe]
    return hash_files(sorted(read, key=lambda one: one.relative_to(folder).parts))


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
    """Keep log lines and progress bars of both libraries off the terminal, then restore them."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    logger = getLogger("sentence_transformers")  # which speaks of a default prompt
    level = logger.level
    logger.setLevel(ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


class PretrainedBackbone(BackboneBase):
    """A model of `hf` or `st` with its checked settings; what it records changes the vectors."""

    _limit: int | None = None  # tokens of a part of a text
    _parts_are = "parts"
    _seen = _long = 0  # texts, and those longer than the limit

    def __init__(
        self, name: str, settings: Settings, model: Any, recorded: Mapping[str, OptionValue | None]
    ) -> None:
        kept = {key: value for key, value in recorded.items() if value is not None}
        super().__init__(name, 0, kept)
        self._model, self._settings = model, settings

    def notices(self) -> list[str]:
        if not self._long:
            return []
        return [
            f"{self._long} of {self._seen} texts were longer than {self._limit} tokens: "
            f"encoded in {self._parts_are}"
        ]

    def _finish(self, rows: Vectors) -> Vectors:
        """Rows checked to be finite and, if asked, brought to length 1."""
        if not np.isfinite(rows).all():
            raise BackboneError(
                f"backbone {self.name!r} gave NaN or Inf", "with float16 weights try dtype=float32"
            )
        if self._settings.normalize:
            length = np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
            rows = (rows / np.maximum(length, 1e-12)).astype(np.float32)
        return rows

    def _failure(self, items: str, error: Exception, knobs: str = "batch_size") -> BackboneError:
        return BackboneError(
            f"backbone {self.name!r} failed on {items}: {first_line(error)}",
            f"with memory short, give a smaller {knobs}",
        )


class PooledBackbone(PretrainedBackbone):
    """A model of `hf`, whose hidden states are pooled to one vector an item, or kept as rows."""

    _row = "row"  # what one row stands for

    def __init__(
        self, name: str, settings: Settings, model: Any, **recorded: OptionValue | None
    ) -> None:
        revision = getattr(model.config, "_commit_hash", None) or settings.revision
        shared: dict[str, OptionValue | None] = {
            "pooling": settings.pooling,
            "normalize": settings.normalize,
            "dtype": settings.dtype,
        }
        super().__init__(name, settings, model, shared | recorded | {"revision": revision})

    def encode(self, batch: Batch) -> Vectors:
        """Vectors [N, D] float32 of N items. Raises `BackboneError`, `InputError`."""
        if self._settings.pooling == "none":
            raise BackboneError(
                f"backbone {self.name!r}: pooling = 'none' gives one row per {self._row}",
                "choose mean, cls or last",
            )
        rows = self.encode_rows(batch)
        return np.concatenate([np.zeros((0, self.dimension), dtype=np.float32), *rows])

    def _end_of(self, states: Vectors) -> Vectors:
        """The first or the last of one item's states [n, D], as ``pooling`` says: [1, D]."""
        return states[:1] if self._settings.pooling == "cls" else states[-1:]


def _whole(name: str, options: Mapping[str, OptionValue], key: str, least: int) -> int | None:
    value = option(name, options, key, int, None)
    if value is not None and value < least:
        raise BackboneError(f"backbone {name!r}: {key} = {value}: must be {least} or more")
    return value
