"""A client against a server that misbehaves in each way that servers do."""

import email.utils
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_server import Act, FakeServer, cut, hang, replies, says, status, trickle

from cooper_jax import config
from cooper_jax.config import UserError
from cooper_jax.host import server
from cooper_jax.host.cache import Cache, content_key
from cooper_jax.host.server import Breaker, Chat, Reply, Server

KEY = "sk-not-to-be-seen-1234567890"
GOOD = Reply("11", "stop")


def settings(fake: FakeServer, **changes: object) -> config.Server:
    quick: dict = {"model": "m", "deadline": 20.0, "retries": 2, "backoff": 0.01, "longest_wait": 1.0} | changes
    return config.Server(url=fake.url, **quick)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (status(429, "slow down"), "HTTP 429"),
        (status(408), "HTTP 408"),
        (status(409), "HTTP 409"),
        (status(500, "oops"), "HTTP 500"),
        (status(503), "HTTP 503"),
        (hang, "deadline"),
        (trickle, "deadline"),
        (cut, "connection: RemoteProtocolError"),
        (lambda request: request.send(200, b'{"choices": ['), "malformed answer"),
        (lambda request: request.send(200, b"[" * 100_000), "malformed answer"),
        (lambda request: request.send(200, b'{"choices": []}'), "malformed answer"),
        (lambda request: request.send(200, b'{"choices": [{"message": {}}]}'), "malformed answer"),
        (lambda request: request.send(200, b"[]"), "malformed answer"),
        (lambda request: request.send(200, b"<html>busy</html>", content_type="text/html"), "malformed answer"),
        (lambda request: request.send(200, b"data: {}\n\n", content_type="text/event-stream"), "malformed answer"),
        (lambda request: request.send(200, b"\xff\xfe\x00", content_type="application/json"), "malformed answer"),
        (says(None), "malformed answer"),
        (lambda request: request.send(200, b"x" * (server.MAX_BODY + 1)), "answer too long"),
    ],
)
def test_what_can_pass_is_tried_again_and_then_given_up(act: Act, reason: str) -> None:
    deadline = 1.5 if reason == "deadline" else 20.0
    with FakeServer(says("11"), [act]) as fake, Server(settings(fake, deadline=deadline)) as client:
        assert client.ask([Chat("q")]) == [GOOD]
        assert client.figures() == {
            "requests": 1, "retries": 1, "cached": 0, "circuit_open": 0, "given_up": 0, "unfinished": 0
        }  # fmt: skip
    with FakeServer(act) as fake, Server(settings(fake, retries=1, deadline=deadline)) as client:
        assert client.ask([Chat("q")]) == [Reply(None, reason, lost=True)]
        figures = client.figures()
        words = {"HTTP 500": ": oops", "HTTP 429": ": slow down"}.get(reason, "")
        assert client.trouble == reason + words
        assert len(fake.seen) == 2 and figures["given_up"] == 1 and client.figures()["given_up"] == 0


def test_nobody_listens() -> None:
    with FakeServer(says("11")) as fake:
        cfg = settings(fake)
    with Server(cfg) as client:
        assert client.ask([Chat("q")]) == [Reply(None, "connection: ConnectError", lost=True)]


def test_retry_after_is_kept() -> None:
    soon = status(429, retry_after="1")
    with FakeServer(says("11"), [soon]) as fake, Server(settings(fake)) as client:
        assert client.ask([Chat("q")]) == [GOOD]
        assert fake.times[1] - fake.times[0] >= 1.0
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    for late in ("60", date, "9" * 400):
        with FakeServer(says("11"), [status(429, retry_after=late)]) as fake, Server(settings(fake)) as client:
            assert client.ask([Chat("q")]) == [Reply(None, "HTTP 429", lost=True)], late
            assert len(fake.seen) == 1
    with FakeServer(says("11"), [status(503, retry_after="soon")]) as fake, Server(settings(fake)) as client:
        assert client.ask([Chat("q")]) == [GOOD]


def test_an_answer_that_did_not_finish_is_none_and_not_asked_for_again() -> None:
    for reason in ("length", "content_filter", "tool_calls", None):
        with FakeServer(says("11", reason)) as fake, Server(settings(fake)) as client:
            assert client.ask([Chat("q")]) == [Reply(None, str(reason))]
            assert len(fake.seen) == 1 and client.figures()["unfinished"] == 1


