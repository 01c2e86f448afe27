"""A client of OpenAI-compatible servers: many questions at once, none waited for longer than agreed.

What can pass (429, 408, 409, 5xx, a broken connection, no answer in time, an answer that is no JSON) is tried again;
what cannot (any other status: a wrong key, an unknown model) ends the run with the server's own words. The key is read
from the environment and is in no configuration, message, log or cache.
"""

import asyncio
import email.utils
import ipaddress
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import httpx

from cooper_jax import config
from cooper_jax.config import UserError, path, require, visible
from cooper_jax.host.cache import Cache, content_key

MAX_BODY = 8 << 20
"""Bytes of an answer; a longer one is refused."""
_PASSING = (408, 409, 429)


class Chat(NamedTuple):
    """One question. `seed` goes to the server, and tells apart samples of one prompt."""

    prompt: str
    seed: int = 0


class Reply(NamedTuple):
    """The text of an answer that finished by itself; None where none came, and why."""

    text: str | None
    reason: str
    lost: bool = False
    """No answer came at all (an unfinished or filtered one is an answer): asking again may help."""


class Breaker:
    """Opens after `limit` failures in a row; then admits one call every `seconds` until one succeeds."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit, self._seconds = limit, seconds
        self._failures, self._opened = 0, 0.0

    def admit(self) -> bool:
        """Whether a call may be made now. While open, the one admitted is the probe."""
        now = time.monotonic()
        if self._failures < self._limit:
            return True
        if now < self._opened + self._seconds:
            return False
        self._opened = now
        return True

    def note(self, ok: bool) -> None:
        """How a call went."""
        self._failures = 0 if ok else self._failures + 1
        self._opened = time.monotonic()


class _Failed(Exception):
    """An attempt that may be repeated, not before `wait` seconds if the server said so; `said` are its words."""

    def __init__(self, reason: str, wait: float = 0.0, alive: bool = False, said: str = "") -> None:
        super().__init__(reason)
        self.reason, self.wait, self.alive, self.said = reason, wait, alive, said


class Server:
    """A context manager that owns an event loop in a thread of its own; `submit` may be called from any thread."""

    def __init__(self, cfg: config.Server, environ: Mapping[str, str] = os.environ) -> None:
        self._cfg = cfg
        self._key = _key(cfg, environ)
        self._cache = Cache(path(cfg.cache).expanduser()) if cfg.cache else None
        self._breaker = Breaker(cfg.breaker_failures, cfg.breaker_seconds)
        self._counts: Counter[str] = Counter()
        self.trouble = ""
        """Why the last attempt or answer that was lost was so, in a line; empty: none was."""
        self._resume = 0.0
        # The deadline is ours, for the whole answer: the library's own timeouts begin anew with every byte.
        self._client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=None,
            limits=httpx.Limits(max_connections=cfg.concurrency),
            trust_env=not _loopback(cfg.url),
        )
        self._slots = asyncio.Semaphore(cfg.concurrency)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server", daemon=True)
        self._thread.start()

    def submit(self, chats: Sequence[Chat]) -> "Future[list[Reply]]":
        """Start asking; returns at once. The future raises UserError where the server refuses for good."""
        return self._start(self._all(chats))

    def ask(self, chats: Sequence[Chat]) -> list[Reply]:
        """Ask and wait; the answers are in the order of the questions."""
        return self.submit(chats).result()

    def figures(self) -> dict[str, float]:
        """Counts since the last call: requests sent, retries, calls answered from the cache, refused by the open
        circuit breaker, given up after the last try, answered but unfinished."""
        names = ("requests", "retries", "cached", "circuit_open", "given_up", "unfinished")
        counts, self._counts = self._counts, Counter()
        return {name: float(counts[name]) for name in names}

    def _start(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _all(self, chats: Sequence[Chat]) -> list[Reply]:
        tasks = [asyncio.create_task(self._one(chat)) for chat in chats]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _one(self, chat: Chat) -> Reply:
        cfg = self._cfg
        body = {
            "model": cfg.model,
            "messages": [{"role": "user", "content": chat.prompt}],
            "temperature": cfg.temperature,
            "top_p": cfg.top_p,
            "max_tokens": cfg.max_tokens,
            "seed": chat.seed,
        } | json.loads(cfg.body)
        key = content_key(cfg.url, body, chat.seed)
        if self._cache and (kept := self._cache.get(key)):
            self._counts["cached"] += 1
            return Reply(*kept)
        sent = {name: value for name, value in body.items() if value is not None}
        # A call that waits to be repeated keeps its slot: a server that is short of breath sees fewer of them.
        async with self._slots:
            reply = await self._attempts(sent)
        if self._cache and not reply.lost:
            self._cache.put(key, reply[:2])
        return reply

    async def _attempts(self, body: dict[str, Any]) -> Reply:
        cfg = self._cfg
        for attempt in range(cfg.retries + 1):
            await asyncio.sleep(self._resume - time.monotonic())
            if not self._breaker.admit():
                self._counts["circuit_open"] += 1
                return Reply(None, "circuit open", lost=True)
            self._counts["retries" if attempt else "requests"] += 1
            try:
                reply = await self._attempt(body)
            except _Failed as failed:
                self._breaker.note(failed.alive)
                self.trouble = visible(f"{failed.reason}: {failed.said}" if failed.said else failed.reason)
                reply = Reply(None, failed.reason, lost=True)
                if failed.wait > cfg.longest_wait or attempt == cfg.retries:
                    break
                # Full jitter: callers that failed together do not come back together.
                self._resume = max(self._resume, time.monotonic() + failed.wait)
                await asyncio.sleep(random.uniform(0, min(cfg.longest_wait, cfg.backoff * 2**attempt)))
            else:
                self._breaker.note(True)
                if reply.text is None:
                    self._counts["unfinished"] += 1
                    self.trouble = visible(f"an answer did not finish (finish_reason {reply.reason:.80})")
                return reply
        self._counts["given_up"] += 1
        return reply

    async def _attempt(self, body: dict[str, Any]) -> Reply:
        try:
            async with asyncio.timeout(self._cfg.deadline):
                response, content = await self._post(body)
        except TimeoutError:
            raise _Failed("deadline") from None
        except httpx.RequestError as error:
            raise _Failed(f"connection: {type(error).__name__}") from None
        status = response.status_code
        if status in _PASSING or status >= 500:
            wait, alive = _retry_after(response.headers), status in _PASSING
            raise _Failed(f"HTTP {status}", wait, alive, self._said(content))
        if status != 200:
            raise UserError(f"{self._cfg.url} answered HTTP {status}: {self._said(content)}")
        return self._read(content)

    async def _post(self, body: dict[str, Any]) -> tuple[httpx.Response, bytes]:
        content = bytearray()
        url = f"{self._cfg.url.rstrip('/')}/chat/completions"
        async with self._client.stream("POST", url, json=body) as response:
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > MAX_BODY:
                    raise _Failed("answer too long")
        return response, bytes(content)

    def _read(self, content: bytes) -> Reply:
        """The body decides, whatever its content type says."""
        try:
            choice = json.loads(content)["choices"][0]
            text, reason = choice["message"]["content"], choice["finish_reason"]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise _Failed("malformed answer") from None
        if reason != "stop":
            return Reply(None, str(reason))
        if not isinstance(text, str):
            raise _Failed("malformed answer")
        # JSON can hold half a surrogate pair, which no tokenizer or file can.
        return Reply(self._redact(text.encode(errors="replace").decode()), "stop")

    def _said(self, content: bytes) -> str:
        """The server's message, in 300 characters without the key."""
        text = content.decode(errors="replace")
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = text
        for name in ("error", "message"):
            said = said.get(name, said) if isinstance(said, dict) else said
        text = said if isinstance(said, str) else json.dumps(said)
        return " ".join(self._redact(text).split())[:300]

    def _redact(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._start(self._end()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._cache:
            self._cache.close()


def _key(cfg: config.Server, environ: Mapping[str, str]) -> str:
    """The key, from the variable that the configuration names. Raises UserError; never with the key in it."""
    if not cfg.key_env:
        return ""
    key = environ.get(cfg.key_env, "")
    require(key != "", f"server.key_env: the environment variable {cfg.key_env} is not set; export it, or name another")
    require(
        key.isascii() and key.isprintable() and " " not in key,
        f"server.key_env: the value of {cfg.key_env} holds white space or other characters that no key has; "
        "export it anew",
    )
    require(
        cfg.url.startswith("https://") or _loopback(cfg.url),
        f"server.url = {cfg.url!r}: a key is sent over https only, or to this machine; use https, or no key_env",
    )
    return key


def _loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _retry_after(headers: httpx.Headers) -> float:
    """Seconds until the time that Retry-After names, in seconds or as a date; 0 without one that can be read."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
