"""A place on S3-compatible object storage, ``s3://bucket/prefix``, with errors of one line.

Endpoint, region and credentials come from the usual environment: ``AWS_ENDPOINT_URL``,
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION``.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from memoria.errors import DamageError, InputError, MissingExtraError, StorageError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

SCHEME: Final = "s3://"
_MOST_OBJECTS: Final = 2**20
_RETRIES: Final = 4
_PATIENCE: Final = timedelta(seconds=30)  # after which nothing is tried again
_REQUEST_TIMEOUT: Final = timedelta(minutes=5)
_CONNECT_TIMEOUT: Final = timedelta(seconds=10)
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_DENIED: Final = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")
_PLACE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[A-Za-z0-9._=+@-]+)*/?")


class ChangedError(Exception):
    """The object is not the one that was expected."""


class Stored(NamedTuple):
    """An object: its bytes, and the tag that changes with its content."""

    size: int
    tag: str


class Bucket:
    """The objects below ``url``, by their paths relative to it.

    Raises `MissingExtraError`, `InputError` for what is no such URL, and from its methods
    `StorageError`. Its methods may be called by several threads.
    """

    def __init__(self, url: str) -> None:
        place = url.removeprefix(SCHEME)
        bucket, _, prefix = place.rstrip("/").partition("/")
        if _PLACE.fullmatch(place) is None or {".", ".."} & set(prefix.split("/")):
            raise InputError(f"{url!r} is no place for a store", "name it like s3://bucket/notes")
        if not prefix:
            raise InputError(f"{url!r} is a whole bucket", f"name a store in it: {url}/notes")
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError:
            raise MissingExtraError("object storage", "s3") from None
        self.url = f"{SCHEME}{bucket}/{prefix}"
        self._api: Any = obstore
        endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
        client: ClientConfig = {"timeout": _REQUEST_TIMEOUT, "connect_timeout": _CONNECT_TIMEOUT}
        config: S3Config = {}
        if endpoint is not None:
            config["endpoint"] = endpoint
            if endpoint.startswith("http://"):
                client["allow_http"] = True
        with self._errors(""):
            self._store = S3Store(
                bucket,
                prefix=prefix,
                config=config,
                client_options=client,
                retry_config={"max_retries": _RETRIES, "retry_timeout": _PATIENCE},
            )

    def objects(self) -> dict[str, Stored]:
        """Everything there is, by path."""
        found: dict[str, Stored] = {}
        with self._errors(""):
            for part in self._api.list(self._store, chunk_size=1000):
                for one in part:
                    found[one["path"]] = Stored(int(one["size"]), one["e_tag"] or "")
                if len(found) > _MOST_OBJECTS:
                    raise DamageError(f"{self.url}: over {_MOST_OBJECTS} objects")
        return found

    def stored(self, path: str) -> Stored:
        """The object at ``path`` as it is now; raises `FileNotFoundError`."""
        with self._errors(path):
            one = self._api.head(self._store, path)
        return Stored(int(one["size"]), one["e_tag"] or "")

    def get(self, path: str, tag: str, offset: int, length: int) -> bytes:
        """Bytes of the object, which must have this tag: else `ChangedError`."""
        options = {"range": (offset, offset + length), "if_match": tag}
        with self._errors(path):
            return bytes(self._api.get(self._store, path, options=options).bytes())

    def put(self, path: str, data: bytes) -> None:
        """Write the object, in one piece, so that its tag is the MD5 of its content."""
        with self._errors(path):
            self._api.put(self._store, path, data, use_multipart=False)

    def put_if(self, path: str, data: bytes, tag: str | None) -> None:
        """Write the object only if it has this tag, None: if there is none; else `ChangedError`."""
        mode = "create" if tag is None else {"e_tag": tag}
        with self._errors(path):
            self._api.put(self._store, path, data, mode=mode, use_multipart=False)

    def age(self, path: str) -> float:
        """Seconds since the object was written, by the server's clock."""
        probe = f"{path}.now"
        self.put(probe, b"")
        try:
            with self._errors(path):
                written, now = (
                    self._api.head(self._store, one)["last_modified"] for one in (path, probe)
                )
        finally:
            self.delete([probe])
        return float((now - written).total_seconds())

    def delete(self, paths: Iterable[str]) -> None:
        """Remove objects."""
        names = list(paths)
        if names:
            with self._errors(""):
                self._api.delete(self._store, names)

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        from obstore import exceptions

        where = f"{self.url}/{path}" if path else self.url
        try:
            yield
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise ChangedError from None
        except (exceptions.NotFoundError, FileNotFoundError) as error:
            if "NoSuchBucket" in str(error):
                raise self._no_bucket() from None
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), where) from None
        except exceptions.BaseError as error:
            said = _in_one_line(error)
            if "NoSuchBucket" in said:
                raise self._no_bucket() from None
            denied = exceptions.PermissionDeniedError, exceptions.UnauthenticatedError
            if isinstance(error, denied) or any(code in said for code in _DENIED):
                hint = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                raise StorageError(f"{where}: access denied: {said}", hint) from None
            hint = "check AWS_ENDPOINT_URL and the network"
            raise StorageError(f"{where}: {said}", hint) from None

    def _no_bucket(self) -> StorageError:
        return StorageError(f"{self.url}: there is no such bucket", "create it first")


def _in_one_line(error: Exception) -> str:
    """What the library says: the server's own code, or the end of its chain of causes."""
    text = " ".join(str(error).partition("Debug source:")[0].split())
    code = re.search("<Code>([A-Za-z]+)</Code>", text)
    if code is not None:
        return f"the server says {code[1]}"
    return text.rpartition(" - ")[2][:200] or type(error).__name__
