"""Running the HTTP application on this machine."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from memoria.errors import MemoriaError, MissingExtraError, StorageError, UsageError
from memoria.serving.guard import EVERY_ADDRESS, Admission, allowed_names, is_loopback
from memoria.serving.http_app import MemoryApp
from memoria.serving.operations import MemoryOperations
from memoria.store.sharing import SharedStore

TOKEN_VARIABLE: Final = "MEMORIA_TOKEN"
_LEAST_TOKEN: Final = 16  # characters
_BACKLOG: Final = 256
_CONNECTIONS: Final = 512
_LOOK_SECONDS: Final = 5.0  # between two looks at whether others have written


@dataclass(frozen=True)
class Address:
    """Where a memory is served, and the token for what changes it."""

    host: str
    port: int
    token: str

    @property
    def url(self) -> str:
        """The address of the page."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{name}:{self.port}/"


def serve(
    store: str | os.PathLike[str],
    host: str = "127.0.0.1",
    port: int = 8377,
    names: Sequence[str] = (),
    started: Callable[[Address], None] = lambda address: None,
    version: str = "",
) -> None:
    """Serve the page and the API of a store until the process is interrupted.

    Args:
        store: a directory.
        host: the address to listen on; by default only this machine reaches it.
        port: 0 takes any that is free.
        names: further names by which it may be called, such as that of this machine in a network.
        started: called with where it listens, once it does.
        version: what the API says of itself.

    Raises:
        UsageError: all addresses are asked for without a name, or the token is too short.
        StorageError: the address cannot be listened on.
        MissingExtraError: the extra ``serve`` is not installed.
    """
    if host in EVERY_ADDRESS and not names:
        raise UsageError(
            f"--host {host}: every address of this machine",
            "say by which names it may be called: --allow-host NAME",
        )
    try:
        import uvicorn
    except ImportError:
        raise MissingExtraError("serving a memory", "serve") from None
    token = _token()
    operations = MemoryOperations(store)
    try:
        open_to_others = not is_loopback(host)
        admission = Admission(token, allowed_names(host, names), open_to_others)
        app = MemoryApp(operations, admission, version).asgi()
        with _listening(host, port) as listener, _looking(operations.shared):
            operations.warm_up()
            settings = uvicorn.Config(
                app,
                log_level="error",
                access_log=False,
                lifespan="off",
                ws="none",
                limit_concurrency=_CONNECTIONS,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=5,
                h11_max_incomplete_event_size=2**16,
                server_header=False,
                proxy_headers=False,
            )
            address = Address(host, listener.getsockname()[1], token)

            class Server(uvicorn.Server):
                async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                    await super().startup(sockets)
                    started(address)  # only now: from here on an interrupt ends it well

            Server(settings).run(sockets=[listener])
    finally:
        operations.close()


@contextmanager
def _looking(shared: SharedStore) -> Iterator[None]:
    """Let go of earlier files of the store, now and then, while nobody asks for anything."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_SECONDS):
            with suppress(MemoriaError, OSError):  # whoever asks next is told
                shared.refresh()

    thread = threading.Thread(target=look, name="memoria-looking", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _token() -> str:
    """The token of the environment, else a new one that nobody can guess."""
    given = os.environ.get(TOKEN_VARIABLE, "")
    if not given:
        return os.urandom(24).hex()
    hint = f"give at least {_LEAST_TOKEN} letters and digits, or leave it out"
    if len(given) < _LEAST_TOKEN:
        raise UsageError(f"{TOKEN_VARIABLE} has {len(given)} characters: too few", hint)
    if not given.isascii() or not given.isprintable() or " " in given:
        raise UsageError(f"{TOKEN_VARIABLE} has spaces or characters other than ASCII", hint)
    return given


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        hint = "--port names another, 0 any that is free"
        raise StorageError(f"{host}:{port}: cannot listen: {error.strerror}", hint) from None
    except TypeError:  # the name cannot be encoded, as a part of it is empty or too long
        raise UsageError(f"--host {host}: not the name of a host", "such as 127.0.0.1") from None
    return listener