def test_the_body_decides_not_its_content_type() -> None:
    with FakeServer(says("11", content_type="text/plain")) as fake, Server(settings(fake)) as client:
        assert client.ask([Chat("q")]) == [GOOD]


def test_requests_are_answered_in_order_within_the_limit() -> None:
    def slow(request) -> None:
        time.sleep(0.03)
        replies(lambda prompt: f"reply to {prompt}")(request)

    with FakeServer(slow) as fake, Server(settings(fake, concurrency=5, deadline=5.0)) as client:
        got = client.ask([Chat(str(n), n) for n in range(40)])
        assert [r.text for r in got] == [f"reply to {n}" for n in range(40)]
        assert fake.most == 5
        assert {s["seed"] for s in fake.seen} == set(range(40))
        assert fake.seen[0]["path"] == "/v1/chat/completions" and fake.seen[0]["authorization"] is None


def test_fields_of_the_request() -> None:
    with FakeServer(says("11")) as fake:
        cfg = settings(fake, temperature=0.5, max_tokens=7, body='{"seed": null, "top_k": 5, "temperature": 0.1}')
        with Server(cfg) as client:
            client.ask([Chat("q", 3)])
        sent = {k: v for k, v in fake.seen[0].items() if k not in ("path", "authorization")}
        want = {"model": "m", "messages": [{"role": "user", "content": "q"}], "top_p": 1.0}
        assert sent == want | {"max_tokens": 7, "temperature": 0.1, "top_k": 5}


@pytest.mark.parametrize("code", [301, 400, 401, 403, 404, 422])
def test_what_cannot_pass_ends_the_run_without_the_key(
    code: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The server echoes the key; it is in no message, no log, no cache, no configuration."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", KEY)
    said = json.dumps({"error": {"message": f"wrong key {KEY}: " + "blah " * 200}})
    script = [says(f"I was told {KEY}")]
    with FakeServer(status(code, said, location="http://127.0.0.1:1/"), script) as fake:
        cfg = settings(fake, key_env="MY_KEY", cache=str(tmp_path / "cache.jsonl"))
        with Server(cfg) as client:
            assert client.ask([Chat("p")]) == [Reply("I was told [key]", "stop")]
            with pytest.raises(UserError, match=f"answered HTTP {code}: wrong key \\[key\\]: blah") as error:
                client.ask([Chat(str(n)) for n in range(20)])
        assert fake.seen[0]["authorization"] == f"Bearer {KEY}"
    assert error.value.__cause__ is None and len(str(error.value)) < 400
    assert all(KEY not in text for text in (str(error.value), repr(cfg), caplog.text))
    assert KEY not in (tmp_path / "cache.jsonl").read_text() and KEY not in repr(vars(error.value))


def test_keys_are_sent_to_those_they_may_be_sent_to() -> None:
    def made(url: str, key: str | None = KEY) -> None:
        with Server(config.Server(url=url, model="m", key_env="MY_KEY"), {} if key is None else {"MY_KEY": key}):
            pass

    for url in ("https://example.org/v1", "http://127.0.0.1:1/v1", "http://localhost:1/v1", "http://[::1]:1/v1"):
        made(url)
    for url in ("http://example.org/v1", "http://10.0.0.1/v1", "http://127.0.0.1.example.org/v1"):
        with pytest.raises(UserError, match="over https only"):
            made(url)
    with pytest.raises(UserError, match="environment variable MY_KEY is not set"):
        made("https://example.org", None)
    with pytest.raises(UserError, match="white space") as error:
        made("https://example.org", f"{KEY}\n")
    assert KEY not in str(error.value)
    for bad, message in (
        (f"https://{KEY}@example.org", "holds a user or password"),
        ("ftp://example.org", "base of the API"),
        ("example.org/v1", "base of the API"),
        ("http://[1", "base of the API"),
    ):
        with pytest.raises(UserError, match=message) as error:
            config.Server(url=bad)
        assert KEY not in str(error.value)
    with pytest.raises(UserError, match="must be a JSON object"):
        config.Server(body="[1]")


