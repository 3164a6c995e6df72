"""Who may come in: the guard in front of every request.

A page of another site must not read or change the memory through the browser of a person who has
it open. Three things are checked: the name by which the server was called (a foreign name that
was made to point here is refused: DNS rebinding), the site that a request comes from (`Origin`,
`Sec-Fetch-Site`), and for what changes the memory a token that other sites cannot know.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
EVERY_ADDRESS: Final = ("0.0.0.0", "::", "")
_LONGEST_PATH: Final = 1_000  # characters
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Admission:
    """What the guard lets in.

    Attributes:
        token: needed for what changes the memory.
        names: the host names by which the server may be called, lower case.
        reads_need_token: whether reading the API needs the token too.
        most_bytes: of a body.
        most_waiting: requests of the API at a time; more are told to come again.
    """

    token: str
    names: frozenset[str]
    reads_need_token: bool = False
    most_bytes: int = 2**20
    most_waiting: int = 256


def allowed_names(host: str, more: Iterable[str] = ()) -> frozenset[str]:
    """The names of a server that listens on ``host``, with ``more`` that a person has named."""
    here = is_loopback(host) or host in EVERY_ADDRESS
    own = LOOPBACK if here else (host,)
    return frozenset(name.lower().strip("[]") for name in (*own, *more))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    return host in LOOPBACK or host.startswith("127.")


class Guard:
    """The application behind ``admission``; every answer forbids what the page does not need."""

    def __init__(self, app: App, admission: Admission) -> None:
        self._app, self._admission = app, admission
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no websockets, no lifespan
        refused = self._refused(scope)
        if refused is not None:
            await _refuse(send, *refused)
            return
        api = scope["path"].startswith("/api/")
        if api and self._waiting >= self._admission.most_waiting:
            await _refuse(send, 503, "BusyError", "too many requests wait", "try again")
            return
        self._waiting += api
        try:
            await self._app(scope, receive, _with_headers(send, scope["path"]))
        finally:
            self._waiting -= api

    def _refused(self, scope: Scope) -> tuple[int, str, str, str | None] | None:
        """Status, type, message and hint of why a request is not let in; None if it is."""
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            if key in headers and key in ("host", "origin", "authorization", "content-length"):
                return 400, "InputError", f"the header {key} is given twice", None
            headers[key] = value.decode("latin-1")
        if len(scope["path"]) > _LONGEST_PATH:
            return 404, "NotFoundError", "no such address", "/api tells what there is"
        allowed = self._admission
        host = headers.get("host", "")
        if _host_name(host) not in allowed.names:
            hint = "--allow-host NAME lets the server be called by another name"
            return 403, "ForbiddenError", f"host {host[:80]!r} is not this server", hint
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and _origin_host(origin) != host.lower():
            return 403, "ForbiddenError", f"requests from {origin[:80]!r} are refused", None
        follows_link = scope["path"] == "/" and scope["method"] == "GET"
        if site not in ("none", "same-origin") and not follows_link:
            return 403, "ForbiddenError", "requests from other sites are refused", None
        writes = scope["method"] not in ("GET", "HEAD")
        private = allowed.reads_need_token and scope["path"].startswith("/api/")
        if (writes or private) and not self._has_token(headers.get("authorization", "")):
            hint = "send the token that `memoria serve` printed, as Authorization: Bearer TOKEN"
            return 401, "TokenError", "this needs the token", hint
        if writes:
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return 415, "InputError", "the body is not application/json", None
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            return 400, "InputError", "content-length is not a number", None
        if int(length) > allowed.most_bytes:
            return 413, "InputError", f"a body of {length} bytes is too large", None
        return None

    def _has_token(self, authorization: str) -> bool:
        kind, _, token = authorization.partition(" ")
        wanted = self._admission.token.encode()
        given = token.strip().encode("utf-8", "replace")
        return kind.lower() == "bearer" and hmac.compare_digest(given, wanted)


def _host_name(host: str) -> str:
    """The name in a Host header, without the port; "" for one that is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return ""
    return name if name and parts.netloc == host and "@" not in host else ""


def _origin_host(origin: str) -> str | None:
    """Host and port of an Origin header; None for one that is malformed."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _with_headers(send: Send, path: str) -> Send:
    policy = b"frame-ancestors 'self'" if path.startswith("/report/") else _POLICY

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [*_HEADERS, (b"content-security-policy", policy)]
            message["headers"] = [*message.get("headers", ()), *more]
        await send(message)

    return send_with_headers


async def _refuse(send: Send, status: int, kind: str, message: str, hint: str | None) -> None:
    body = json.dumps(error_document(kind, message, hint)).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *((b"retry-after", b"1"),) * (status == 503),
        *((b"www-authenticate", b"Bearer"),) * (status == 401),
        *_HEADERS,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def error_document(kind: str, message: str, hint: str | None) -> dict[str, Any]:
    """What went wrong, as JSON has it."""
    return {"error": {"type": kind, "message": message, "hint": hint}}
