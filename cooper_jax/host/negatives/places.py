"""Where the answer of a mathematical text stands: the final statement, and every place that gives it as a result.

A number that is an operand, a coefficient, the left of an equation or given by the question is no result, as far as the
words around it tell.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.negatives.numerals import Literal, literals, single, spelled
from cooper_jax.host.negatives.wrong_answer import BRACKETS, CHOICE, UNIT, Change


class Span(NamedTuple):
    """A place in a text, and what is to stand there."""

    start: int
    end: int
    text: str


def statement(text: str, answer: str) -> Span | None:
    """Where the final answer stands: in the last balanced box behind any `</think>`, behind the last `####` or "answer
    is", or where `answer` stands last; and its text."""
    begin = text.rfind("</think>") + 1
    boxes = [span for span in map(lambda m: _braced(text, m.end()), _BOX.finditer(text, begin)) if span]
    if boxes:
        return boxes[-1]
    if _BOX.search(text, begin):
        return None
    marked = list(_MARKED.finditer(text, begin))
    if marked:
        return _trimmed(text, marked[-1].start(1), marked[-1].end(1))
    places = [m for m in re.finditer(re.escape(answer), text) if answer and _apart(text, m.start(), m.end())]
    told = [m for m in places if _TOLD.search(_before(text, m.start()))]
    last = (told or places)[-1:]
    return Span(last[0].start(), last[0].end(), answer) if last else None


_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_MARKED = re.compile(r"####[ \t]*([^\n]*\S)")
_TOLD = re.compile(r"answer(?:\s+is)?\s*:?[\s*$(\\\[{]*$", re.IGNORECASE)


def _braced(text: str, start: int) -> Span | None:
    depth, escaped = 1, False
    for place in range(start, len(text)):
        letter = text[place]
        depth += 0 if escaped else (letter == "{") - (letter == "}")
        escaped = letter == "\\" and not escaped
        if depth == 0:
            return _trimmed(text, start, place)
    return None


def _trimmed(text: str, start: int, end: int) -> Span:
    inner = text[start:end]
    start += len(inner) - len(inner.lstrip())
    return Span(start, start + len(inner.strip()), inner.strip())


