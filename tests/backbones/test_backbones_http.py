"""Backbone ``http``: a small embeddings server on this machine, sound and unsound."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memoria.backbones import Backbone, load_backbone
from memoria.backbones.http import HOSTS, KEY
from memoria.errors import BackboneError
from memoria_cli.boundary import run

SIZE = 5


def embedding(text: str) -> list[float]:
    return [float(len(text)), *(float(text.count(letter)) for letter in "abcd")]


class Server(ThreadingHTTPServer):
    """Answers in the OpenAI form, the last text first; ``reply`` stands in for an answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.reply: tuple[int, bytes] | None = None
        self.closes = False
        self.headers: dict[str, str] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(
            {**body, "path": self.path, "key": self.headers["Authorization"]}
        )
        data = [{"index": i, "embedding": embedding(text)} for i, text in enumerate(body["input"])]
        sound = json.dumps({"object": "list", "data": data[::-1]}).encode()
        status, content = self.server.reply or (200, sound)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = self.server.closes

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in (KEY, HOSTS):
        monkeypatch.delenv(name, raising=False)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_vectors_come_in_the_order_of_the_texts(server: Server) -> None:
    backbone = load_backbone(f"http:{server.address}#tiny", normalize=False)
    assert isinstance(backbone, Backbone)
    assert (backbone.dimension, backbone.options) == (SIZE, {"normalize": False})
    texts = ["a bad cab", "", "ümläut"]
    assert backbone.encode(texts).tolist() == [embedding(text) for text in texts]
    assert backbone.encode([]).shape == (0, SIZE)
    assert backbone.word_table() is None
    last = server.requests[-1]
    assert (last["model"], last["path"], last["key"]) == ("tiny", "/v1/embeddings", None)
    unit = load_backbone(f"http:{server.address}#tiny").encode(texts)
    assert np.allclose(np.linalg.norm(unit[[0, 2]], axis=1), 1)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("", "/v1/embeddings"),
        ("/", "/v1/embeddings"),
        ("/v1", "/v1/embeddings"),
        ("/api/v1/", "/api/v1/embeddings"),
        ("/models/a/embeddings", "/models/a/embeddings"),
    ],
)
def test_the_path_of_the_address(server: Server, path: str, asked: str) -> None:
    load_backbone(f"http:{server.address}{path}#m")
    assert server.requests[-1]["path"] == asked


def test_the_address_may_stand_for_the_name(server: Server) -> None:
    backbone = load_backbone(f"{server.address}#m")
    assert backbone.name == f"{server.address}#m"
    assert backbone.dimension == SIZE


def test_requests_are_bounded(server: Server) -> None:
    backbone = load_backbone(f"http:{server.address}#m", batch_size=3)
    del server.requests[:]
    backbone.encode(["a"] * 7)
    assert [len(one["input"]) for one in server.requests] == [3, 3, 1]
    del server.requests[:]
    backbone.encode(["a" * 600_000, "b" * 600_000, "c"])
    assert [len(one["input"]) for one in server.requests] == [1, 2]


def test_a_connection_that_the_server_closed_is_renewed(server: Server) -> None:
    server.closes = True
    backbone = load_backbone(f"http:{server.address}#m", normalize=False)
    for _ in range(3):
        assert backbone.encode(["abc"]).tolist() == [embedding("abc")]


def test_the_key_comes_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "s3cret")
    backbone = load_backbone(f"http:{server.address}#m")
    assert server.requests[-1]["key"] == "Bearer s3cret"
    assert "s3cret" not in f"{backbone.name} {backbone.options}"
    server.reply = 401, b"no"
    with pytest.raises(BackboneError, match=f"answers 401: no; the key comes from {KEY}"):
        backbone.encode(["a"])


@pytest.mark.parametrize(
    ("status", "content", "complaint"),
    [
        (500, b"out\nof order", "answers 500: out of order"),
        (200, b"<html>", "gave no JSON"),
        (200, b"[1]", "gave no embeddings of 2 texts"),
        (200, b'{"data": [{"index": 0, "embedding": [1, 2, 3, 4, 5]}]}', "no embeddings of 2"),
        (
            200,
            b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [2]}]}',
            r"shape \[2, 1\], expected \[2, 5\]",
        ),
        (
            200,
            b'{"data": [{"index": 0, "embedding": [1e99, 2, 3, 4, 5]},'
            b' {"index": 1, "embedding": [1, 2, 3, 4, 5]}]}',
            "NaN or Inf",
        ),
        (200, b'{"data": [{"index": 0, "embedding": "x"}, {"index": 1}]}', "no embeddings"),
    ],
)
def test_answers_are_checked(server: Server, status: int, content: bytes, complaint: str) -> None:
    backbone = load_backbone(f"http:{server.address}#m")
    server.reply = status, content
    with pytest.raises(BackboneError, match=complaint) as caught:
        backbone.encode(["a", "b"])
    assert "\n" not in str(caught.value)


def test_redirects_are_not_followed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret")
    backbone = load_backbone(f"http:{server.address}#m")
    count = len(server.requests)
    with Server() as other:
        server.headers["Location"] = f"{other.address}/v1/embeddings"
        for status in (301, 302, 307, 308):
            server.reply = status, b""
            with pytest.raises(BackboneError, match=f"answers {status}"):
                backbone.encode(["a"])
        assert other.requests == []
    assert len(server.requests) == count + 4


def test_what_a_server_says_is_shown_harmlessly(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.reply = 500, "\x1b[2J\x07\u202enot live".encode()
    words = ["encode", "--text", "a", "--backbone", f"http:{server.address}#m", "-o"]
    assert run([*words, str(tmp_path / "v.npy")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert not {"\x1b", "\x07", "\u202e"} & {*said}


def test_a_server_has_no_fingerprint(server: Server) -> None:
    assert load_backbone(f"http:{server.address}#m").fingerprint == ""


def test_where_no_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(BackboneError, match=f"does not answer: .*127.0.0.1:{port}"):
        load_backbone(f"http:http://127.0.0.1:{port}#m")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("http", "is not an address; write http:URL#MODEL"),
        ("http:localhost#m", "is not an address"),
        ("http:ftp://localhost#m", "is not an address"),
        ("http:http://localhost:x#m", "is not an address"),
        ("http:http://localhost", "needs a model"),
        ("http:http://me:secret@localhost#m", "holds no keys; put the key into"),
        ("http:http://localhost/v1?key=secret#m", "holds no keys"),
        ("http:https://example.org#m", f"would send texts to example.org; allow it with {HOSTS}"),
    ],
)
def test_addresses_that_are_refused(
    name: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(HOSTS, raising=False)
    with pytest.raises(BackboneError, match=complaint) as caught:
        load_backbone(name)
    assert "secret" not in str(caught.value)


def test_a_key_leaves_this_machine_only_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOSTS, "example.org, other.example")
    monkeypatch.setenv(KEY, "s3cret")
    with pytest.raises(BackboneError, match="without encryption") as caught:
        load_backbone("http:http://example.org#m")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"device": "cpu"}])
def test_options_that_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(BackboneError, match=f"{next(iter(options))}"):
        load_backbone("http:http://localhost#m", **options)
