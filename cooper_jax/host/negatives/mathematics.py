"""Rewriting of mathematical text by rule: a right solution, in LaTeX or prose, into one that ends in a wrong answer.

Faithful kinds leave nothing in the text that contradicts the wrong answer. `answer` puts it wherever the right one
stands as a result, in each spelling; `steps` spoils an earlier result and carries the error through the text's own
arithmetic. A number that is an operand, a coefficient, the left of an equation or given by the question is left alone,
as far as the words around it tell.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from cooper_jax.config import Rewriting
from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.negatives.numerals import Literal, literals, numbers, single, spelled, wrong
from cooper_jax.host.negatives.workings import spoiled


class MathAssistant:
    """Each request draws one of `kinds`; the reply is None where the text states no answer, or none that a rule can
    make wrong."""

    lockstep = False

    def __init__(self, kinds: Sequence[Rewriting]) -> None:
        self._kinds = list(kinds)

    def rewrite(self, requests: Sequence[Request], rng: np.random.Generator) -> list[str | None]:
        """A wrong version of each completion, in its form: outer white space and the way to state an answer stand."""
        return [self._one(request, rng) for request in requests]

    def figures(self) -> dict[str, float]:
        """None."""
        return {}

    def _one(self, request: Request, rng: np.random.Generator) -> str | None:
        kind = self._kinds[rng.integers(len(self._kinds))]
        stated = statement(request.completion, request.answer)
        if stated is None:
            return None
        text = _REWRITINGS[kind](request, stated, rng)
        return None if text is None or text.strip() == request.completion.strip() else text


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


# What a wrong answer is ------------------------------------------------------------------------------------------


class Change(NamedTuple):
    """A wrong answer, and the element of it that changed, if one alone did."""

    text: str
    old: str = ""
    new: str = ""


_CYCLES = (
    "yes no", "true false", "even odd", "prime composite", "increasing decreasing", "rational irrational",
    "convergent divergent", "converges diverges", "male female", "left right", "acute obtuse", "positive negative",
    "monday tuesday wednesday thursday friday saturday sunday", "north east south west", "red blue green yellow",
    "january february march april may june july august september october november december",
    "one two three four five six seven eight nine ten",
)  # fmt: skip
_CHOICE = re.compile(r"((?:\\(?:text|textbf|mathrm|mathbf)\{\s*)?\(?)([A-J])(\)?\.?\s*\}?)")
_WORD = re.compile(r"(\\(?:text|textbf|mathrm|mathbf)\{\s*)?([A-Za-z]+)(\s*\})?")
_OPEN, _CLOSE = r"(\\left)?(\(|\[|\\\{|\\lbrace)", r"(\\right)?(\)|\]|\\\}|\\rbrace)"
_BRACKETS = re.compile(rf"\s*{_OPEN}(.*?){_CLOSE}\s*", re.DOTALL)
_UNIT = re.compile(r"\\(?:text|mathrm|mbox|textbf)\s*\{[^{}]*\}(?:\^\{?-?\d\}?)?|\^\s*\{?\s*-?\d+\s*\}?|_\s*\{?\w+\}?")


def wrong_answer(answer: str, rng: np.random.Generator) -> Change | None:
    """Another answer in the form of `answer`, as a slip gives it; None where no rule applies."""
    for rule in (_other_choice, _other_word, _other_elements, _other_number):
        for _ in range(5):
            change = rule(answer, rng)
            if change is None:
                break
            if re.sub(r"\s", "", change.text) != re.sub(r"\s", "", answer):
                return change
    return None


def _other_choice(answer: str, rng: np.random.Generator) -> Change | None:
    found = _CHOICE.fullmatch(answer)
    if not found:
        return None
    letters = "ABCDE" if found[2] <= "E" else "ABCDEFGHIJ"
    return Change(f"{found[1]}{rng.choice([x for x in letters if x != found[2]])}{found[3]}")


def _other_word(answer: str, rng: np.random.Generator) -> Change | None:
    found = _WORD.fullmatch(answer)
    cycle = next((c.split() for c in _CYCLES if found and found[2].lower() in c.split()), None)
    if not found or not cycle:
        return None
    word = str(rng.choice([w for w in cycle if w != found[2].lower()]))
    word = word.upper() if found[2].isupper() else word.capitalize() if found[2][0].isupper() else word
    return Change(f"{found[1] or ''}{word}{found[3] or ''}")


def _elements(inner: str) -> list[str]:
    """Parts between commas outside all brackets; a comma inside a number is none of them."""
    parts, depth, last = [], 0, 0
    grouped = {m.start() for m in re.finditer(r"(?<=\d),(?=\d{3}(?!\d))", inner)}
    for place, letter in enumerate(inner):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0 and place not in grouped and inner[place - 1 : place] != "\\":
            parts.append(inner[last:place])
            last = place + 1
    return [*parts, inner[last:]]


def _balanced(inner: str) -> bool:
    depths = np.cumsum([(c in "([{") - (c in ")]}") for c in inner] or [0])
    return bool(depths.min() >= 0)


def _other_elements(answer: str, rng: np.random.Generator) -> Change | None:
    """Of tuples, lists, sets and intervals: one element changed, two exchanged, one left out, another bracket."""
    unions = re.split(r"(\\cup)", answer)
    if len(unions) > 1:
        i = 2 * int(rng.integers(len(unions) // 2 + 1))
        change = _other_elements(unions[i], rng)
        return change and Change("".join([*unions[:i], change.text, *unions[i + 1 :]]))
    found = _BRACKETS.fullmatch(answer)
    found = found if found and _balanced(found[3]) else None
    inner, start = (found[3], found.start(3)) if found else (answer, 0)
    parts = _elements(inner)
    if len(parts) < 2:
        return None
    opened, closed = (found[2][-1], found[5][-1]) if found else ("{", "}")
    kinds = ["change"] * 3
    kinds += ["exchange"] if opened == "(" and closed == ")" and parts[0].strip() != parts[1].strip() else []
    kinds += ["drop"] if found is None or opened in "{e" or len(parts) > 2 else []
    kinds += ["bracket"] if found and len(parts) == 2 and opened in "([" and opened + closed != "()" else []
    kinds += ["bracket"] if found and "infty" in inner else []
    kind = rng.choice(kinds)
    if kind == "bracket" and found:
        return _other_bracket(answer, found, parts, rng)
    if kind == "drop":
        parts.pop(int(rng.integers(len(parts))))
    elif kind == "exchange":
        i, j = rng.choice(len(parts), 2, replace=False)
        parts[i], parts[j] = _like_space(parts[j], parts[i]), _like_space(parts[i], parts[j])
    else:
        i = int(rng.integers(len(parts)))
        change = _other_number(parts[i].strip(), rng)
        if change is None:
            return Change(answer)
        if opened in "{e" and change.text in [p.strip() for p in parts]:
            return Change(answer)  # a set names nothing twice
        old, parts[i] = parts[i].strip(), _like_space(change.text, parts[i])
        text = ",".join(parts)
        return Change(answer[:start] + text + answer[start + len(inner) :], old, change.text)
    return Change(answer[:start] + ",".join(parts).strip() + answer[start + len(inner) :])


def _like_space(text: str, like: str) -> str:
    lead = like[: len(like) - len(like.lstrip())]
    return lead + text.strip() + like[len(like.rstrip()) :]


def _other_bracket(answer: str, found: re.Match[str], parts: list[str], rng: np.random.Generator) -> Change:
    sides = [(found.end(2) - 1, parts[0]), (found.start(5), parts[1])]
    place, _ = sides[int(rng.choice([i for i, (_, end) in enumerate(sides) if "infty" not in end] or [0]))]
    swap = {"(": "[", "[": "(", ")": "]", "]": ")"}
    return Change(answer[:place] + swap.get(answer[place], answer[place]) + answer[place + 1 :])


def _other_number(answer: str, rng: np.random.Generator) -> Change | None:
    """One number of an expression changed, or one of its signs; a bare symbol gets a coefficient."""
    kept = [m.span() for m in _UNIT.finditer(answer)]
    found = list(literals(answer)) or list(numbers(answer))
    free = [n for n in found if not any(a <= n.start < b for a, b in kept)]
    signs = list(re.finditer(r"(?<=[\w)}\]])\s*([+-])\s*(?=[\w(\\])", answer))
    if signs and rng.random() < 0.2:
        place = signs[int(rng.integers(len(signs)))].start(1)
        return Change(answer[:place] + ("-" if answer[place] == "+" else "+") + answer[place + 1 :])
    if not found:
        bare = re.fullmatch(r"-?(\\?[a-zA-Z]+|[a-zA-Z]|\\sqrt\{\w+\})", answer)
        symbol = bare and (bare[1].startswith("\\") or len(bare[1]) == 1) and "infty" not in answer
        return Change(re.sub(r"^-?", lambda m: f"{m[0]}{rng.integers(2, 5)}", answer, count=1)) if symbol else None
    number = (free or found)[int(rng.integers(len(free or found)))]
    like = answer[number.start : number.end]
    new = spelled(wrong(number.value, like, rng), like)
    if new in ("0", "1", "-1") and re.match(r"\s*(?:[a-zA-Z(]|\\(?:pi|sqrt|frac|l))", answer[number.end :]):
        return Change(answer)  # nobody writes 1x
    return Change(answer[: number.start] + new + answer[number.end :])


# Where the right answer stands -----------------------------------------------------------------------------------

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
    old, new = _core(stated.text, change.text)
    if old is not None and new is not None:
        spans += _numbers(text, question, old, new.value)
    else:
        spans += _phrases(request, stated, stated.text, change.text)
        inner, new_inner = _BRACKETS.fullmatch(stated.text), _BRACKETS.fullmatch(change.text)
        if inner and new_inner and "{" in inner[2]:
            spans += _phrases(request, stated, inner[3].strip(), new_inner[3].strip())
        part, changed = single(change.old), single(change.new)
        if part and changed and _once(stated.text, part.value):
            spans += [
                s for s in _numbers(text, question, part, changed.value) if _EQUALS.search(_before(text, s.start))
            ]
    return _disjoint(spans)


def _core(old: str, new: str) -> tuple[Literal | None, Literal | None]:
    """The one number of an answer that may have a unit or a name in front, before and after."""
    units = [m.span() for m in _UNIT.finditer(old)]
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
    choice, other = _CHOICE.fullmatch(old), _CHOICE.fullmatch(new)
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


def _put(text: str, spans: Sequence[Span]) -> str:
    for span in sorted(spans, reverse=True):
        text = text[: span.start] + span.text + text[span.end :]
    return text


# The kinds -------------------------------------------------------------------------------------------------------


def _answer(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """Faithful: the wrong answer stands everywhere the right one stood."""
    change = wrong_answer(stated.text, rng)
    return _put(request.completion, restated(request, stated, change)) if change else None


def _steps(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """Faithful: an earlier result is wrong and the error carried to the end. Without one to spoil, `_answer`."""
    text = spoiled(request.completion, request.problem.question, stated.start, stated.end, rng)
    return text or _answer(request, stated, rng)


def _final(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """Only the last stated answer changes; a worked text is then at odds with itself."""
    change = wrong_answer(stated.text, rng)
    return _put(request.completion, [Span(stated.start, stated.end, change.text)]) if change else None


def _ended(request: Request, stated: Span, rng: np.random.Generator, body: Callable[[str], str]) -> str | None:
    """`body` of the text, then its stating line with a wrong answer; outer white space as it was."""
    change = wrong_answer(stated.text, rng)
    if change is None:
        return None
    text = request.completion
    start, end = _line(text, stated)
    line = _put(text[start:end], [Span(stated.start - start, stated.end - start, change.text)])
    lead, tail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    written = body(text.strip()).strip()
    return lead + (f"{written}\n\n" if written else "") + line.strip() + tail


def _line(text: str, stated: Span) -> tuple[int, int]:
    """The sentence that states the answer, or its line; a display's delimiters included."""
    start, end = text.rfind("\n", 0, stated.start) + 1, text.find("\n", stated.end)
    end = len(text) if end < 0 else end
    sentence = max(text.rfind(stop, start, stated.start) for stop in (". ", "! ", "? "))
    start = sentence + 2 if sentence >= 0 else start
    opening = re.search(r"(?:\\\[|\$\$|\\begin\{\w+\*?\})\s*$", text[:start])
    closing = re.match(r"\s*(?:\\\]|\$\$|\\end\{\w+\*?\})", text[end:])
    return (opening.start(), end + closing.end()) if opening and closing else (start, end)