def test_the_circuit_opens_probes_and_closes() -> None:
    with FakeServer(says("11"), [status(500)] * 4) as fake:
        cfg = settings(fake, retries=0, breaker_failures=3, breaker_seconds=1.5, concurrency=1)
        with Server(cfg) as client:
            reasons = [r.reason for r in client.ask([Chat("q")] * 6)]
            assert reasons == ["HTTP 500"] * 3 + ["circuit open"] * 3
            assert len(fake.seen) == 3 and client.figures()["circuit_open"] == 3
            time.sleep(1.6)
            assert [r.reason for r in client.ask([Chat("q")] * 2)] == ["HTTP 500", "circuit open"]  # the probe fails
            assert client.ask([Chat("q")])[0].reason == "circuit open"
            time.sleep(1.6)
            assert client.ask([Chat("q")] * 2) == [GOOD, GOOD]
            assert len(fake.seen) == 6


def test_a_server_that_says_429_is_alive() -> None:
    breaker = Breaker(2, 60)
    for ok in (False, True, False):
        breaker.note(ok)
    assert breaker.admit()
    breaker.note(False)
    assert not breaker.admit()
    with FakeServer(status(429)) as fake, Server(settings(fake, breaker_failures=2, retries=0)) as client:
        assert {r.reason for r in client.ask([Chat("q")] * 5)} == {"HTTP 429"}


def test_answers_are_kept_by_content(tmp_path: Path) -> None:
    count = iter(range(100))
    act = replies(lambda _: f"sample {next(count)}")
    with FakeServer(act, [status(500), says("half", "length")]) as fake:
        cfg = settings(fake, cache=str(tmp_path / "a" / "cache.jsonl"), retries=0, concurrency=1)
        with Server(cfg) as client:
            first = client.ask([Chat("q"), Chat("q"), Chat("q", 1), Chat("r")])
            assert [r.reason for r in first] == ["HTTP 500", "length", "stop", "stop"]  # what failed is asked again
            assert client.figures()["cached"] == 0
        with Server(cfg) as client:
            assert client.ask([Chat("q"), Chat("q", 1), Chat("r")]) == first[1:]
            assert client.figures()["cached"] == 3 and len(fake.seen) == 4
        for change in ({"model": "n"}, {"temperature": 0.3}, {"body": '{"top_k": 1}'}):
            with Server(settings(fake, retries=0, cache=cfg.cache, **change)) as client:
                before = len(fake.seen)
                client.ask([Chat("r")])
                assert len(fake.seen) == before + 1


def test_a_cache_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    with Cache(path) as cache, Cache(path) as other:
        cache.put("a", {"x": "ä"})
        other.put("b", [1])
        cache.put("a", "new")
        assert cache.get("a") == "new" and other.get("b") == [1] and cache.get("c") is None
    whole = path.read_bytes()
    for cut_at in range(len(whole) - 10, len(whole)):
        path.write_bytes(whole[:cut_at])
        with Cache(path) as cache:
            assert cache.get("b") == [1] and cache.get("a") in ("new", {"x": "ä"})
            cache.put("d", 4)
        with Cache(path) as cache:
            assert cache.get("d") == 4 and cache.get("b") == [1]
    path.write_text("not a cache\n")
    with pytest.raises(UserError, match="is not a cache; remove it"):
        Cache(path)
    with pytest.raises(UserError, match="cannot be opened"):
        Cache(tmp_path)
    assert content_key("a", {"x": 1, "y": 2}) == content_key("a", {"y": 2, "x": 1}) != content_key("a", {"x": 2})


def test_the_caller_goes_on_while_the_server_thinks() -> None:
    gate = threading.Event()

    def wait(request) -> None:
        gate.wait(5)
        says("11")(request)

    with FakeServer(wait) as fake, Server(settings(fake, deadline=5.0)) as client:
        pending = client.submit([Chat("q")])
        time.sleep(0.05)
        assert not pending.done()
        gate.set()
        assert pending.result(5) == [GOOD]


def test_leaving_ends_what_is_under_way() -> None:
    before = threading.active_count()
    with FakeServer(hang) as fake:
        begun = time.monotonic()
        with Server(settings(fake, deadline=60.0)) as client:
            pending = client.submit([Chat("q")] * 3)
            time.sleep(0.1)
        assert pending.cancelled() and time.monotonic() - begun < 20
    wait_until(lambda: threading.active_count() <= before)


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 3
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()
