"""Backbone ``st:ID_OR_PATH``: a sentence-transformers model as its authors pool it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.backbones.base import Batch, OptionValue, Vectors, check_texts
from memoria.backbones.pretrained import (
    PretrainedBackbone,
    Settings,
    loading,
    model_fingerprint,
    open_request,
    quiet,
)
from memoria.errors import BackboneError
from memoria.io.bounds import open_regular, parse_json

_MOST_LISTING: Final = 1 << 20  # bytes
_OPTIONS: Final = ("normalize", "batch_size", "device", "revision", "max_length")


class SentenceBackbone(PretrainedBackbone):
    """v = the model's sentence embedding, then v / ||v|| unless ``normalize`` is off.

    A text above the model's ``max_length`` tokens is halved at spaces until its parts fit; its
    vector is the parts' mean weighted by tokens. `notices` counts such texts.
    """

    def __init__(self, name: str, settings: Settings, model: Any) -> None:
        limit = getattr(model, "max_seq_length", None)
        if limit is not None and not math.isfinite(limit):  # of tables of words
            limit = None
        if settings.max_length is not None:
            if limit is not None and settings.max_length > limit:
                raise BackboneError(
                    f"backbone {name!r}: max_length = {settings.max_length}: "
                    f"the model takes {limit} tokens"
                )
            limit = settings.max_length
            if hasattr(model.tokenizer, "model_max_length"):
                model.max_seq_length = limit
        self._limit = limit
        recorded = {
            "normalize": settings.normalize,
            "max_length": None if limit is None else int(limit),
            "revision": settings.revision,
        }
        super().__init__(name, settings, model, recorded)
        self.dimension = int(self._embedded(["a"]).shape[1])

    def encode(self, batch: Batch) -> Vectors:
        """Vectors [N, D] float32 of N texts. Raises `BackboneError`."""
        return self._encoded(batch, None)

    def encode_cues(self, batch: Batch) -> Vectors:
        """As `encode`, with the prompt that the model has for queries, if it has one."""
        prompts = getattr(self._model, "prompts", None) or {}
        return self._encoded(batch, "query" if prompts.get("query") else None)

    def _encoded(self, batch: Batch, prompt: str | None) -> Vectors:
        texts = check_texts(self.name, batch)
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        parts = [self._parts(text) for text in texts]
        self._seen += len(texts)
        self._long += sum(len(pieces) > 1 for pieces in parts)
        vectors = self._embedded([piece for pieces in parts for piece, _ in pieces], prompt)
        owner = np.repeat(np.arange(len(texts)), [len(pieces) for pieces in parts])
        weight = np.array([tokens for pieces in parts for _, tokens in pieces], dtype=np.float32)
        total = np.zeros(len(texts), dtype=np.float32)
        np.add.at(total, owner, weight)
        rows = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
        np.add.at(rows, owner, vectors * (weight / total[owner])[:, None])
        return self._finish(rows)

    def _parts(self, text: str) -> list[tuple[str, int]]:
        """The text in parts that fit the model, with the tokens of each."""
        if self._limit is None:
            return [(text, 1)]
        tokens = self._count_tokens(text)
        if tokens <= self._limit or len(text) < 2:
            return [(text, max(1, tokens))]
        middle = len(text) // 2
        space = text.rfind(" ", middle // 2, middle)
        cut = space if space > 0 else middle
        return [*self._parts(text[:cut]), *self._parts(text[cut:])]

    def _count_tokens(self, text: str) -> int:
        """Tokens by whatever tokenizer the model has: transformers', tokenizers', or words."""
        tokenizer = self._model.tokenizer
        if callable(tokenizer):
            return len(tokenizer(text, verbose=False)["input_ids"])
        if hasattr(tokenizer, "tokenize"):
            return len(tokenizer.tokenize(text))
        return len(tokenizer.encode(text).ids)

    def _embedded(self, texts: list[str], prompt: str | None = None) -> Vectors:
        try:
            vectors = self._model.encode(
                texts,
                prompt_name=prompt,
                batch_size=self._settings.batch_size,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            raise self._failure(f"{len(texts)} texts", error) from error
        return np.asarray(vectors, dtype=np.float32)


def create(
    argument: str | None, dimension: int | None, options: Mapping[str, OptionValue]
) -> SentenceBackbone:
    """The factory of the entry point ``st``.

    Options: ``normalize`` to length 1 (default true), ``max_length`` in tokens, ``revision``;
    ``batch_size`` and ``device`` for speed only.
    """
    packages = "sentence_transformers", "transformers"
    name, settings, where, found = open_request("st", argument, options, _OPTIONS, *packages)
    sentence_transformers, transformers = found
    with quiet(transformers), loading(name):
        _check_modules(name, where)
        model = sentence_transformers.SentenceTransformer(
            where, revision=settings.revision, device=settings.device, trust_remote_code=False
        )
        made = SentenceBackbone(name, settings, model)
        made.fingerprint = model_fingerprint(where, settings.revision, modules=True)
        return made


def _check_modules(name: str, where: str) -> None:
    """Refuse a folder whose modules are code of its own: some versions of the library run it."""
    listing = Path(where, "modules.json")
    if not listing.is_file():
        return
    with open(open_regular(listing), "rb") as file:
        modules = parse_json(file.read(_MOST_LISTING))
    types = [str(module.get("type")) for module in modules]
    strange = [kind for kind in types if not kind.startswith("sentence_transformers.")]
    if strange:
        raise BackboneError(
            f"backbone {name!r}: its module {strange[0]!r} is code of its own",
            "choose a model of modules that sentence-transformers brings",
        )
