"""Text models of `hf`: tokens, windows over long texts, pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from memoria.backbones.base import Batch, Vectors, WordTable, check_texts, sum_token_rows
from memoria.backbones.pretrained import PooledBackbone, Settings
from memoria.errors import BackboneError

_DEFAULT_LENGTH: Final = 512  # tokens, for models that name no limit
_NO_LIMIT: Final = 1_000_000  # what tokenizers write when they know none is far above
# These number positions from the padding token's number on, so some of them cannot be used.
_OFFSET_POSITIONS: Final = frozenset(
    "roberta xlm-roberta xlm-roberta-xl camembert mpnet longformer data2vec-text ibert esm".split()
)


@dataclass(frozen=True, slots=True)
class _Window:
    """A part of one text as the model sees it; ``rows`` are the positions not seen before."""

    item: int
    tokens: list[int]
    rows: slice


class HfTextBackbone(PooledBackbone):
    """v = pool(last hidden states), then v / ||v|| unless ``normalize`` is off.

    ``mean`` is over all tokens with the special ones, ``cls`` is the first, ``last`` the last
    token; ``none`` gives every token its row. A text above ``max_length`` tokens is encoded in
    windows that share ``overlap`` tokens, and its vector is their mean weighted by tokens; with
    ``none`` every token comes once. `notices` counts such texts. Padding never changes a result.
    """

    _row = "token, not per text"
    _parts_are = "overlapping windows"

    def __init__(self, name: str, settings: Settings, model: Any, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._before, self._after = _special_tokens(tokenizer)
        self._limit = _length(name, settings, model, tokenizer)
        self._room = self._limit - len(self._before) - len(self._after)
        if self._room < 1:
            raise BackboneError(
                f"backbone {name!r}: max_length = {self._limit} leaves no room for text",
                f"give {len(self._before) + len(self._after) + 1} or more",
            )
        self._overlap = self._room // 8 if settings.overlap is None else settings.overlap
        if self._overlap >= self._room:
            raise BackboneError(
                f"backbone {name!r}: overlap = {self._overlap}: must be below {self._room}, "
                f"the text tokens of a window",
            )
        lengths: dict[str, int] = {"max_length": self._limit, "overlap": self._overlap}
        super().__init__(name, settings, model, **lengths)
        self.dimension = int(self._rows_of(self._windows(0, []))[0].shape[1])

    def encode_rows(self, batch: Batch) -> list[Vectors]:
        """For each text its rows [n, D] float32: its tokens with ``none``, else one."""
        texts = check_texts(self.name, batch)
        if not texts:
            return []
        tokens = self._tokenizer(
            texts,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )["input_ids"]
        windows = [window for i, ids in enumerate(tokens) for window in self._windows(i, ids)]
        self._seen += len(texts)
        self._long += sum(len(ids) > self._room for ids in tokens)
        parts: list[list[Vectors]] = [[] for _ in texts]
        weights: list[list[int]] = [[] for _ in texts]
        for window, rows in zip(windows, self._rows_of(windows), strict=True):
            parts[window.item].append(rows)
            weights[window.item].append(len(window.tokens))
        return [self._combined(*both) for both in zip(parts, weights, strict=True)]

    def word_table(self) -> WordTable:
        """The model's input embeddings."""
        return _InputEmbeddings(self._model, self._tokenizer)

    def _windows(self, item: int, ids: list[int]) -> list[_Window]:
        """The text's tokens in windows that fit the model, special tokens around each."""
        step = self._room - self._overlap
        starts = range(0, max(1, len(ids) - self._overlap), step) if len(ids) > self._room else [0]
        windows = []
        for start in starts:
            tokens = [*self._before, *ids[start : start + self._room], *self._after]
            is_last = start == starts[-1]
            first_row = len(self._before) + self._overlap if start else 0
            end_row = len(tokens) - (0 if is_last else len(self._after))
            windows.append(_Window(item, tokens or [self._stand_in()], slice(first_row, end_row)))
        return windows

    def _stand_in(self) -> int:
        """The token that stands for an empty text where the model adds none of its own."""
        own = self._tokenizer
        for token in (own.bos_token_id, own.eos_token_id, own.pad_token_id, own.unk_token_id):
            if token is not None:
                return int(token)
        return 0

    def _rows_of(self, windows: Sequence[_Window]) -> list[Vectors]:
        """Per window [1, D], or its token rows with ``none``; windows of like length together."""
        results: list[Vectors | None] = [None] * len(windows)
        order = sorted(range(len(windows)), key=lambda i: len(windows[i].tokens))
        size = self._settings.batch_size
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            for index, rows in zip(
                chosen, self._forward([windows[i] for i in chosen]), strict=True
            ):
                results[index] = rows
        return [rows for rows in results if rows is not None]

    def _forward(self, windows: Sequence[_Window]) -> list[Vectors]:
        import torch

        width = max(len(window.tokens) for window in windows)
        pad = self._tokenizer.pad_token_id
        ids = torch.full((len(windows), width), 0 if pad is None else int(pad), dtype=torch.long)
        mask = torch.zeros((len(windows), width), dtype=torch.long)
        for row, window in enumerate(windows):
            ids[row, : len(window.tokens)] = torch.tensor(window.tokens, dtype=torch.long)
            mask[row, : len(window.tokens)] = 1
        device = next(self._model.parameters()).device
        try:
            with torch.inference_mode():
                states = self._model(
                    input_ids=ids.to(device), attention_mask=mask.to(device)
                ).last_hidden_state.float()
                if self._settings.pooling == "mean":
                    weight = mask.to(device, torch.float32)[:, :, None]
                    states = (states * weight).sum(1) / weight.sum(1)
                hidden: Vectors = states.cpu().numpy()
        except (RuntimeError, IndexError, ValueError, TypeError, AttributeError) as error:
            knobs = "batch_size or max_length"
            raise self._failure(f"{len(windows)} texts", error, knobs) from error
        if self._settings.pooling == "mean":
            return [hidden[row : row + 1] for row in range(len(windows))]
        own = [hidden[row, : len(window.tokens)] for row, window in enumerate(windows)]
        if self._settings.pooling == "none":
            return [states[window.rows] for states, window in zip(own, windows, strict=True)]
        return [self._end_of(states) for states in own]

    def _combined(self, parts: list[Vectors], weights: list[int]) -> Vectors:
        """One text's rows from its windows': joined with ``none``, else the weighted mean."""
        if self._settings.pooling == "none" or len(parts) == 1:
            rows = np.concatenate(parts)
        else:
            share = np.array(weights, dtype=np.float32) / np.float32(sum(weights))
            rows = (np.concatenate(parts) * share[:, None]).sum(axis=0, keepdims=True)
        return self._finish(rows)


