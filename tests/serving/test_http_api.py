"""The JSON API over the wire: what it does, who is let in, and what it bears."""

from __future__ import annotations

import json
import signal
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from cli_tools import Cli, process
from jsonschema import Draft202012Validator
from served import PATIENCE, Served, serving
from served_notes import make_notes

from memoria.store import MemoryStore
from memoria.store.verify import verify

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for tests that change nothing."""
    with serving(make_notes(tmp_path_factory.mktemp("served") / "notes")) as one:
        yield one


def test_reads(served: Served) -> None:
    memory = served.get("/api/memory").json
    assert (memory["name"], memory["step"], memory["engrams"]) == ("notes", 1, 3)
    found = served.get(
        "/api/ask?" + urlencode({"question": "Who feeds them in winter?", "context": 1})
    )
    first = found.json["answers"][0]
    assert (first["text"], first["source"]) == ("Anna feeds them in winter.", "talk.txt")
    assert [one["id"] for one in first["before"] + first["after"]] == [0, 2]
    listed = served.get("/api/engrams?limit=2").json
    assert (listed["count"], [one["id"] for one in listed["engrams"]]) == (3, [2, 1])
    assert [one["id"] for one in served.get("/api/engrams?before=1").json["engrams"]] == [0]
    assert served.get("/api/engrams?text=DOG").json["engrams"][0]["text"] == "Bo is her dog."
    assert served.get("/api/engrams/1").json["meta"] == {"speaker": "Clara"}
    assert [one["added"] for one in served.get("/api/timeline").json["steps"]] == [3]
    tag = served.get("/api/memory").headers["etag"]
    again = served.get("/api/memory", **{"If-None-Match": tag})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert served.get("/api/memory", **{"If-None-Match": '"other"'}).json == memory
    meta = quote(json.dumps({"speaker": "Nobody"}))
    assert served.get(f"/api/ask?question=bees&meta={meta}").json["answers"] == []
    assert served.get("/api/ask?question=bees&source=a*&source=talk*").json["answers"]


def test_answers_are_those_of_the_library(served: Served, tmp_path: Path) -> None:
    with MemoryStore.open(make_notes(tmp_path / "same")) as store:
        for question in ("Where do the bees live?", "dog", "ünïcödé \U0001f41d"):
            theirs = served.get("/api/ask?" + urlencode({"question": question})).json
            assert theirs["answers"] == json.loads(
                json.dumps(store.ask(question).document()["answers"])
            )


def test_writes_are_committed_and_undone(notes: Path) -> None:
    with serving(notes) as served:
        made = served.post("/api/remember", {"text": "Clara bakes bread. And cakes."}).json
        assert made == {"step": 2, "ids": [3, 4]}
        with MemoryStore.open(notes) as store:
            assert store.timestep == 2
        assert served.get("/api/ask?question=Clara+bread").json["answers"][0]["id"] == 3
        assert served.post("/api/engrams/3/edit", {"text": "Clara bakes rye bread."}).status == 200
        assert served.post("/api/engrams/1/edit", {"meta": {"sure": True}}).status == 200
        assert served.get("/api/engrams/1").json["meta"] == {"speaker": "Clara", "sure": True}
        assert served.post("/api/engrams/0/pin", {}).json["pinned"] is True
        assert served.get("/api/engrams/0").json["pinned"] is True
        assert served.post("/api/engrams/0/unpin", {}).json["pinned"] is False
        used = served.post("/api/used", {"ids": [3], "question": "Who bakes?"})
        assert used.json["used"] == [3]
        assert served.post("/api/forget", {"ids": [2, 4]}).json["forgotten"] == [2, 4]
        assert served.get("/api/engrams").json["count"] == 3
        assert served.get("/api/undo").json["commands"] == ["forget"]
        assert served.post("/api/undo", {}).json["commands"] == ["forget"]
        assert served.get("/api/engrams").json["count"] == 5
        assert "rye" in served.get("/api/ask?question=Clara+bread").json["answers"][0]["text"]
        for text in ("<script>alert(1)</script> in a text.", "Zwölf Boxkämpfer \U0001f94a jagen."):
            (one,) = served.post("/api/remember", {"text": text}).json["ids"]
            assert served.get(f"/api/engrams/{one}").json["text"] == text
    assert verify(notes).findings == ()


def test_the_command_line_works_beside_it(notes: Path) -> None:
    with serving(notes) as served:
        assert served.post("/api/remember", {"text": "One."}).status == 200
        assert process("step", notes, "--text", "Wasps live below the roof.").code == 0
        assert served.get("/api/ask?question=wasps+roof").json["answers"][0]["id"] == 4
        assert served.post("/api/remember", {"text": "Three."}).json == {"step": 4, "ids": [5]}
        assert process("forget", notes, 4, "--yes").code == 0
        found = served.get("/api/ask?question=wasps+roof").json["answers"]
        assert 4 not in [one["id"] for one in found]
        with MemoryStore.open(notes, "r+") as store:
            store.add(store.backbone.encode(["A step is begun."])[None])
        refused = served.post("/api/remember", {"text": "Four."})
        assert (refused.status, refused.json["error"]["type"]) == (409, "StateError")
    assert verify(notes).findings == ()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "/api/ask", None, 400, "question: missing"),
        ("GET", "/api/ask?question=+", None, 400, "empty"),
        ("GET", "/api/ask?question=a&question=b", None, 400, "given 2 times"),
        ("GET", "/api/ask?question=a&top=0", None, 400, "top = 0"),
        ("GET", "/api/ask?question=a&top=ten", None, 400, "not a whole number"),
        ("GET", "/api/ask?question=a&tpo=1", None, 400, "'tpo': unknown"),
        ("GET", "/api/ask?question=a&since=soon", None, 400, "neither a date"),
        ("GET", "/api/ask?question=a&meta=[", None, 400, "meta: not JSON"),
        ("GET", "/api/ask?question=a&type=old", None, 400, "'old': unknown"),
        ("GET", "/api/engrams/77", None, 404, "engram = 77"),
        ("GET", "/api/engrams/x", None, 404, "no such address"),
        ("GET", "/nowhere", None, 404, "no such address"),
        ("GET", "/../etc/passwd", None, 404, "no such address"),
        ("DELETE", "/api/engrams/1", b"{}", 405, "not for this address"),
        ("POST", "/api/remember", b"{}", 400, "text: missing"),
        ("POST", "/api/remember", b'{"text": 1}', 400, "not a text"),
        ("POST", "/api/remember", b'{"text": "a", "time": "soon"}', 400, "neither a date"),
        ("POST", "/api/remember", b'{"text": "a", "meta": []}', 400, "not an object"),
        ("POST", "/api/remember", b'{"text": "a", "meta": {"a": NaN}}', 400, "not JSON"),
        ("POST", "/api/remember", b"[" * 10**5, 400, "not JSON"),
        ("POST", "/api/remember", b"[]", 400, "not an object"),
        ("POST", "/api/remember", b"\xff", 400, "not JSON"),
        ("POST", "/api/forget", b'{"ids": []}', 400, "not a list"),
        ("POST", "/api/forget", b'{"ids": [true]}', 400, "is not an id"),
        ("POST", "/api/forget", b'{"ids": [99999999999999999999]}', 400, "is not an id"),
        ("POST", "/api/forget", b'{"ids": [77]}', 400, "engram = 77"),
        ("POST", "/api/engrams/1/edit", b"{}", 400, "nothing is edited"),
        ("POST", "/api/engrams/77/pin", b"{}", 404, "engram = 77"),
        ("POST", f"/api/engrams/{'7' * 30}/pin", b"{}", 400, "not a whole number"),
        ("POST", f"/api/engrams/{'7' * 5000}/pin", b"{}", 404, "no such address"),
        ("POST", "/api/remember", b'{"text": "a \\ud800 b"}', 400, "half a character"),
        ("POST", "/api/remember", b'{"text": "a", "source": "\\ud800"}', 400, "not Unicode"),
        ("POST", "/api/remember", b'{"text": "a", "time": "99999999999999999d"}', 400, "time"),
        ("POST", "/api/used", b'{"ids": [1], "question": "\\ud800"}', 400, "not Unicode"),
        ("GET", "/api/ask?question=a&since=99999999999999999d", None, 400, "since"),
        ("GET", "/api/ask?question=a&meta=NaN", None, 400, "not an object"),
    ],
)
def test_a_faulty_request_is_told_in_one_line(
    served: Served, method: str, path: str, body: bytes | None, status: int, said: str
) -> None:
    headers = {"Authorization": f"Bearer {served.token}", "Content-Type": "application/json"}
    reply = served.send(method, path, body, headers)
    error = reply.json["error"]
    assert (reply.status, set(error)) == (status, {"type", "message", "hint"})
    assert said in error["message"]
    assert "\n" not in error["message"]
    assert served.get("/api/memory").json["step"] == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic TOKEN"}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Length": "9" * 12}, 413),
    ],
    ids=str,
)
def test_a_write_of_another_site_is_refused(
    served: Served, headers: dict[str, str], status: int
) -> None:
    given = {name: value.replace("TOKEN", served.token) for name, value in headers.items()}
    reply = served.post("/api/forget", {"ids": [0]}, **given)
    assert reply.status == status
    assert served.get("/api/engrams").json["count"] == 3


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:PORT",
        "127.0.0.1.evil.example:PORT",
        "localhost.evil.example",
        "user@127.0.0.1:PORT",
        "127.0.0.1:PORT/x",
        "127.0.0.1:notaport",
        "0.0.0.0:PORT",
        "",
    ],
)
def test_a_name_that_was_made_to_point_here_is_refused(served: Served, host: str) -> None:
    """DNS rebinding: the browser believes that the other site's name is this server."""
    named = host.replace("PORT", str(served.port))
    for path in ("/", "/api/memory", "/api/ask?question=bees", "/page.js"):
        reply = served.send("GET", path, headers={"Host": named}, plain=True)
        assert reply.status == 403, path
        assert b"bees" not in reply.body


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST", "[::1]:PORT"])
def test_its_own_names_are_let_in(served: Served, host: str) -> None:
    named = host.replace("PORT", str(served.port))
    headers = {"Host": named, "Origin": f"http://{named}", "Sec-Fetch-Site": "same-origin"}
    assert served.send("GET", "/api/memory", headers=headers, plain=True).status == 200


