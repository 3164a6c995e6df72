"""Backbone ``http:URL#MODEL``: an embeddings server of the OpenAI form, such as Ollama or vLLM.

Nothing is sent anywhere unless a backbone of this name is asked for. A store may come from a
stranger, so servers beyond this machine must be named in the environment as well.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import numpy as np

from memoria.backbones.base import (
    BackboneBase,
    Batch,
    OptionValue,
    Vectors,
    check_options,
    check_texts,
    option,
)
from memoria.errors import BackboneError, first_line
from memoria.io.bounds import parse_json

KEY: Final = "MEMORIA_EMBEDDINGS_KEY"  # of the environment: sent as a bearer token
HOSTS: Final = "MEMORIA_EMBEDDINGS_HOSTS"  # of the environment: servers beyond this machine

_OPTIONS: Final = ("normalize", "batch_size")
_BATCH: Final = 64  # texts of a request,
_BATCH_CHARACTERS: Final = 1 << 20  # and characters, unless one text has more
_SECONDS: Final = 120.0  # for one answer
_ANSWER_BYTES: Final = 1 << 26
_SHOWN: Final = 200  # characters of a server's complaint
_END: Final = "/embeddings"


class HttpBackbone(BackboneBase):
    """v = the server's embedding of the text, then v / ||v|| unless ``normalize`` is off."""

    def __init__(self, name: str, url: SplitResult, batch_size: int, normalize: bool) -> None:
        super().__init__(name, 0, {"normalize": normalize})
        self._url, self._batch_size = url, batch_size
        self._model = url.fragment
        path = url.path.rstrip("/")
        version = "" if path.endswith(("/v1", _END)) else "/v1"
        self._path = path if path.endswith(_END) else path + version + _END
        self._connection: http.client.HTTPConnection | None = None
        self.dimension = int(self._embedded(["a"]).shape[1])

    def encode(self, batch: Batch) -> Vectors:
        """Vectors [N, D] float32 of N texts. Raises `BackboneError`."""
        texts = check_texts(self.name, batch)
        parts = [self._embedded(part) for part in self._parts(texts)]
        vectors = np.concatenate([np.zeros((0, self.dimension), dtype=np.float32), *parts])
        if self.options["normalize"]:
            lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
            vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
        return vectors

    def _parts(self, texts: Sequence[str]) -> Iterator[list[str]]:
        part: list[str] = []
        size = 0
        for text in texts:
            if part and (len(part) == self._batch_size or size + len(text) > _BATCH_CHARACTERS):
                yield part
                part, size = [], 0
            part.append(text)
            size += len(text)
        if part:
            yield part

    def _embedded(self, texts: Sequence[str]) -> Vectors:
        """What the server makes of the texts [n, D], checked."""
        answer = self._asked({"model": self._model, "input": texts, "encoding_format": "float"})
        try:
            by_index = {int(one["index"]): one["embedding"] for one in answer["data"]}
            rows = [by_index[index] for index in range(len(texts))]
            with np.errstate(over="ignore"):
                vectors = np.array(rows, dtype=np.float32)
        except (KeyError, TypeError, ValueError):
            raise self._error(f"gave no embeddings of {len(texts)} texts") from None
        if vectors.ndim != 2 or self.dimension not in (0, vectors.shape[1]):
            wanted = f"[{len(texts)}, {self.dimension or 'D'}]"
            raise self._error(f"gave vectors of shape {list(vectors.shape)}, expected {wanted}")
        if not np.isfinite(vectors).all():
            raise self._error("gave NaN or Inf")
        return vectors

    def _asked(self, request: Mapping[str, Any]) -> Any:
        """The server's answer to a request, as JSON."""
        body = json.dumps(request).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {os.environ[KEY]}"
        try:
            status, data = self._sent(body, headers)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self._close()
            raise self._error(
                f"does not answer: {first_line(error)}",
                f"is a server running at {self._url.netloc}?",
            ) from None
        if len(data) > _ANSWER_BYTES:
            raise self._error(f"answers with more than {_ANSWER_BYTES >> 20} MiB")
        if status != 200:
            said = " ".join(data[:_SHOWN].decode("utf-8", "replace").split())
            hint = f"the key comes from {KEY}" if status in (401, 403) else None
            raise self._error(f"answers {status}: {said or 'nothing'}", hint)
        try:
            return parse_json(data)
        except ValueError as error:
            raise self._error(f"gave no JSON: {first_line(error)}") from None

    def _sent(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and content of the answer; a connection that was closed meanwhile is renewed."""
        for is_last in (self._connection is None, True):
            if self._connection is None:
                kind = (
                    http.client.HTTPSConnection
                    if self._url.scheme == "https"
                    else http.client.HTTPConnection
                )
                self._connection = kind(self._url.hostname or "", self._url.port, timeout=_SECONDS)
            try:
                self._connection.request("POST", self._path, body, dict(headers))
                answer = self._connection.getresponse()
                data = answer.read(_ANSWER_BYTES + 1)
            except (ConnectionError, http.client.RemoteDisconnected):
                self._close()
                if is_last:
                    raise
                continue
            if answer.will_close or not answer.isclosed():
                self._close()
            return answer.status, data
        raise AssertionError("unreachable")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _error(self, what: str, hint: str | None = None) -> BackboneError:
        return BackboneError(f"backbone {self.name!r} {what}", hint)


def create(
    argument: str | None, dimension: int | None, options: Mapping[str, OptionValue]
) -> HttpBackbone:
    """The factory of the entry point ``http``.

    Options: ``normalize`` to length 1 (default true); ``batch_size`` for speed only.
    """
    name = "http" if argument is None else f"http:{argument}"
    check_options(name, options, _OPTIONS)
    batch_size = option(name, options, "batch_size", int, _BATCH)
    if batch_size < 1:
        raise BackboneError(f"backbone {name!r}: batch_size = {batch_size}: must be 1 or more")
    normalize = option(name, options, "normalize", bool, True)
    return HttpBackbone(name, _url(name, argument), batch_size, normalize)


def _url(name: str, argument: str | None) -> SplitResult:
    """The server's address, checked."""
    hint = "write http:URL#MODEL, such as http:http://localhost:11434#nomic-embed-text"
    given = argument or ""
    try:
        url = urlsplit(f"http:{given}" if given.startswith("//") else given)
        port_is_sound = url.port is None or url.port > 0
    except ValueError:
        raise BackboneError(f"backbone {name!r}: is not an address", hint) from None
    if url.scheme not in ("http", "https") or not url.hostname or not port_is_sound:
        raise BackboneError(f"backbone {name!r}: is not an address", hint)
    if not url.fragment:
        raise BackboneError(f"backbone {name!r} needs a model", hint)
    if not given.isascii() or not given.isprintable() or " " in given:
        raise BackboneError(f"backbone {name!r}: is not an address", hint)
    if url.username is not None or url.query:
        raise BackboneError(
            f"backbone at {url.hostname!r}: an address holds no keys", f"put the key into {KEY}"
        )
    if not _is_here(url.hostname):
        if url.hostname not in os.environ.get(HOSTS, "").replace(",", " ").lower().split():
            raise BackboneError(
                f"backbone {name!r} would send texts to {url.hostname}",
                f"allow it with {HOSTS}={url.hostname}",
            )
        if url.scheme != "https" and os.environ.get(KEY):
            raise BackboneError(
                f"backbone {name!r} would send the key to {url.hostname} without encryption",
                f"use https, or unset {KEY}",
            )
    return url


def _is_here(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