def _apart(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] is no part of a longer word or number."""
    return not re.search(r"[\w\\]$|\d[.,]$", text[max(0, start - 2) : start]) and not re.match(
        r"\w|[.,]\d", text[end : end + 2]
    )


def _before(text: str, place: int) -> str:
    """As much in front of a place as can tell what stands there."""
    return text[max(0, place - 80) : place]


_GAP = r"(?:\s|\\[,;:! ]|\\quad|&|\\\(|\\\[|\*\*|\\?\$|~|\\(?:text|mathbf|mathrm|textbf)\{|\\left)*"
_EQUALS = re.compile(rf"(?:(?<![<>!:])=|\\approx|\\equiv|\\implies|\\Rightarrow|\\to|→|⇒|≈)(?:{_GAP})$")
_SURE = re.compile(
    rf"(?:\\(?:boxed|fbox)\s*\{{|####|answer\s*(?:is|:|is:)|option|choice|=>|>>)(?:{_GAP})$", re.IGNORECASE
)
_WORDS = re.compile(
    r"\b(?:is|are|was|be|equals?|equal to|gets?|gives?|gave|obtain|yields?|have|has|had|result|total of|total|leaves?|"
    r"left with|with|makes?|find|found|so|thus|therefore|hence|then|exactly|only|just|earns?|pays?|costs?|spends?|"
    rf"needs?)[:,]?(?:{_GAP})$",
    re.IGNORECASE,
)
_OPERATOR_BEFORE = re.compile(
    rf"(?:[+*/^_\u00d7÷·\u2212(<>|]|(?<=[\w)}}\]\s$])-|\\(?:times|cdot|div|pm|frac|sqrt|left\(|l[et]q?|g[et]q?))(?:{_GAP})\{{?$"
)
_OPERATOR_AFTER = re.compile(
    rf"(?:{_GAP})(?:[+/^_\u00d7÷·\u2212<]|>(?!>)|\*(?!\*)|-\s*[\w(\\]|:\s*\d|\(\s*[\w\\]|\\(?:times|cdot|div|pm|frac|sqrt|pi|left))|"
    r"[A-Za-z]|-[A-Za-z]|\s[b-hj-zB-HJ-Z]\b|,\s*-?\d|\.\d|!\s*[\w/*+^\\-]|(?:st|nd|rd|th)\b"
)
_LEFT_SIDE = re.compile(rf"(?:{_GAP})=")
_ENUMERATOR = re.compile(r"(?:\b(?:step|case|part|equation|problem|example)\s*|(?:^|\n)[\s*#(]*)$", re.IGNORECASE)


def _is_result(text: str, start: int, end: int, given: bool, derived: bool) -> bool:
    """Whether what stands at [start, end) is a result there.

    `given`: the question has it too, so that words alone prove nothing; `derived`: the text has found it before.
    """
    before, after = _before(text, start), text[end : end + 40]
    if _SURE.search(before):
        return True
    if _OPERATOR_AFTER.match(after) or _OPERATOR_BEFORE.search(before) or not _apart(text, start, end):
        return False
    if _EQUALS.search(before):
        return True
    if _LEFT_SIDE.match(after) or given:
        return False
    if _WORDS.search(before):
        return True
    enumerator = _ENUMERATOR.search(before) and re.match(r"[.):]|\s*$", after)
    return derived and end - start > 1 and not enumerator and re.search(r"[A-Za-z][\s$*\\]*$", before) is not None


def restated(request: Request, stated: Span, change: Change) -> list[Span]:
    """All places of a faithful rewriting: the statement, and wherever the old answer, or its changed element, stands as
    a result."""
    text, question = request.completion, request.problem.question
    spans = [Span(stated.start, stated.end, change.text)]
    old, new = core(stated.text, change.text)
    if old is not None and new is not None:
        spans += _numbers(text, question, old, new.value)
    else:
        spans += _phrases(request, stated, stated.text, change.text)
        inner, new_inner = BRACKETS.fullmatch(stated.text), BRACKETS.fullmatch(change.text)
        if inner and new_inner and "{" in inner[2]:
            spans += _phrases(request, stated, inner[3].strip(), new_inner[3].strip())
        part, changed = single(change.old), single(change.new)
        if part and changed and _once(stated.text, part.value):
            spans += [
                s for s in _numbers(text, question, part, changed.value) if _EQUALS.search(_before(text, s.start))
            ]
    return _disjoint(spans)


def core(old: str, new: str) -> tuple[Literal | None, Literal | None]:
    """The one number of an answer that may have a unit or a name in front, before and after."""
    units = [m.span() for m in UNIT.finditer(old)]
    olds = [n for n in literals(old) if not any(a <= n.start < b for a, b in units)]
    bare = _DRESS.sub("", old)
    if len(olds) != 1 or re.search(r"[\\+*/^(,]|[^\W\d_]", _cut(bare, olds[0].value)):
        return None, None
    shift = len(new) - len(old)
    number = single(new[olds[0].start : olds[0].end + shift])
    return olds[0], number


_DRESS = re.compile(
    r"\\(?:text|mathrm|mbox)\s*\{[^{}]*\}(?:\^\{?-?\d\}?)?|\\[,;! ]|\\?[%$]|\^\s*\{?\\circ\}?|^\s*\w\s*="
)
"""What a number wears: units, a per cent or dollar sign, degrees, `x =`."""


def _cut(bare: str, value: Fraction) -> str:
    """`bare` without its number and the words behind it: 15 eggs, 3 square units."""
    number = next((n for n in literals(bare) if n.value == value), None)
    return bare if number is None else bare[: number.start] + re.sub(r"^\s+[A-Za-z][A-Za-z ]*$", "", bare[number.end :])


def _once(answer: str, value: Fraction) -> bool:
    return sum(n.value == value for n in literals(answer)) == 1


def _numbers(text: str, question: str, old: Literal, new: Fraction) -> list[Span]:
    given = any(n.value == old.value for n in literals(question))
    bare = re.sub(r"[\s$]", "", question)
    spans, derived = [], False
    same = [number for number in literals(text) if number.value == old.value]
    for i, number in enumerate(same):
        lead = re.search(r"[A-Za-z]\s*=[\s$]*$", _before(text, number.start))
        if lead and re.sub(r"[\s$]", "", lead[0] + text[number.start : number.end]) in bare:
            continue  # x = 5, as the question gives it
        again = same[i + 1 : i + 2]
        chained = again and re.fullmatch(rf"(?:{_GAP})=(?:{_GAP})", text[number.end : again[0].start][:80])
        if _is_result(text, number.start, again[0].end if chained else number.end, given, derived):
            spans.append(Span(number.start, number.end, spelled(new, text[number.start : number.end])))
            derived = True
    return spans


def _phrases(request: Request, stated: Span, old: str, new: str) -> list[Span]:
    """Where `old` stands as a result outside the statement, whatever its spaces; what differs in `new` is put, the
    rest stays as written."""
    text = request.completion
    choice, other = CHOICE.fullmatch(old), CHOICE.fullmatch(new)
    if choice and other:
        letter = re.compile(rf"(?<![A-Za-z]){choice[2]}(?![A-Za-z])")
        return [Span(*m.span(), other[2]) for m in letter.finditer(text) if _is_choice(text, *m.span())]
    pieces, others = _PIECE.findall(old), _PIECE.findall(new)
    if not 0 < len(pieces) <= 90:
        return []
    head = _alike(pieces, others)
    tail = _alike(pieces[head:][::-1], others[head:][::-1])
    middle = others[head : len(others) - tail]
    spread = [r"\\[dt]?frac" if p.endswith("frac") else re.escape(p) for p in pieces]
    spans, derived, given = [], False, old in request.problem.question or len(old) < 3
    for found in re.finditer(r"\s*".join(f"({p})" for p in spread), text):
        apart = found.end() <= stated.start or stated.end <= found.start()
        if apart and _is_result(text, *found.span(), given, derived):
            places = [found.span(i + 1) for i in range(head, len(pieces) - tail)]
            if len(places) == len(middle):
                spans += [Span(*place, piece) for place, piece in zip(places, middle, strict=True)]
            else:
                after = found.start(len(pieces) - tail + 1) if tail else found.end()
                first = places[0][0] if places else after
                spans.append(Span(first, places[-1][1] if places and middle else after, "".join(middle)))
            derived = True
    return spans


def _is_choice(text: str, start: int, end: int) -> bool:
    """Whether a letter names the chosen option: (B), option B, is B; but not: is A good one."""
    lead = _before(text, start).removesuffix("(")
    return bool(_SURE.search(lead) or (_WORDS.search(lead) and not re.match(r"\s+[a-z]", text[end : end + 3])))


def _alike(some: Sequence[str], others: Sequence[str]) -> int:
    """How many pieces both start with."""
    same = [a == b for a, b in zip(some, others, strict=False)]
    return same.index(False) if False in same else len(same)


_PIECE = re.compile(r"\\[a-zA-Z]+|\\.|\d+|[A-Za-z]+|\S")


def _disjoint(spans: list[Span]) -> list[Span]:
    """In order, each place once; the first named stays."""
    first, kept = spans[0], []
    for span in sorted(spans):
        apart = span is first or span.end <= first.start or first.end <= span.start
        if apart and (not kept or kept[-1].end <= span.start):
            kept.append(span)
    return kept


def replaced(text: str, spans: Sequence[Span]) -> str:
    """`text` with what each span has to say at its place; the spans must be disjoint."""
    for span in sorted(spans, reverse=True):
        text = text[: span.start] + span.text + text[span.end :]
    return text


def sentence(text: str, stated: Span) -> tuple[int, int]:
    """Start and end of the sentence that states the answer, or of its line; a display's delimiters included."""
    start, end = text.rfind("\n", 0, stated.start) + 1, text.find("\n", stated.end)
    end = len(text) if end < 0 else end
    ended = max(text.rfind(stop, start, stated.start) for stop in (". ", "! ", "? "))
    start = ended + 2 if ended >= 0 else start
    opening = re.search(r"(?:\\\[|\$\$|\\begin\{\w+\*?\})\s*$", text[:start])
    closing = re.match(r"\s*(?:\\\]|\$\$|\\end\{\w+\*?\})", text[end:])
    return (opening.start(), end + closing.end()) if opening and closing else (start, end)
