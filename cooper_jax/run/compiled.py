"""Programs are compiled together, before the first step; and none twice: of a step of other shapes than the first the
run warns, and names them."""

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

import jax
import jax.monitoring
from rich.progress import track

Programs = Mapping[str, tuple[Any, tuple[Any, ...]]]
"""Jitted functions with the arguments that they will have: arrays, or their shapes, types and shardings."""

_COMPILED = "/jax/core/compile/backend_compile_duration"
"""JAX's event of a compilation; one that the persistent cache spares counts too."""
_EXPLAINED = "TRACING CACHE MISS"


def ahead(programs: Programs) -> None:
    """Compile all of `programs` at the same time, where one after the other would have to wait for its first call. JAX
    keeps them: such a call then finds its own."""
    if not programs:
        return
    with ThreadPoolExecutor(len(programs)) as pool:
        # Traced in turns, under Python's lock; each is compiled while the next is traced.
        compiling = [pool.submit(fn.lower(*args).compile) for fn, args in programs.values()]
        shown = jax.process_index() == 0
        for each in track(as_completed(compiling), "compiling", len(compiling), disable=not shown):
            each.result()


STRICT = False
"""Whether that is an error, as in tests; else a run warns, and goes on."""


class Recompiled(RuntimeError):
    """A function was compiled anew after the first step."""


class Once:
    """`with once("step", 7):` lets its body compile at the first "step"; of what is compiled in a later one it warns
    or, where `STRICT`, raises Recompiled.

    Either names the functions and, from `jax.explain_cache_misses`, the arguments that have changed. Where the body
    fails for that reason, its own error says so in a note.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()

    @contextmanager
    def __call__(self, what: str, number: int) -> Iterator[None]:
        if what not in self._seen:
            self._seen.add(what)
            yield
            return
        with _compilations() as functions, _explanations() as reasons:
            try:
                yield
            except Exception as error:
                if functions:
                    error.add_note(_said(what, number, functions, reasons))
                raise
        if functions and STRICT:
            raise Recompiled(_said(what, number, functions, reasons))
        if functions:
            print(f"warning: {_said(what, number, functions, reasons)}", flush=True)


def _said(what: str, number: int, functions: list[str], reasons: list[str]) -> str:
    own = [text for text in reasons if any(f"for {name[4:-1]} defined" in text for name in functions)]  # jit(name)
    why = "\n".join(own or reasons) or "Shapes and types are those of before: shardings or layouts have changed."
    return f"{what} {number} compiled {', '.join(functions)} anew.\n{why}"


@contextmanager
def _compilations() -> Iterator[list[str]]:
    """Names of the functions that are compiled meanwhile."""
    names: list[str] = []

    def note(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == _COMPILED:
            names.append(str(kwargs.get("fun_name", "a function")))

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


@contextmanager
def _explanations() -> Iterator[list[str]]:
    """What JAX logs of the reasons meanwhile, instead of printing it."""
    handler, logger = _Explanations(), logging.getLogger("jax")
    logger.addHandler(handler)
    try:
        with jax.explain_cache_misses(True):
            yield handler.texts
    finally:
        logger.removeHandler(handler)


class _Explanations(logging.Handler):
    """Keeps explanations; anything else goes where it would have gone without this handler."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith(_EXPLAINED):
            self.texts.append(text)
        elif logging.getLogger("jax").handlers == [self] and not logging.root.handlers and logging.lastResort:
            logging.lastResort.handle(record)
