"""The final answer that a text states, or None. A text that ends before it is done states none."""

import re
from collections.abc import Callable

from cooper_jax.config import Extraction

_BOX = re.compile(r"\\+(?:boxed|fbox)(?![A-Za-z])")
_BETWEEN = re.compile(
    r"(?:[\s$,;.]|\\[()\[\],;!: ]|\\q?quad|~|\band\b|\bor\b|(?:\\text\w*|\\mbox)\s*\{\s*(?:and|or|,|;|\s)*\s*\}"
    r"|(?:\\text\w*\s*\{)?\s*for part \(?\w\)?(?: and)?\s*\}?)*"
)
_PHRASE = re.compile(
    r"(?:final answers?|the answers?|answers?|the (?:final )?results?)\s*(?:is|are|:|=)+\s*:?", re.IGNORECASE
)
_BOLD = re.compile(r"(?<![\w*)])\*\*(?=\S)([^*\n]{1,200})(?<=\S)\*\*(?![\w*(])")
_HOPE = re.compile(r"\s*I hope it is correct.*", re.IGNORECASE | re.DOTALL)
_MATHS = re.compile(
    r"(?<!\\)\$\$.{1,2000}?(?<!\\)\$\$|(?<!\\)\$(?:\\.|[^$\\]){1,2000}\$|\\\(.{1,2000}?\\\)|\\\[.{1,2000}?\\\]",
    re.DOTALL,
)
_PAID = re.compile(r"\b(?:earn|pay|spend|save|owe|charge|receive|raise)(?:s|ed)?\s*$|\b(?:spent|paid)\s*$", re.I)
_PRICE = re.compile(r"\$\s?\d[\d,.]*(?![\d\\^_={]).*?([\s(-])?\$", re.DOTALL)
_PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{2,}(?![A-Za-z}(])")
_NUMBER = r"-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:[.,]\d+)?(?:/\d+)?"
_STATED = re.compile(
    rf"(?<![\w.,\\^_{{(:])(?:\d{{1,2}}:\d\d(?:\s?[ap]\.?m\b)?|(?:\d+\s+\d+/\d+|\u2212?{_NUMBER}|\.\d+)(?![\w^({{\\:])"
    r"(?:\s?%|\s+(?:per ?cent|dozen|hundred|thousand|million|billion|trillion)\b)?)",
    re.I,
)
"""A number or a time as it stands in prose, with what multiplies it."""
_DENIED = re.compile(
    r"\b(?:not|never|no|cannot|impossible|wrong|incorrect|false|fails|except|rul(?:e|ed|ing) out|unclear)\b|n't\b", re.I
)
_HEDGED = re.compile(
    r"\b(?:or|either|between|than|least|most|about|around|approximately|nearly|almost|over|under|up to)\b", re.I
)
_SAID = re.compile(
    r"(?:\b(?:is|are|was|were|be|equals?|has|have|had|get|gets|got|takes?|took|makes?|made|costs?|gives?|totals?)\b|[:=])"
    r"\s*(?:exactly|only|just)?\W*$",
    re.I,
)
_NAMED = re.compile(
    r"(?<![A-Za-z\\=+*/^-])((?:\\[A-Za-z]{2,8}|[A-Za-z])\w{0,9}(?:_\{\w{1,5}\})?'{0,2}(?:\(\w{1,5}\))?)\s*&?=\s*\$?$"
)
"""A name and its sign before a box."""
_ASIDE = re.compile(r"(?:\s|\\q?quad|\\text\w*\s*\{[^{}]*\})+$")
_PART = re.compile(r"[-+*/^=<>})\]!|_\\&\d]$|(?<![A-Za-z])[A-Za-z]$|\\[A-Za-z]+$")
"""What a name has no place behind: it is part of an expression."""
TAIL = 20_000
"""Characters from the end in which an answer is looked for."""


def stated_answer(text: str, rule: Extraction) -> str | None:
    """What `text` states as its final answer by `rule`, or None where it states nothing."""
    _thought, closed, rest = text.rpartition("</think>")
    if "<think>" in (rest if closed else text):
        return None
    found = _RULES[rule](rest[-TAIL:] if rule != "boxed" else rest)
    return found if found and found.strip() else None


