"""Backbone ``static``: the mean of a text's token vectors, from a table. No torch, no download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from memoria.backbones.base import (
    BackboneBase,
    Batch,
    OptionValue,
    Vectors,
    WordTable,
    check_options,
    check_texts,
    option,
    sum_token_rows,
)

if TYPE_CHECKING:
    from memoria.backbones.static_files import StaticModel

_OPTIONS: Final = ("normalize", "revision")
_BATCH: Final = 32  # texts whose token rows are gathered at a time


class StaticBackbone(BackboneBase):
    """v = mean over the text's tokens t of rows[t], then v / ||v|| unless ``normalize`` is off.

    Sums are of float64 in the order of the text, exact for weights in float16, so vectors are the
    same bits on every machine. A text without tokens has the zero vector.
    """

    def __init__(self, name: str, model: StaticModel, options: Mapping[str, OptionValue]) -> None:
        super().__init__(name, int(model.rows.shape[1]), options)
        self.fingerprint = model.fingerprint
        self._model = model

    def encode(self, batch: Batch) -> Vectors:
        """Vectors [N, D] float32 of N texts. Raises `BackboneError` for other items."""
        texts = check_texts(self.name, batch)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            tokens = [self._model.tokens(text) for text in texts[start : start + _BATCH]]
            sums = sum_token_rows(self._model.rows, tokens)
            if self.options["normalize"]:
                divisors = np.sqrt(np.add.accumulate(sums * sums, axis=1)[:, -1])
            else:
                divisors = np.array([len(one) for one in tokens], dtype=np.float64)
            divisors[divisors == 0] = 1.0
            vectors[start : start + _BATCH] = sums / divisors[:, None]
        return vectors

    def word_table(self) -> WordTable:
        """The rows themselves."""
        return _Words(self._model)


class _Words:
    """The rows of a static model as a `WordTable`."""

    def __init__(self, model: StaticModel) -> None:
        self._model = model

    def word_vectors(self, words: Sequence[str]) -> Vectors:
        tokens = [self._model.tokens(word) for word in words]
        return sum_token_rows(self._model.rows, tokens).astype(np.float32)

    def is_word(self, word: str) -> bool:
        return len(self._model.tokens(word)) == 1


def create(
    argument: str | None, dimension: int | None, options: Mapping[str, OptionValue]
) -> StaticBackbone:
    """The factory of the entry point ``static``: the built-in weights, or a Model2Vec model.

    Options: ``normalize`` to length 1 (default: what the model's configuration says, else true);
    of a model from the hub its ``revision``.
    """
    from memoria.backbones.static_files import built_in_model, model2vec_model

    name = "static" if argument is None else f"static:{argument}"
    check_options(name, options, _OPTIONS if argument is not None else ("normalize",))
    normalize = option(name, options, "normalize", bool, None)
    revision = option(name, options, "revision", str, None)
    model = built_in_model() if argument is None else model2vec_model(name, argument, revision)
    recorded: dict[str, Any] = {
        "normalize": model.normalize if normalize is None else normalize,
        "revision": revision,
    }
    kept = {key: value for key, value in recorded.items() if value is not None}
    return StaticBackbone(name, model, kept)
