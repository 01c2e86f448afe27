"""A local OpenAI-compatible server that misbehaves as it is told, on 127.0.0.1 only."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One request; what becomes of it is the server's next act."""

    protocol_version = "HTTP/1.1"
    body: dict[str, Any]

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        fake: FakeServer = self.server  # pyright: ignore[reportAssignmentType]
        with fake.lock:
            fake.seen.append(self.body | {"path": self.path, "authorization": self.headers.get("authorization")})
            fake.times.append(time.monotonic())
            act = fake.script.pop(0) if fake.script else fake.act
            fake.now += 1
            fake.most = max(fake.most, fake.now)
        try:
            act(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client gave up
        finally:
            with fake.lock:
                fake.now -= 1

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"content_length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class FakeServer(ThreadingHTTPServer):
    """Plays `script`, one act a request, then `act`; notes what it saw and how many requests it had at once."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, act: Act, script: list[Act] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.act, self.script = act, script or []
        self.seen: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.over = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self) -> "FakeServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


def completion(text: str | None, reason: str | None = "stop") -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}, "finish_reason": reason}]}).encode()


def says(text: str | None, reason: str | None = "stop", **headers: str) -> Act:
    return lambda request: request.send(200, completion(text, reason), **headers)


def status(code: int, body: str = "", **headers: str) -> Act:
    return lambda request: request.send(code, body.encode(), **headers)


def replies(answer: Callable[[str], str]) -> Act:
    """A well-behaved server: `answer` of the prompt."""
    return lambda request: request.send(200, completion(answer(request.body["messages"][0]["content"])))


def hang(request: Handler) -> None:
    fake: FakeServer = request.server  # pyright: ignore[reportAssignmentType]
    fake.over.wait(20)
    request.close_connection = True


def cut(request: Handler) -> None:
    """Close the connection in the middle of the body."""
    body = completion("11")
    request.send(200, body[:10], content_length=str(len(body)))
    request.close_connection = True


def trickle(request: Handler) -> None:
    """A byte every 20 ms, for ever."""
    fake: FakeServer = request.server  # pyright: ignore[reportAssignmentType]
    request.send(200, b"", content_length="100000")
    while not fake.over.wait(0.02):
        request.wfile.write(b" ")
        request.wfile.flush()