def _hedge(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The right answer put in question, then a wrong one."""
    return _ended(request, stated, rng, lambda text: f"{text}\n\nBut is that right? Let me look again.")


def _omit(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The work left out, a wrong answer alone."""
    return _ended(request, stated, rng, lambda _: "")


def _retract(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The right answer taken back for a wrong one."""
    return _ended(request, stated, rng, lambda text: f"{text}\n\nNo, that is a mistake. Corrected:")


def _repeat(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The wrong answer restated once or twice."""
    change = wrong_answer(stated.text, rng)
    if change is None:
        return None
    text = _put(request.completion, restated(request, stated, change))
    again = statement(text, change.text)
    if again is None:
        return None
    start, end = _line(text, again)
    tail = text[len(text.rstrip()) :]
    return text.rstrip() + f"\n\n{text[start:end].strip()}" * int(rng.integers(1, 3)) + tail


def _garble(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The work in random order with sentences lost, then a wrong answer."""

    def body(text: str) -> str:
        work = request.completion[: _line(request.completion, stated)[0]]
        pieces = [p for p in re.split(r"(?<=[.!?])\s+|\n+", work) if p.strip() and rng.random() < 0.7]
        return "\n".join(pieces[i] for i in rng.permutation(len(pieces)))

    return _ended(request, stated, rng, body)


_REWRITINGS: dict[str, Callable[[Request, Span, np.random.Generator], str | None]] = {
    "answer": _answer,
    "steps": _steps,
    "final": _final,
    "hedge": _hedge,
    "omit": _omit,
    "retract": _retract,
    "repeat": _repeat,
    "garble": _garble,
}
