"""What changes in the words of a solution when its numbers or signs do: singular and plural, add and subtract."""

import re
from fractions import Fraction

OPERATIONS = {
    "+": r"add(?:s|ed|ing)?|sum(?:s|med|ming)?|plus|addition|combin(?:e|ed|es|ing)",
    "-": r"subtract(?:s|ed|ing)?|minus|differences?|subtraction|deduct(?:s|ed|ing)?|tak(?:e|es|ing) away|less than",
    "*": r"multipl(?:y|ies|ied|ying|ication)|products?|times",
    "/": r"divid(?:e|es|ed|ing)|division|quotients?|split(?:s|ting)?",
}
"""Words that say which sign is meant."""
IMPLIED = {
    "+": r"left|remain\w*|total\w*|altogether|in all|combined|together|more than|increase\w*",
    "-": r"left|remain\w*|fewer|less|still|more|change|decrease\w*|los[est]+|spent|after",
    "*": r"twice|doubl\w+|tripl\w+|thrice|each|every|per|half|third|quarter|of",
    "/": r"half|halve\w*|thirds?|quarters?|fourths?|average|equal\w*|each|every|per",
}
"""Words beside a sign that hint at what it is."""
_VERBS = {
    "+": ("add", "adds", "added", "adding", "addition"),
    "-": ("subtract", "subtracts", "subtracted", "subtracting", "subtraction"),
    "*": ("multiply", "multiplies", "multiplied", "multiplying", "multiplication"),
    "/": ("divide", "divides", "divided", "dividing", "division"),
}
_JOINED = {"+": "to", "-": "from", "*": "by", "/": "by"}
_NOUNS = {"+": "sum", "-": "difference", "*": "product", "/": "quotient"}
_BETWEEN = {"+": "of", "-": "between", "*": "of", "/": "of"}
_CLAUSE = r"(?:(?!\b(?:to|from|by|and)\b)[^.:;\n]){1,100}?"


def other_operation(text: str, old: str, new: str) -> list[tuple[int, int, str]] | None:
    """Places of `text` whose words say the operation `old`, each (start, end, words for `new`); None where words that
    say it cannot be put in other words."""
    found: list[tuple[int, int, str]] = []
    taken: list[tuple[int, int]] = []
    for verb, other in zip(_VERBS[old], _VERBS[new], strict=True):
        for place in re.finditer(rf"\b({verb})\b({_CLAUSE})\b({_JOINED[old]})\b", text, re.IGNORECASE):
            found += [(*place.span(1), _cased(other, place[1])), (*place.span(3), _JOINED[new])]
            taken.append(place.span())
    for place in re.finditer(rf"\b(the\s+)({_NOUNS[old]})(\s+)({_BETWEEN[old]}|of)\b", text, re.IGNORECASE):
        found += [(*place.span(2), _NOUNS[new]), (*place.span(4), _BETWEEN[new])]
        taken.append(place.span())
    for place in re.finditer(rf"\b(?:{OPERATIONS[old]})\b", text, re.IGNORECASE):
        if not any(a <= place.start() < b for a, b in taken):
            return None
    return found


def _cased(word: str, like: str) -> str:
    return word.capitalize() if like[0].isupper() else word


_UNITS = "one two three four five six seven eight nine".split()  # noqa: SIM905
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_WORTH = {word: n for n, word in enumerate((*_UNITS, *_TEENS), 1)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_IN_WORDS = re.compile(
    rf"\b(?:({'|'.join(_TENS)})(?:[- ]({'|'.join(_UNITS)}))?|({'|'.join(_UNITS[1:] + _TEENS)}))\b", re.IGNORECASE
)


_MEANT = {
    2: r"half|halve\w*|twice|doubl\w+|both|pairs?|couple", 3: r"thirds?|thrice|tripl\w+",
    4: r"quarters?|fourths?|quadrupl\w+", 5: r"fifths?|weekdays?|workdays?", 7: r"weeks?|weekly|days?",
    10: r"tenths?|tens", 12: r"dozens?|years?|months?|foot|feet|noon",
    24: r"days?|hours?", 30: r"months?|half", 52: r"years?|weeks?", 60: r"hours?|minutes?|seconds?",
    100: r"percent\w*|%|cents?|met\w+|centur\w+",
}  # fmt: skip


def meant(text: str, number: Fraction) -> bool:
    """Whether words of `text` may mean a number that is written in digits beside them: half of it / 2."""
    known = _MEANT.get(int(number)) if number.denominator == 1 else None
    return bool(known and re.search(rf"\b(?:{known})(?!\w)", text, re.IGNORECASE))


def in_words(text: str) -> list[Fraction]:
    """The numbers from 2 to 99 that `text` has in words: twenty-six."""
    return [Fraction(sum(_WORTH[word.lower()] for word in found if word)) for found in _IN_WORDS.findall(text)]


_DRESS = r"(?:[ }$*]|\\[),;:! ]|\\(?:text|mathrm|textbf)\s*\{)*"
_COUNTED = re.compile(rf"{_DRESS}(?:(?:more|fewer|less|other|extra|additional|whole|full|new|old)\s+)?([A-Za-z]+)")
_NO_NOUN = re.compile(
    r"(?:is|was|and|or|of|to|from|by|in|on|at|for|per|the|an?|so|then|each|as|if|it|he|she|they|we|more|than|left|km|kg|"
    r"cm|mm|m|g|h|s|x|times)$",
    re.IGNORECASE,
)


def counted(text: str, end: int) -> re.Match[str] | None:
    """The word that a number ending at `end` counts; group 1 is it."""
    found = _COUNTED.match(text, end, end + 80)
    return found if found and not _NO_NOUN.match(found[1]) else None


def plural(noun: str) -> str:
    """Of a regular noun."""
    if re.search(r"(?:s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search(r"[^aeiou]y$", noun) else f"{noun}s"


def no_longer_one(text: str, start: int, end: int, known: str) -> list[tuple[int, int, str]] | None:
    """What else changes where the number 1 at [start, end) becomes another: the noun, the verb in front. None where
    that cannot be told; `known` are texts that show the plurals of nouns."""
    found = counted(text, end)
    edits = []
    if found and not found[1].endswith("s"):
        many = plural(found[1])
        if not re.search(rf"\b{re.escape(many)}\b", known, re.IGNORECASE):
            return None
        edits.append((*found.span(1), many))
    there = re.search(r"\b[Tt]here (is|was)\s+[\s$\\(*]*$", text[max(0, start - 30) : start])
    if there:
        shift = max(0, start - 30)
        edits.append((shift + there.start(1), shift + there.end(1), "are" if there[1] == "is" else "were"))
    return edits