class _InputEmbeddings:
    """The rows of a model's input embeddings as a `WordTable`."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._rows = model.get_input_embeddings().weight.detach().float().cpu().numpy()
        self._tokenizer = tokenizer

    def word_vectors(self, words: Sequence[str]) -> Vectors:
        return sum_token_rows(self._rows, self._tokens(words)).astype(np.float32)

    def is_word(self, word: str) -> bool:
        (tokens,) = self._tokens([word])
        return len(tokens) == 1 and tokens[0] != self._tokenizer.unk_token_id

    def _tokens(self, words: Sequence[str]) -> list[list[int]]:
        if not words:
            return []
        found: list[list[int]] = self._tokenizer(
            list(words),
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )["input_ids"]
        return found


def _special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after a text."""
    plain = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer("a")["input_ids"])
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start], whole[start + len(plain) :]
    return [], []


def _pads_positions(model: Any) -> bool:
    """Whether the table of positions has a row for padding, behind which the others begin."""
    return any(
        name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
        for name, module in model.named_modules()
    )


def _length(name: str, settings: Settings, model: Any, tokenizer: Any) -> int:
    """Tokens of one window: the option, else the model's limit. Raises above the limit."""
    config, limits = model.config, list[int]()
    if 0 < tokenizer.model_max_length < _NO_LIMIT:
        limits.append(int(tokenizer.model_max_length))
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        if config.model_type in _OFFSET_POSITIONS or _pads_positions(model):
            positions -= (config.pad_token_id or 0) + 1
        limits.append(positions)
    if settings.max_length is None:
        return min(limits, default=_DEFAULT_LENGTH)
    if isinstance(positions, int) and settings.max_length > positions > 0:
        raise BackboneError(
            f"backbone {name!r}: max_length = {settings.max_length}: "
            f"the model has {positions} positions"
        )
    return settings.max_length
