"""Words beside words, and beside the numbers or sets that they name."""

import re

from cooper_jax.host.verifier.mathematics.algebra.ratio import number, symbols
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer, Group, Value, Words
from cooper_jax.host.verifier.mathematics.answers.regions import DOMAINS
from cooper_jax.host.verifier.mathematics.comparison.three import Decide

_NUMBERS = {
    word: n
    for n, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())  # noqa: SIM905
}

_EMPTY = {"no solution", "no solutions", "empty set", "null set", "empty"}

_ROMAN = re.compile("[IVX]+")

_SYNONYMS = {"dne", "undefined", "none", "impossible", "true", "yes", "false", "no", "infinity", "never", "always"}

_POLARITY = {"yes": True, "true": True, "no": False, "false": False}


def same_words(g: Words, a: Words) -> bool | None:
    """Whether two texts say the same; case and articles do not count, and words that may be products are open."""
    if g.text == a.text:
        return True
    x, y = _normal(g.text), _normal(a.text)
    if {x, y} <= DOMAINS:
        return True
    if x == y:
        # None and none are one word; ABC and abc may be a triangle and a product.
        may_be = g.value is not None and a.value is not None and (len(x) < 3 or g.text.isupper() != a.text.isupper())
        return None if may_be and x not in _SYNONYMS else True
    if g.value is not None and a.value is not None and g.value == a.value:
        told = len(x) == 2 and not {x, y} & _POLARITY.keys() and not _ROMAN.fullmatch(g.text)
        return True if told else None
    if x in _POLARITY and y in _POLARITY:
        return False if _POLARITY[x] != _POLARITY[y] else None
    if " " in x or " " in y or not x or not y or {x, y} & _SYNONYMS:
        return None
    return None if x.startswith(y[:3]) or y.startswith(x[:3]) else False


def words_and(x: Words, y: Answer, decide: Decide) -> bool | None:
    """A word beside another kind of answer: the product of its letters, a number by name, the empty set."""
    if isinstance(y, Value) and x.value is not None and y.unit is None:
        same = decide(x.value, y.ratio)
        if same:
            return True
        return same if symbols(x.value) <= symbols(y.ratio) else None
    if isinstance(y, Value) and y.unit is None and (named := _NUMBERS.get(x.text.casefold())) is not None:
        return decide(number(named), y.ratio)
    return True if y == Group("{", ()) and _normal(x.text) in _EMPTY else None


def _normal(words: str) -> str:
    kept = re.sub(r"[^\w\s]", " ", words).casefold().split()
    if len(kept) > 1:
        kept = [w for w in kept if w not in ("a", "an", "the")]
    return " ".join(kept)