def test_reads_from_another_site_are_refused_too(served: Served) -> None:
    other = {"Origin": "http://evil.example"}
    assert served.send("GET", "/api/memory", headers=other).status == 403
    assert served.get("/api/memory", **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert served.get("/", **{"Sec-Fetch-Site": "cross-site"}).status == 200  # a link to it
    for reply in (served.get("/"), served.get("/api/memory")):
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert "access-control-allow-origin" not in reply.headers


def test_a_header_twice_is_refused(served: Served) -> None:
    with socket.create_connection((served.host, served.port), timeout=PATIENCE) as raw:
        own = f"{served.host}:{served.port}"
        raw.sendall(
            f"GET /api/memory HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}\r\n"
            "Origin: http://evil.example\r\nConnection: close\r\n\r\n".encode()
        )
        assert b" 400 " in raw.recv(100)


def test_a_body_without_a_length_is_bounded(served: Served) -> None:
    with socket.create_connection((served.host, served.port), timeout=PATIENCE) as raw:
        raw.sendall(
            f"POST /api/remember HTTP/1.1\r\nHost: {served.host}:{served.port}\r\n"
            f"Authorization: Bearer {served.token}\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        try:
            for _ in range(80):
                raw.sendall(piece)
        except OSError:
            return  # it has hung up, which is an answer too
        assert b" 413 " in raw.recv(100)


def test_other_addresses_are_named(cli: Cli, notes: Path) -> None:
    """Reached from elsewhere, reading needs the token too."""
    refused = cli("serve", notes, "--host", "0.0.0.0", "--port", 0)
    assert (refused.code, "--allow-host" in refused.err) == (2, True)
    token, names = "a-token-of-some-length", ("--allow-host", "memory.example")
    with serving(notes, "--host", "0.0.0.0", *names, MEMORIA_TOKEN=token) as served:
        assert served.token == token
        there = {"Host": "memory.example"}

        def status(path: str, **more: str) -> int:
            headers = {**there, **more}
            return served.send("GET", path, headers=headers, plain=True).status

        assert status("/") == 200
        assert status("/api/memory") == 401
        assert status("/api/memory", Authorization=f"Bearer {served.token}") == 200
        assert served.send("GET", "/", headers={"Host": "0.0.0.0"}, plain=True).status == 403


def test_a_short_token_is_none(cli: Cli, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORIA_TOKEN", "short")
    short = cli("serve", notes, "--port", 0)
    assert (short.code, "16 letters" in short.err) == (2, True)


@pytest.mark.parametrize(
    ("token", "said"), [("short", "has 5 characters"), ("a token with spaces", "has spaces")]
)
def test_a_token_that_is_none_says_why(
    cli: Cli, notes: Path, monkeypatch: pytest.MonkeyPatch, token: str, said: str
) -> None:
    monkeypatch.setenv("MEMORIA_TOKEN", token)
    ran = cli("serve", notes, "--port", 0)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err
    assert token not in ran.err


def test_a_host_that_is_none_is_one_line(cli: Cli, notes: Path) -> None:
    ran = cli("serve", notes, "--port", 0, "--host", "\u00e9" * 70)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "not the name of a host" in ran.err


def test_a_taken_port_and_a_store_that_is_not_there(cli: Cli, notes: Path, served: Served) -> None:
    taken = cli("serve", notes, "--port", served.port)
    assert (taken.code, "--port" in taken.err, taken.err.count("\n")) == (1, True, 1)
    assert cli("serve", notes.with_name("nowhere"), "--port", 0).code == 10


def test_an_interrupt_ends_it_well(notes: Path) -> None:
    """As SIGTERM does, with which every other server here is ended."""
    with serving(notes) as served:
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(PATIENCE) == 0


def test_the_openapi_document_is_one(served: Served) -> None:
    document = served.get("/api/openapi.json").json
    assert document["openapi"].startswith("3.1")
    ids = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            ids.append(operation["operationId"])
            assert operation["summary"]
            named = {one["name"] for one in operation.get("parameters", ())}
            assert all(f"{{{name}}}" in path for name in named & {"id"})
            assert (method == "post") == ("security" in operation)
            for one in operation.get("parameters", ()):
                schema = one.get("schema") or one["content"]["application/json"]["schema"]
                Draft202012Validator.check_schema(schema)
            body = operation.get("requestBody")
            if body is not None:
                Draft202012Validator.check_schema(body["content"]["application/json"]["schema"])
    assert len(ids) == len(set(ids))
    page = served.get("/api").body.decode()
    assert all(path in page for path in document["paths"])
    assert "<script" not in page


def test_fifty_clients_ask_while_one_writes(notes: Path) -> None:
    """No error, and every answer is of a state between two steps."""
    clients, questions, writes = 50, 3, 12
    failures: list[object] = []
    seconds: list[float] = []

    def ask(served: Served) -> None:
        for _ in range(questions):
            begun = time.perf_counter()
            try:
                reply = served.get("/api/ask?question=pair&top=100")
                seconds.append(time.perf_counter() - begun)
                found = reply.json
                pairs = [one for one in found["answers"] if one["text"].startswith("Pair")]
                if len(pairs) != 2 * (found["step"] - 1):
                    failures.append((found["step"], len(pairs)))
            except Exception as error:
                failures.append(error)

    with serving(notes) as served:
        threads = [threading.Thread(target=ask, args=(served,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for number in range(writes):
            text = f"Pair {number} is left. Pair {number} is right."
            assert served.post("/api/remember", {"text": text}).status == 200
        for thread in threads:
            thread.join(PATIENCE)
        assert served.get("/api/memory").json["step"] == 1 + writes
    assert failures == []
    assert len(seconds) == clients * questions
    assert statistics.quantiles(seconds, n=20)[-1] < PATIENCE
    assert verify(notes).findings == ()


def test_too_many_are_told_to_come_again() -> None:
    import asyncio

    from memoria.serving.guard import Admission, Guard, allowed_names

    release = asyncio.Event()

    async def slow(scope: object, receive: object, send: object) -> None:
        await release.wait()

    admission = Admission("t" * 32, allowed_names("127.0.0.1"), most_waiting=2)
    guard = Guard(slow, admission)
    scope = {"type": "http", "path": "/api/ask", "method": "GET"}
    scope["headers"] = [(b"host", b"127.0.0.1")]  # type: ignore[assignment]
    statuses: list[int] = []

    async def send(message: dict[str, object]) -> None:
        if "status" in message:
            statuses.append(int(str(message["status"])))

    async def main() -> None:
        waiting = [asyncio.create_task(guard({**scope}, None, send)) for _ in range(2)]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await guard({**scope}, None, send)  # type: ignore[arg-type]
        release.set()
        await asyncio.gather(*waiting)

    asyncio.run(main())
    assert statuses == [503]
