"""Who pushes to a place: an object that only one can have put there.

Object storage knows no locks. A claim is an object created only where there is none, renewed
while the push goes on; one that was not renewed for long, or whose process is known to have
ended, is taken over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from datetime import UTC, datetime
from typing import Any, Final

from memoria.chunkstore.sources.buckets import Bucket, ChangedError, Stored
from memoria.errors import StorageError, StoreLockedError

CLAIM_NAME: Final = ".push"
_RENEWED_EVERY: Final = 15.0  # seconds
_STALE: Final = 90.0
_MOST_BYTES: Final = 4096


class Claim:
    """The right to push to ``bucket``: ``with Claim(bucket) as claim``.

    Raises `StoreLockedError` naming who pushes already. Call `renew` now and then.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._text = {
            "pid": os.getpid(),
            "host": os.uname().nodename,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "token": os.urandom(8).hex(),
        }
        self._count = 0
        self._renewed = 0.0
        self._tag: str | None = None

    def __enter__(self) -> Claim:
        try:
            self._put()
        except ChangedError:
            self._tag = self._stale_tag()
            try:
                self._put()
            except ChangedError:
                raise StoreLockedError(
                    f"{self._bucket.url}: another push has just begun", "wait until it is done"
                ) from None
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):  # what is left is stale: this process has ended
            if self._is_ours():
                self._bucket.delete([CLAIM_NAME])

    def renew(self, now: bool = False) -> None:
        """Say that the push goes on, if that is due, or ``now``. `StorageError`: taken over."""
        if now or time.monotonic() - self._renewed > _RENEWED_EVERY:
            try:
                self._put()
            except ChangedError:
                raise StorageError(
                    f"{self._bucket.url}: another push has taken over", "push again"
                ) from None

    def _put(self) -> None:
        self._count += 1
        text = json.dumps({**self._text, "renewed": self._count}).encode()
        self._bucket.put_if(CLAIM_NAME, text, self._tag)
        self._tag = f'"{hashlib.md5(text, usedforsecurity=False).hexdigest()}"'
        with contextlib.suppress(FileNotFoundError):  # where tags are not of the content
            self._tag = self._bucket.stored(CLAIM_NAME).tag
        self._renewed = time.monotonic()

    def _is_ours(self) -> bool:
        return self._bucket.stored(CLAIM_NAME).tag == self._tag

    def _stale_tag(self) -> str | None:
        """The tag of a claim that holds no more; None if it is gone. `StoreLockedError` else."""
        try:
            stored = self._bucket.stored(CLAIM_NAME)
            text = self._bucket.get(CLAIM_NAME, stored.tag, 0, min(stored.size, _MOST_BYTES))
        except FileNotFoundError:
            return None
        except ChangedError:
            text, stored = b"", Stored(0, "")
        holder = _parsed(text)
        ended = holder.get("host") == self._text["host"] and not _runs(holder.get("pid"))
        if stored.tag and (ended or self._bucket.age(CLAIM_NAME) > _STALE):
            return stored.tag
        words = f"process {holder.get('pid')} on {holder.get('host')} since {holder.get('since')}"
        known = "".join(letter for letter in words if letter.isprintable())[:300]
        raise StoreLockedError(
            f"{self._bucket.url}: is being pushed to by {known}", "wait until it is done"
        )


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        holder = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _runs(pid: object) -> bool:
    if type(pid) is not int or not 0 < pid < 2**31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
