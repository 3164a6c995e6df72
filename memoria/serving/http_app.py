"""The HTTP application: the page, the JSON API of `ROUTES`, and the report behind the map."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from memoria.errors import (
    InputError,
    MemoriaError,
    MissingExtraError,
    StateError,
    StoreLockedError,
    UsageError,
)
from memoria.serving.guard import Admission, App, Guard, error_document
from memoria.serving.openapi import openapi_document, openapi_page
from memoria.serving.operations import MemoryOperations
from memoria.serving.routes import ROUTES, Route, read_query, read_values

if TYPE_CHECKING:
    from anyio import CapacityLimiter
    from starlette.requests import Request
    from starlette.responses import Response

_BODY_SECONDS: Final = 30.0  # in which a body must have come
_STATUS: Final = (  # of errors, the first that fits
    (StoreLockedError, 503),
    (StateError, 409),
    (MissingExtraError, 501),
    (UsageError, 400),
)
_PARTS: Final = {"page.css": "text/css", "page.js": "text/javascript"}

_T = TypeVar("_T")


class MemoryApp:
    """The application over ``operations``; `asgi` is what a server runs.

    One question is answered at a time, and one write done: a memory is one thing. What comes
    meanwhile waits, and asking never waits for a write.
    """

    def __init__(
        self, operations: MemoryOperations, admission: Admission, version: str = ""
    ) -> None:
        self._operations, self._admission, self._version = operations, admission, version
        self._report: tuple[str, str] | None = None  # its ticket, and the page
        self._limits: dict[str, CapacityLimiter] = {}

    def asgi(self) -> App:
        """The application with the guard in front. Raises `MissingExtraError`."""
        try:
            from starlette.applications import Starlette
            from starlette.routing import Route as StarletteRoute
        except ImportError:
            raise MissingExtraError("serving a memory", "serve") from None
        routes = [
            StarletteRoute("/", self._page),
            StarletteRoute("/page.css", self._part),
            StarletteRoute("/page.js", self._part),
            StarletteRoute("/api", self._api_page),
            StarletteRoute("/api/openapi.json", self._openapi),
            StarletteRoute("/api/report", self._make_report),
            StarletteRoute("/report/{ticket}", self._show_report),
        ]
        for path in dict.fromkeys(route.path for route in ROUTES):
            ours: dict[str, Route] = {r.method: r for r in ROUTES if r.path == path}
            here = partial(self._call, ours)
            routes.append(StarletteRoute(path.replace("{id}", "{id:int}"), here, methods=[*ours]))
        handlers: dict[Any, Any] = {404: _not_there, 405: _not_there, Exception: _unexpected}
        return Guard(Starlette(routes=routes, exception_handlers=handlers), self._admission)

    async def _call(self, ours: dict[str, Route], request: Request) -> Response:
        """Answer a request of the API."""
        route = ours["GET" if request.method == "HEAD" else request.method]
        try:
            path = {name: str(value) for name, value in request.path_params.items()}
            if route.writes:
                body = await self._body(request)
                values = read_values(route, {**body, **{k: int(v) for k, v in path.items()}})
            else:
                query = request.query_params
                given = {name: query.getlist(name) for name in query}
                values = read_query(route, {**given, **{k: [v] for k, v in path.items()}})
            document = await self._in_thread(
                "write" if route.writes else "read",
                partial(route.operation, self._operations, **values),
            )
        except MemoriaError as error:
            return _failed(error, bool(request.path_params))
        return _unless_known(_json(document), request)

    async def _in_thread(self, kind: str, work: Callable[[], _T]) -> _T:
        """Do one thing of a kind after another, in the order in which they came."""
        from anyio import CapacityLimiter
        from anyio.to_thread import run_sync

        limit = self._limits.setdefault(kind, CapacityLimiter(1))
        return await run_sync(work, limiter=limit)

    async def _body(self, request: Request) -> dict[str, Any]:
        """The JSON object of a body, within its bounds."""
        raw = bytearray()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                async for chunk in request.stream():
                    raw += chunk
                    if len(raw) > self._admission.most_bytes:
                        raise _TooLargeError("the body is too large")
        except TimeoutError:
            raise InputError(f"the body did not come in {_BODY_SECONDS:g} seconds") from None
        if not raw:
            return {}
        try:
            body = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise InputError("the body is not JSON") from None
        if not isinstance(body, dict):
            raise InputError("the body is not an object")
        return body

    async def _page(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse

        return HTMLResponse(_read("page.html"))

    async def _part(self, request: Request) -> Response:
        from starlette.responses import Response

        name = request.url.path.removeprefix("/")
        text = _read(name)
        if name == "page.css":
            from memoria.report.style import house_style

            text = house_style() + text
        return Response(text, media_type=_PARTS[name])

    async def _api_page(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse

        return HTMLResponse(openapi_page(Path(self._operations.path).name))

    async def _openapi(self, request: Request) -> Response:
        return _json(openapi_document(self._version))

    async def _make_report(self, request: Request) -> Response:
        """Where the report about the memory as it is now can be read: a name nobody can guess."""
        try:
            url = await self._in_thread("report", self._report_url)
        except MemoriaError as error:
            return _failed(error)
        return _json({"url": url})

    def _report_url(self) -> str:
        with self._operations.shared.reading() as store:
            digest = store.files.attributes.digest
        key = self._admission.token.encode()
        ticket = hmac.new(key, digest.encode(), hashlib.sha256).hexdigest()
        if self._report is None or self._report[0] != ticket:
            from memoria.report import write_report

            with tempfile.TemporaryDirectory(prefix="memoria-report-") as folder:
                out = Path(folder) / "report.html"
                write_report(self._operations.path, out)
                self._report = (ticket, out.read_text(encoding="utf-8"))
        return f"/report/{ticket}"

    async def _show_report(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse

        made, ticket = self._report, request.path_params["ticket"].encode()
        if made is None or not hmac.compare_digest(made[0].encode(), ticket):
            return _error(404, "NotFoundError", "this report is gone", "open the map again")
        return HTMLResponse(made[1])


class _TooLargeError(InputError):
    """A body is longer than it may be."""


def _json(document: Any, status: int = 200) -> Response:
    from starlette.responses import Response

    text = json.dumps(document, allow_nan=False)  # ASCII: lone surrogates of a text too
    return Response(text, status, media_type="application/json")


def _unless_known(response: Response, request: Request) -> Response:
    """The response with a tag of what it holds; without a body for whoever has that already."""
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    if request.method != "POST" and request.headers.get("if-none-match") == tag:
        from starlette.responses import Response

        response = Response(status_code=304)
    response.headers["etag"] = tag
    return response


def _error(status: int, kind: str, message: str, hint: str | None = None) -> Response:
    response = _json(error_document(kind, message, hint), status)
    if status == 503:
        response.headers["retry-after"] = "1"
    return response


def _failed(error: MemoriaError, names_engram: bool = False) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    if isinstance(error, _TooLargeError):
        status = 413
    elif names_engram and isinstance(error, InputError) and error.message.startswith("engram"):
        status = 404
    return _error(status, type(error).__name__, error.message, error.hint)


async def _not_there(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    what = "no such address" if status == 404 else f"{request.method} is not for this address"
    return _error(status, "NotFoundError", what, "/api tells what there is")


async def _unexpected(request: Request, error: Exception) -> Response:
    return _error(500, type(error).__name__, "unexpected error", "please report it")


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _read(name: str) -> str:
    return files("memoria.serving").joinpath(name).read_text(encoding="utf-8")
