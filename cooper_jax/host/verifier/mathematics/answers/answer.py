"""How the text of an answer is read: all the ways, from separators down to single things."""

import re
from collections.abc import Sequence
from dataclasses import replace

from cooper_jax.host.verifier.mathematics.algebra.sums import TooBig, Unreadable, fresh
from cooper_jax.host.verifier.mathematics.answers.brackets import bracketed, builds, pair
from cooper_jax.host.verifier.mathematics.answers.environments import environment
from cooper_jax.host.verifier.mathematics.answers.equations import spelled
from cooper_jax.host.verifier.mathematics.answers.kinds import (
    Answer,
    Based,
    Colon,
    Group,
    Infinite,
    Named,
    Reading,
    Region,
    Table,
    Value,
    Words,
)
from cooper_jax.host.verifier.mathematics.answers.lists import alternatives, listed
from cooper_jax.host.verifier.mathematics.answers.names import labelled, said
from cooper_jax.host.verifier.mathematics.answers.parts import conjunction, matching, split, statements, stripped
from cooper_jax.host.verifier.mathematics.answers.phrases import phrase
from cooper_jax.host.verifier.mathematics.answers.quantities import noted, quantity
from cooper_jax.host.verifier.mathematics.answers.regions import region
from cooper_jax.host.verifier.mathematics.answers.relations import relation
from cooper_jax.host.verifier.mathematics.answers.sets import set_operation
from cooper_jax.host.verifier.mathematics.answers.vectors import combination, determinants
from cooper_jax.host.verifier.mathematics.reading.commas import variants
from cooper_jax.host.verifier.mathematics.reading.dress import undressed
from cooper_jax.host.verifier.mathematics.reading.numerals import based
from cooper_jax.host.verifier.mathematics.reading.tokens import Token, tokens


def read(text: str) -> tuple[Reading, ...]:
    """All ways to read `text`, the likeliest first. Raises Unreadable with the reason where there is none."""
    fresh()
    found: list[Reading] = []
    reason = Unreadable("empty")
    for variant, likely in variants(undressed(text)):
        try:
            found.append(Reading(_read(variant), likely))
        except Unreadable as error:
            reason = error
        except RecursionError:
            reason = TooBig("nested too deeply")
    if not found:
        raise reason
    return tuple(found)


_NUMERAL = re.compile(
    r"([-+]?)\s*\(?\s*(?:\\text\{)?(\d[0-9A-Fa-f]{0,199}(?:\.[0-9A-Fa-f]{1,60})?)\}?\s*\)?\s*_\s*\{?\s*(?:\\text\{)?"
    r"(\d{1,2})\}{0,2}"
)
_REMAINDER = re.compile(r"(-?\d{1,50})\s*(?:\\\w+\s*\{\s*)?(?:[Rr](?:em(?:ainder)?\.?)?)(?:\s*\})?\s*(\d{1,50})")
_HALF = re.compile(r"(\d)\s+\(([ap]\.?m\.?)\)$", re.IGNORECASE)
"""4:30 (p.m.)"""
_DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/-]\d{1,2}[/-]\d{4}")


def _read(text: str) -> Answer:
    if _DAY.fullmatch(text):
        return Words(text)
    if numeral := _NUMERAL.fullmatch(text):
        return Based(*based(numeral[1] + numeral[2], numeral[3]))
    if division := _REMAINDER.fullmatch(text):
        return Words(f"{division[1]} R {division[2]}".replace("-", "minus "))
    if note := noted(text):
        value = _read(note[0])
        if isinstance(value, Value):
            return replace(value, unit=note[1])
    return _statement(tokens(_HALF.sub(r"\1 \2", text)))


