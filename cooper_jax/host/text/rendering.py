"""Chat templates are programs of whoever made the model: they are run in a process of their own, with bounded time and
memory, in the sandbox and the dialect of transformers.

`python -m cooper_jax.host.text.rendering` is that process: a template and its variables, then a batch of chats a line
in; a list of texts, or an error, a line out; all JSON.
"""

import json
import resource
import signal
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

SECONDS = 5.0
"""Of computing for one chat."""
MEMORY = 1 << 30
"""Bytes of address space."""
LONGEST = 1 << 22
"""Characters of one text."""


class Refused(NamedTuple):
    """A chat that got no text: its place in the batch, and why."""

    place: int
    reason: str


class Renderer:
    """Renders chats by `template`; the process is started when first needed."""

    def __init__(self, template: str, variables: Mapping[str, Any]) -> None:
        self._setup = {"template": template, "variables": dict(variables), "seconds": SECONDS}
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, chats: Sequence[Sequence[Mapping[str, str]]]) -> list[str] | Refused:
        """A text of each chat, ready to be continued; or the first that got none."""
        try:
            said = self._ask(chats)
        except (BrokenPipeError, EOFError):
            self._process = None
            return Refused(0, f"it takes more than {SECONDS:g} s of computing, or of memory {MEMORY >> 20} MiB")
        return said if isinstance(said, list) else Refused(**said)

    def _ask(self, chats: Sequence[Sequence[Mapping[str, str]]]) -> Any:
        if self._process is None:
            command = [sys.executable, "-P", "-m", __name__]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
            weakref.finalize(self, _stop, self._process)
            self._send(self._setup)
        self._send(chats)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return json.loads(line)

    def _send(self, value: Any) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(value, default=str).encode() + b"\n")
        self._process.stdin.flush()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:  # what was not read before it ended
                continue


def main() -> None:
    """Render until the input closes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    setup = json.loads(sys.stdin.buffer.readline())
    environment = _environment()
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    template = None
    for line in sys.stdin.buffer:
        texts: list[str] = []
        try:
            for messages in json.loads(line):
                # The kernel ends the process when this runs out.
                signal.setitimer(signal.ITIMER_PROF, setup["seconds"])
                template = template or environment.from_string(setup["template"])
                texts.append(_text(template, messages, setup["variables"]))
            signal.setitimer(signal.ITIMER_PROF, 0)
            reply = json.dumps(texts)
        except Exception as error:  # Whatever the template provokes costs its own chat.
            signal.setitimer(signal.ITIMER_PROF, 0)
            reply = json.dumps({"place": len(texts), "reason": f"{error}" or type(error).__name__})
        sys.stdout.buffer.write(reply.encode() + b"\n")
        sys.stdout.buffer.flush()


def _text(template: Any, messages: Any, variables: Mapping[str, Any]) -> str:
    given = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": True, **variables}
    parts, size = [], 0
    for part in template.generate(**given):
        parts.append(part)
        size += len(part)
        if size > LONGEST:
            raise ValueError(f"its text is longer than {LONGEST:,} characters")
    return "".join(parts)


def _environment() -> Any:
    """What transformers gives to templates."""
    from datetime import datetime

    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks what an assistant said, which is left as it is."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            number = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=number)

    def tojson(x: Any, ensure_ascii: bool = False, **options: Any) -> str:
        return json.dumps(x, ensure_ascii=ensure_ascii, **options)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    extensions = [Generation, "jinja2.ext.loopcontrols"]
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return made


if __name__ == "__main__":
    main()
