"""A memory served by a process of its own, and requests to it as they go over the wire."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli_tools import command_line, environment

PATIENCE = 60  # seconds, on a busy machine


@dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """A server that runs, and the address and token that it printed."""

    url: str
    page: str
    host: str
    port: int
    token: str
    process: subprocess.Popen[str]

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = {},
        plain: bool = False,
    ) -> Reply:
        """One request; ``plain`` sends no Host but the one in ``headers``."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.putrequest(method, path, skip_host=plain, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None and "Content-Length" not in headers:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, names, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.send("GET", path, headers=headers)

    def post(self, path: str, document: object, **headers: str) -> Reply:
        """What the page would send; ``headers`` replace its own."""
        own = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return self.send("POST", path, json.dumps(document).encode(), {**own, **headers})


@contextmanager
def serving(store: Path, *options: object, **variables: str) -> Iterator[Served]:
    """``memoria serve STORE`` on any free port, ended with SIGTERM."""
    line = command_line("serve", store, "--port", 0, "--json", *options)
    with subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            first = process.stdout.readline()
            assert first, process.stderr.read()
            told = json.loads(first)
            names = ("url", "page", "host", "port", "token")
            yield Served(**{name: told[name] for name in names}, process=process)
        finally:
            process.terminate()
            code = process.wait(PATIENCE)
        assert (code, process.stderr.read()) == (0, "")
