"""What events carry beside their number: a revision of an engram, or the cue that was confirmed.

A payload is one JSON object in UTF-8. Vectors stand in it in base64, in the bytes that a row of
``vectors`` has, the scale of an int8 vector behind them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.config import MemoriaConfig, VectorType
from memoria.errors import DamageError, InputError
from memoria.io.bounds import MOST_META_BYTES
from memoria.store.vector_codec import decode_vectors, encode_vectors

_MOST_PAYLOAD: Final = 2**26

_ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # in JSON: no backslash is escaped
_NUL_HINT: Final = "it may be UTF-16, or no text: convert it, or leave it out"

_ROW_TYPES: Final[dict[VectorType, str]] = {"float32": "<f4", "float16": "<f2", "int8": "i1"}

Meta = Mapping[str, Any]
Floats = npt.NDArray[np.float32]


def encode_meta(meta: Meta | None) -> bytes:
    """``meta`` as canonical JSON, b"" for None. Raises `InputError` for what no store can keep."""
    if meta is None:
        return b""
    if not isinstance(meta, Mapping):
        raise InputError(f"meta is {type(meta).__name__}, not an object", 'give {"name": value}')
    try:
        text = _canonical(dict(meta))
        raw = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"meta is not JSON: {error}") from None
    if _ESCAPED_NUL.search(text):
        raise InputError(f"meta {text[:40]}: holds a NUL character", _NUL_HINT)
    if len(raw) > MOST_META_BYTES:
        raise InputError(f"meta of {len(raw)} bytes", f"at most {MOST_META_BYTES} are kept")
    return raw


def encode_text(text: str) -> bytes:
    """``text`` in UTF-8. Raises `InputError` for what no text file holds: half characters, NULs."""
    if not isinstance(text, str):
        raise InputError(f"{text!r} is {type(text).__name__}, not text")
    if "\0" in text:
        where = f"text {text[:40]!r}: character {text.index(chr(0))} is 0 (NUL)"
        raise InputError(where, _NUL_HINT)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"text {text[:40]!r} is not Unicode: {error.reason}") from None


def decode_meta(raw: bytes) -> dict[str, Any] | None:
    """What `encode_meta` made; raises `DamageError`."""
    if not raw:
        return None
    if len(raw) > MOST_META_BYTES:
        raise DamageError(f"the store holds a meta of {len(raw)} bytes")
    return _parse_object(raw, "a meta")


def encode_revision(
    config: MemoriaConfig,
    text: str | None = None,
    vector: Floats | None = None,
    meta: Meta | None = None,
) -> bytes:
    """The payload of an edit: what of an engram becomes another; None stays as it is."""
    changed: dict[str, Any] = {}
    if text is not None:
        encode_text(text)
        changed["text"] = text
    if vector is not None:
        changed["vector"] = _encode_vector(vector, config.vector_dtype)
    if meta is not None:
        changed["meta"] = json.loads(encode_meta(meta))
    return _encode(changed)


def decode_revision(raw: bytes, config: MemoriaConfig) -> dict[str, Any]:
    """``text``, ``vector`` (float32 [D]) and ``meta`` as far as an edit changes them.

    Raises `DamageError`.
    """
    found = _checked(raw, config, {"text": str, "vector": str, "meta": dict})
    if len(_canonical(found.get("meta", {})).encode("utf-8", "replace")) > MOST_META_BYTES:
        raise DamageError(f"the payload of an event has a meta above {MOST_META_BYTES} bytes")
    return found


def encode_cue(
    config: MemoriaConfig, text: str | None, vector: Floats | None, ids: Sequence[int]
) -> bytes:
    """The payload of a confirmed cue: its text and vector, and what was confirmed with it."""
    cue: dict[str, Any] = {"ids": [*ids]}
    if text is not None:
        encode_text(text)
        cue["text"] = text
    if vector is not None:
        cue["vector"] = _encode_vector(vector, config.vector_dtype)
    return _encode(cue)


def decode_cue(raw: bytes, config: MemoriaConfig) -> dict[str, Any]:
    """``text``, ``vector`` and ``ids`` of a cue that was confirmed; raises `DamageError`."""
    found = _checked(raw, config, {"text": str, "vector": str, "ids": list})
    if any(type(one) is not int or not 0 <= one < 2**62 for one in found.get("ids", ())):
        raise DamageError("the payload of an event names what are no engrams")
    return found


def _checked(raw: bytes, config: MemoriaConfig, kinds: Mapping[str, type]) -> dict[str, Any]:
    if not raw:
        return {}
    if len(raw) > _MOST_PAYLOAD:
        raise DamageError(f"the payload of an event has {len(raw)} bytes")
    found = _parse_object(raw, "the payload of an event")
    for name, value in found.items():
        if name not in kinds or not isinstance(value, kinds[name]):
            raise DamageError(f"the payload of an event has {name[:40]!r} where it must not")
    if "vector" in found:
        found["vector"] = _decode_vector(found["vector"], config)
    return found


def _encode_vector(vector: Floats, dtype: VectorType) -> str:
    parts = encode_vectors(vector[None].astype(np.float32), dtype)
    rows = parts["vectors"].astype(_ROW_TYPES[dtype]).tobytes()
    scales = parts["scales"].astype("<f4").tobytes() if "scales" in parts else b""
    return base64.b64encode(rows + scales).decode("ascii")


def _decode_vector(text: str, config: MemoriaConfig) -> Floats:
    dtype = np.dtype(_ROW_TYPES[config.vector_dtype])
    size = dtype.itemsize * config.hidden_dim
    scaled = 4 if config.vector_dtype == "int8" else 0
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != size + scaled:
        raise DamageError("the payload of an event has a vector of a wrong size")
    scales = np.frombuffer(raw, "<f4", 1, size) if scaled else None
    vector: Floats = decode_vectors(np.frombuffer(raw, dtype, config.hidden_dim)[None], scales)[0]
    if not np.isfinite(vector).all():
        raise DamageError("the payload of an event has a vector that is not finite")
    return vector


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _encode(document: Mapping[str, Any]) -> bytes:
    return _canonical(document).encode("utf-8")


def _parse_object(raw: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise DamageError(f"the store holds {what} that is not JSON") from None
    if not isinstance(found, dict):
        raise DamageError(f"the store holds {what} that is not a JSON object")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)