def _statement(toks: Sequence[Token]) -> Answer:
    toks = stripped(toks)
    if words := phrase(toks):
        return words
    if any(t.text in ("lor", "land") for t in toks):
        if not any(t.kind == "rel" for t in toks):
            raise Unreadable("a formula of logic")
        toks = [t._replace(text={"lor": "or", "land": "and"}[t.text]) if t.text in ("lor", "land") else t for t in toks]
    if label := labelled(toks):
        return Named(said(toks[0].text), _statement(toks[label:]), False)
    if (twice := _restated(toks)) is not None:
        return twice
    if builds(toks):
        return bracketed([Token("open", "\\{"), *toks, Token("close", "\\}")], _statement)
    if len(parts := statements(toks)) > 1:
        return listed([_statement(p) for p in parts])
    if len(parts := split(toks, "sep", "or")) > 1:
        return alternatives([_statement(p) for p in parts])
    if len(parts := conjunction(toks)) > 1:
        return listed([_statement(p) for p in parts], together=True)
    if len(parts := split(toks, "sep", ";")) > 1:
        return listed([_statement(p) for p in parts])
    if len(parts := split(toks, "sep", ",", "and")) > 1:
        return listed([_statement(p) for p in parts])
    return relation(toks, _statement, _colon)


def _restated(toks: Sequence[Token]) -> Answer | None:
    """An inequality with the same region as an interval behind a colon, as in `x < 1: (-oo, 1)`; None elsewhere."""
    parts = split(toks, "rel", ":")
    if len(parts) != 2 or parts[1][0].kind != "open" or not any(t.text in _ORDERS for t in parts[0]):
        return None
    first, again = _statement(parts[0]), region(_statement(parts[1]))
    if not isinstance(first, Region) or again is None or again.intervals != first.intervals:
        raise Unreadable("an inequality and another region")
    return first


_ORDERS = ("<", "<=", ">", ">=")


def _union_over(toks: Sequence[Token]) -> Answer:
    """A union over an index: its bounds as they stand, and the set that it is of."""
    end = next((i for i, t in enumerate(toks) if t.text in ("(", "[", "\\{")), 0)
    if not end or {t.text for t in toks[1:3]} != {"_", "{"}:
        raise Unreadable("a union without bounds")
    return Named(spelled(toks[:end]), _thing(toks[end:]), False, True)


def _colon(toks: Sequence[Token]) -> Answer:
    parts = split(toks, "rel", ":")
    if len(parts) > 1:
        if len(parts) > 4:
            raise Unreadable("a ratio of many terms")
        return Colon(tuple(_thing(p) for p in parts))
    return _thing(toks)


def _thing(toks: Sequence[Token]) -> Answer:
    toks = stripped(toks)
    if toks[0].text == r"\bigcup":
        return _union_over(toks)
    joined = set_operation(toks, _thing)
    if joined is not None:
        return joined
    first = toks[0]
    if first.kind == "close" and first.text == "]" and toks[-1].text in ("[", "]"):
        return pair(toks, {"]": "("}[first.text], {"[": ")", "]": "]"}[toks[-1].text], _thing)
    if first.text == "[" and toks[-1].text == "[" and len(toks) > 3:
        return pair(toks, "[", ")", _thing)
    if first.kind == "open" and first.text in ("(", "[", "\\{") and matching(toks, 0) == len(toks) - 1:
        return bracketed(toks, _statement)
    if toks[-1].kind == "based" and (len(toks) == 1 or (len(toks) == 2 and first.text in ("-", "+"))):
        digits, _, base = toks[-1].text.partition("_")
        return Based(*based((first.text if len(toks) == 2 else "") + digits, base))
    if first.kind == "empty" and len(toks) == 1:
        return Group("{", ())
    if first.kind == "domain" and len(toks) == 1:
        return Words(f"the set {first.text}")
    start = next((i for i, t in enumerate(toks) if t.kind == "begin"), -1)
    if start == 0 and (several := environment(toks, _statement)):
        return several
    if start >= 0:
        return quantity(toks) if determinants(toks) else Table(combination(toks))
    if any(t.kind == "infty" for t in toks) and not any(t.kind == "big" for t in toks):
        if len(toks) > 2 or (len(toks) == 2 and toks[0].text not in ("+", "-")) or toks[-1].kind != "infty":
            raise Unreadable("arithmetic with infinity")
        if toks[0].kind == "pm":
            return Group(",", (Infinite(1), Infinite(-1)))
        return Infinite(-1 if toks[0].text == "-" else 1)
    if words := phrase(toks):
        return words
    return quantity(toks)