def has_phrase(text: str) -> bool:
    """Whether the text says "the answer is"."""
    return _PHRASE.search(text) is not None


def has_box(text: str) -> bool:
    """Whether a box stands in the text."""
    return _BOX.search(text) is not None


def _boxed(text: str) -> str | None:
    """The last box; boxes with nothing but separators between them are one answer. An unclosed box voids the text."""
    boxes: list[tuple[int, int, str]] = []
    for found in list(_BOX.finditer(text))[-64:]:
        if boxes and found.start() < boxes[-1][1]:
            continue  # a box within a box
        content, end = _argument(text, found.end())
        if content is None:
            return None
        boxes.append((found.start(), end, content))
    if not boxes:
        return None
    ends = [0, *(b[1] for b in boxes)]
    parts, names = [boxes[-1]], [_name(text, ends[-2], boxes[-1][0])]
    for box, end in zip(boxes[-2::-1], ends[-3::-1], strict=True):
        between, name = text[box[1] : parts[0][0]], _name(text, end, box[0])
        if name and names[0]:
            between = _NAMED.sub("", between)  # x = \\boxed{1} and y = \\boxed{2}
        if not _BETWEEN.fullmatch(between):
            break
        parts.insert(0, box)
        names.insert(0, name)
    contents = [p[2] for p in parts]
    if len(set(names)) == len(names) > 1 and all(names):
        return ", ".join(c if "=" in c else f"{n} = {c}" for n, c in zip(names, contents, strict=True))
    return contents[0] if len(set(contents)) == 1 else ", ".join(contents)


def _name(text: str, start: int, box: int) -> str:
    """The name that a box has, as in `x = \\boxed{1}`; empty for none, or for more than a name."""
    start = max(start, box - 60)
    found = _NAMED.search(text, start, box)
    before = _ASIDE.sub("", text[start : found.start()]) if found else ""
    return found[1].strip() if found and not _PART.search(before) else ""


def _argument(text: str, at: int) -> tuple[str | None, int]:
    """What stands in the braces at `at` (or the one token there) and its end; None if the braces do not close."""
    while at < len(text) and text[at] in " \t\n":
        at += 1
    if at == len(text):
        return None, at
    if text[at] != "{":
        found = re.compile(r"\\?[A-Za-z]+|-?\d+|\S").match(text, at)
        return (found[0], found.end()) if found else (None, at)
    depth = 0
    for brace in re.compile(r"(?<!\\)[{}]").finditer(text, at):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[at + 1 : brace.start()], brace.end()
    return None, at


def _hash(text: str) -> str | None:
    """What follows the last `####`, to the end of its line."""
    _, mark, rest = text.rpartition("####")
    return rest.strip().split("\n")[0].strip() if mark else None


def _phrase(text: str) -> str | None:
    """What follows the last `the answer is`, to the end of its sentence."""
    matches = list(_PHRASE.finditer(text))
    if not matches:
        return None
    rest = _BOLD.sub(r"\1", _HOPE.sub("", text[matches[-1].end() :])).strip().strip("*").strip()
    sentence = re.split(r"(?<=[^\s.\d])\.(?:\s|$)|(?<=\d)\.(?:\s+[A-Z]|\s*$)|\n\s*\n", rest, maxsplit=1)[0].strip()
    maths = _maths(sentence)
    if len(maths) == 1 and re.fullmatch(r"[\w\s,]*\b(is|are|equals)?\s*", sentence[: maths[0].start()]) and not (
        _DENIED.search(sentence[: maths[0].start()])):  # fmt: skip
        said = re.search(r"\b(?:is|are|equals)\s+(" + _NUMBER + r")\W*$", sentence[maths[0].end() :])
        return said[1] if said else sentence[maths[0].start() :]
    if len(maths) > 1 and sentence.startswith(maths[0][0]):
        return sentence
    return sentence


