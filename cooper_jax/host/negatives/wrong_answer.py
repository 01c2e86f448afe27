"""What a wrong answer is: another one in the form of the right one, as a slip gives it."""

import re
from typing import NamedTuple

import numpy as np

from cooper_jax.host.negatives.numerals import literals, numbers, spelled, wrong


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
CHOICE = re.compile(r"((?:\\(?:text|textbf|mathrm|mathbf)\{\s*)?\(?)([A-J])(\)?\.?\s*\}?)")
"""What stands before the letter of a choice, the letter, what stands behind it."""
_WORD = re.compile(r"(\\(?:text|textbf|mathrm|mathbf)\{\s*)?([A-Za-z]+)(\s*\})?")
_OPEN, _CLOSE = r"(\\left)?(\(|\[|\\\{|\\lbrace)", r"(\\right)?(\)|\]|\\\}|\\rbrace)"
BRACKETS = re.compile(rf"\s*{_OPEN}(.*?){_CLOSE}\s*", re.DOTALL)
"""A tuple, set or interval: `\\left`, the bracket, what it holds, `\\right`, the bracket."""
UNIT = re.compile(r"\\(?:text|mathrm|mbox|textbf)\s*\{[^{}]*\}(?:\^\{?-?\d\}?)?|\^\s*\{?\s*-?\d+\s*\}?|_\s*\{?\w+\}?")
"""A unit in words, a power, an index: their digits are none of the answer's numbers."""


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
    found = CHOICE.fullmatch(answer)
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
    found = BRACKETS.fullmatch(answer)
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
    kept = [m.span() for m in UNIT.finditer(answer)]
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
