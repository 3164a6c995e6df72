"""From a backbone's name to the backbone: the built-in ones first, then installed entry points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from memoria.backbones.base import Backbone, BackboneBase, Batch, OptionValue, Vectors, WordTable
from memoria.errors import BackboneError, MemoriaError, first_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "memoria.backbones"
# A table of our own, so that a source tree without installed metadata works too.
_BUILT_IN: Final = {
    "array": "memoria.backbones.array",
    "hash": "memoria.backbones.hashing",
    "hf": "memoria.backbones.hf",
    "http": "memoria.backbones.http",
    "st": "memoria.backbones.st",
    "static": "memoria.backbones.static",
}
# Options for speed only; other backbones take both.
_SPEED: Final[Mapping[str, tuple[str, ...]]] = {
    "array": (),
    "hash": (),
    "static": (),
    "http": ("batch_size",),
}
_USAGE: Final = {"hf": "hf:ID_OR_PATH", "http": "http:URL#MODEL", "st": "st:ID_OR_PATH"}

Factory: TypeAlias = Callable[[str | None, int | None, Mapping[str, OptionValue]], Any]


def load_backbone(name: str, dimension: int | None = None, **options: OptionValue) -> Backbone:
    """A backbone by its name.

    Args:
        name: such as ``"hash"`` or ``"hf:ID_OR_PATH"``.
        dimension: the D that its vectors must have; None: its own.
        options: its settings; None stands for one that is not given.

    Raises:
        BackboneError: there is no such backbone or option, the model does not load, or its D is
            another one.
        MissingExtraError: its packages are not installed.
    """
    head, argument = split_name(name)
    chosen = {key: value for key, value in options.items() if value is not None}
    if dimension is not None and dimension < 1:
        raise BackboneError(f"dimension = {dimension}: must be 1 or more")
    if head in _BUILT_IN:
        made: Backbone = import_module(_BUILT_IN[head]).create(argument, dimension, chosen)
    else:
        made = _Foreign(name, _foreign(head, argument, dimension, chosen))
    if dimension is not None and made.dimension not in (0, dimension):
        raise BackboneError(
            f"backbone {name!r} gives vectors of {made.dimension} numbers, {dimension} are needed",
            "choose another backbone or another hidden_dim",
        )
    return made


def split_name(name: str) -> tuple[str, str | None]:
    """``"hf:ID"`` -> ``("hf", "ID")``, ``"hash"`` -> ``("hash", None)``."""
    head, colon, argument = name.strip().partition(":")
    if colon and not argument:
        raise BackboneError(f"backbone {name!r}: nothing after the colon", _known_hint())
    return head, argument if colon else None


def default_backbone() -> str:
    """``"static"`` where its packages are installed, else ``"hash"``."""
    from memoria.backbones.static_files import has_built_in_model

    return "static" if has_built_in_model() else "hash"


def speed_options(name: str) -> tuple[str, ...]:
    """The options of a backbone that change its speed only: ``batch_size``, ``device``."""
    return _SPEED.get(split_name(name)[0], ("batch_size", "device"))


def known_backbones() -> list[str]:
    """The names that can be loaded, as one would write them, sorted."""
    names = set(_BUILT_IN) | {entry.name for entry in _entries()}
    return sorted(_USAGE.get(name, name) for name in names)


def check_backbone(
    held: str,
    held_dimension: int,
    held_options: Mapping[str, object],
    asked: str | None = None,
    asked_dimension: int | None = None,
    asked_options: Mapping[str, object] | None = None,
) -> None:
    """Compare what is asked for with what a store was made with.

    Args:
        held, held_dimension, held_options: of the store. An option that it does not hold was never
            recorded, so it cannot be compared and passes.
        asked, asked_dimension, asked_options: None asks nothing, and so does an option that is
            left out.

    Raises:
        BackboneError: they differ.
    """
    hint = "leave it out to use the store's, or create another store"
    if asked is not None and asked.strip() != held:
        raise BackboneError(f"the store holds vectors of {held!r}, asked for {asked!r}", hint)
    if asked_dimension is not None and asked_dimension != held_dimension:
        raise BackboneError(
            f"the store holds vectors of {held_dimension} numbers, "
            f"asked for {asked_dimension} (backbone {held!r})",
            hint,
        )
    for key, value in (asked_options or {}).items():
        if value is not None and key in held_options and held_options[key] != value:
            raise BackboneError(
                f"the store holds vectors of {held!r} with {key} = {held_options[key]!r}, "
                f"asked for {key} = {value!r}",
                hint,
            )


def _entries() -> Sequence[EntryPoint]:
    from importlib.metadata import entry_points  # slow to import

    return [entry for entry in entry_points(group=GROUP) if entry.name not in _BUILT_IN]


def _known_hint() -> str:
    return f"known are {', '.join(known_backbones())}"


def _foreign(
    head: str, argument: str | None, dimension: int | None, options: Mapping[str, OptionValue]
) -> Any:
    for entry in _entries():
        if entry.name == head:
            try:
                factory: Factory = entry.load()
                return factory(argument, dimension, options)
            except MemoriaError:
                raise
            except Exception as error:  # somebody else's package: anything can go wrong
                raise BackboneError(
                    f"backbone {head!r} ({entry.value}) does not load: "
                    f"{type(error).__name__}: {first_line(error)}",
                    "repair or reinstall the package that provides it",
                ) from error
    raise BackboneError(f"backbone {head!r} is unknown", _known_hint())


class _Foreign(BackboneBase):
    """A backbone from another package, its answers checked before they reach a memory."""

    def __init__(self, name: str, inner: Any) -> None:
        for attribute in ("dimension", "options", "encode"):
            if not hasattr(inner, attribute):
                raise BackboneError(f"backbone {name!r} has no attribute {attribute!r}")
        canonical = str(getattr(inner, "name", name))
        super().__init__(canonical, int(inner.dimension), dict(inner.options))
        self.fingerprint = str(getattr(inner, "fingerprint", ""))
        self._inner = inner

    def encode(self, batch: Batch) -> Vectors:
        return self._checked(self._call("encode", batch), len(batch))

    def encode_rows(self, batch: Batch) -> list[Vectors]:
        if not hasattr(self._inner, "encode_rows"):
            return super().encode_rows(batch)
        rows = self._call("encode_rows", batch)
        if len(rows) != len(batch):
            raise BackboneError(f"backbone {self.name!r} gave {len(rows)} items of {len(batch)}")
        return [self._checked(one, None) for one in rows]

    def notices(self) -> list[str]:
        return [str(line) for line in getattr(self._inner, "notices", list)()]

    def word_table(self) -> WordTable | None:
        table: WordTable | None = getattr(self._inner, "word_table", lambda: None)()
        return table

    def _call(self, method: str, batch: Batch) -> Any:
        try:
            return getattr(self._inner, method)(batch)
        except MemoriaError:
            raise
        except Exception as error:
            raise BackboneError(
                f"backbone {self.name!r} failed: {type(error).__name__}: {first_line(error)}"
            ) from error

    def _checked(self, answer: Any, count: int | None) -> Vectors:
        vectors = np.asarray(answer, dtype=np.float32)
        wanted = f"[{'n' if count is None else count}, {self.dimension or 'D'}]"
        fits = vectors.ndim == 2 and (count is None or len(vectors) == count)
        if not fits or self.dimension not in (0, vectors.shape[1]):
            raise BackboneError(
                f"backbone {self.name!r} gave shape {list(vectors.shape)}, expected {wanted}"
            )
        if not np.isfinite(vectors).all():
            raise BackboneError(f"backbone {self.name!r} gave NaN or Inf")
        self.dimension = self.dimension or int(vectors.shape[1])
        return vectors