def _maths(text: str) -> list[re.Match[str]]:
    """Mathematics between dollar signs or in `\\(...\\)`: not what stands between two prices."""
    found: list[re.Match[str]] = []
    at = 0
    while match := _MATHS.search(text, at):
        price = _PRICE.fullmatch(match[0])
        words = len(_PROSE.findall(match[0])) if price else 0
        if price and (words > 2 or (words and (price[1] or text[match.end() : match.end() + 1].isdigit()))):
            at = match.start() + 1
        else:
            found.append(match)
            at = match.end()
    return found


def _price(text: str) -> str | None:
    """The price that the text ends in, as in `he earns $80`."""
    found = re.search(r"(?:^|[.!?]\s+)([^!?]{2,400}?)\$\s?(\d[\d,]*(?:\.\d+)?)(?:\s+[a-z]{2,12}){0,2}\W*$", text[-600:])
    if not found or _DENIED.search(found[1]) or _HEDGED.search(found[1]):
        return None
    return rf"\${found[2]}" if _SAID.search(found[1]) or _PAID.search(found[1]) else None


def _last(text: str) -> str | None:
    """The last mathematics between dollar signs or in `\\(...\\)`, with what it is joined to; else the last number."""
    maths = _maths(text)
    if maths:
        if said := re.fullmatch(rf"\s*(?:is|are|equals)\s+({_NUMBER})\W*", text[maths[-1].end() :]):
            return said[1]
        start = maths[-1].start()
        sentence = (
            re.split(r"[.;!?]\s", text[:start])[-1][-200:],
            re.split(r"[.;!?](?:\s|$)", text[maths[-1].end() :])[0],
        )
        if any(_DENIED.search(part) for part in sentence):
            return "".join((sentence[0], maths[-1][0], sentence[1]))  # words, which say something else
        for before, after in zip(maths[-2::-1], maths[:0:-1], strict=False):
            if not re.fullmatch(r"[\s,;]*(?:and|or)?[\s,;]*", text[before.end() : after.start()]):
                break
            start = before.start()
        unit = re.match(r"\s*(?:[a-zA-Z]{2,}\s*){1,2}$", text[maths[-1].end() :].rstrip(". \n"))
        return text[start : maths[-1].end()] + (f"\\text{{{unit[0]}}}" if unit and start == maths[-1].start() else "")
    found = [m[0] for m in _STATED.finditer(text)]
    return found[-1] if found else None


def _auto(text: str) -> str | None:
    """The first rule that applies: boxes, `####`, `the answer is`, mathematics between dollar signs, the bare text."""
    if _BOX.search(text):
        return _boxed(text)
    if "####" in text:
        return _hash(text)
    if _PHRASE.search(text):
        return _phrase(text)
    if _maths(text):
        return _last(text)
    if "$" in text and (price := _price(text)):
        return price
    return text.strip() or None


_RULES: dict[Extraction, Callable[[str], str | None]] = {
    "boxed": _boxed,
    "hash": _hash,
    "phrase": _phrase,
    "last": _last,
    "auto": _auto,
}


def last_number(answer: str) -> str | None:
    """The number that a phrase of words ends in, as in `the largest is 34`, or a formula behind `is`; else None."""
    if len(answer) > 1000 or _DENIED.search(answer) or _HEDGED.search(answer):
        return None
    if formula := re.fullmatch(r"[\w\s,']{2,200}\b(?:is|are|equals):?\s+(\\[A-Za-z].{1,200})", answer):
        return None if re.search(r"(?<![\\A-Za-z])[A-Za-z]{2}", formula[1]) else formula[1]
    if len(re.findall(r"\d+(?:[.,/]\d+)*", answer)) != 1:
        return None
    words = re.fullmatch(
        rf"([^\\(){{}}\[\]=<>^+#_\"`]*)(?<![^\s$€£*:])({_NUMBER})(?:\s*(?:[$€£]|[A-Za-z]{{1,12}}\b)){{0,3}}[\s.*]*",
        answer,
    )
    return words[2] if words and re.search(r"[^\W\d_]{2}", words[1]) and _SAID.search(words[1]) else None
