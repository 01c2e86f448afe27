"""Tier 1: two answers compared exactly. True: proved equal; False: proved or clearly different; None: neither.

Decimals are exact numbers: 0.5 is 1/2, 0.33 is not 1/3, 3.14 is not pi. A decimal of twelve significant digits or more
that rounds a number without a finite decimal is that number as a computer prints it, and equal. A shorter rounding, of
three digits or more, is neither equal nor different: whether it will do is the question's to say.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.equality import equal, near
from cooper_jax.host.verifier.mathematics.algebra.numeric import real
from cooper_jax.host.verifier.mathematics.algebra.ratio import (
    Ratio,
    add,
    atom,
    div,
    mul,
    neg,
    number,
    symbols,
    variable,
)
from cooper_jax.host.verifier.mathematics.algebra.sums import PI, UNIT, Mono, Unreadable, fresh
from cooper_jax.host.verifier.mathematics.algebra.zeros import degree, proportion, same_zeros
from cooper_jax.host.verifier.mathematics.answer import read, undressed
from cooper_jax.host.verifier.mathematics.reading.kinds import (
    Answer,
    Based,
    Colon,
    Equation,
    Group,
    Inequality,
    Infinite,
    Named,
    Pair,
    Reading,
    Region,
    System,
    Table,
    Value,
    Words,
)
from cooper_jax.host.verifier.mathematics.reading.regions import DOMAINS, region
from cooper_jax.host.verifier.mathematics.reading.tokens import MAX_LENGTH
from cooper_jax.host.verifier.mathematics.reading.units import confusable, conversions, letters, pounds

Decide = Callable[[Ratio, Ratio], bool | None]

PRINTED, ROUNDED = 12, 3
"""Digits of a decimal that counts as the number it rounds, and of one that leaves the matter open."""
_COUNTERS = frozenset("kmn")
_UNIT_LIKE = frozenset("mgshLlNJWV")


@dataclass(frozen=True)
class Text:
    """An answer's text and all that was read in it. `reason`: why nothing was."""

    text: str
    plain: str
    letter: str
    """The letter of a multiple choice; `sole`: nothing else stands in the text."""
    sole: bool
    readings: tuple[Reading, ...]
    reason: str


def text(raw: str) -> Text:
    """Read an answer; never raises."""
    if len(raw) > MAX_LENGTH:
        return Text(raw, raw.strip(), "", False, (), "too long")
    try:
        bare = undressed(raw)
    except Unreadable as error:
        return Text(raw, "", "", False, (), str(error))
    letter, sole = _choice(bare)
    try:
        return Text(raw, _squeezed(bare), letter, sole, read(raw), "")
    except Unreadable as error:
        return Text(raw, _squeezed(bare), letter, sole, (), str(error))


def compare(gold: Text, answer: Text, decide: Decide = equal) -> bool | None:
    """Whether two answers are equal, with `decide` for pairs of expressions."""
    if gold.plain and gold.plain == answer.plain:
        return True
    if gold.letter and answer.letter and (gold.sole or answer.sole):
        if gold.letter == answer.letter:
            return True
        if not (gold.sole and answer.sole):
            return False
    results: list[bool | None] = []
    for g in gold.readings:
        for a in answer.readings:
            fresh()
            try:
                result = Comparison(decide).answers(g.answer, a.answer)
            except (Unreadable, RecursionError):
                result = None
            if result and g.likely:
                return True
            results.append(None if result else result)
    return False if results and all(r is False for r in results) else None


_LEAD = re.compile(
    r"^(?i:(?:the\s+)?(?:(?:correct|final|right)\s+)?(?:answer|option|choice)(?:\s+(?:is|option|choice))*\s*[:=]?\s*)"
    r"(?=\(?[A-Z]\b)"
)
_TAKEN_BACK = re.compile(
    r"\W*(?:is|isn|was|can|not|seems|looks|fails|or|and|but)\b|.*(?:\b(?:wrong|incorrect)\b|\\n)", re.I
)
"""What follows the letter of a choice that may not be the one meant."""


def _choice(bare: str) -> tuple[str, bool]:
    bare = re.sub(r"\\(?:text|textbf|mathrm|mathbf|textit|bf|rm)\s*\{([^{}]*)\}", r"\1", bare)
    bare = _LEAD.sub("", re.sub(r"\\[ ,;:!]|~", " ", bare).strip().strip("*").strip())
    if found := re.fullmatch(r"\(?([A-Z])\)?[.:]?|\(([a-e])\)", bare):
        return found[1] or found[2], True
    if found := re.match(r"\(([A-Z])\)\s*[.:]?\s*(?=[\w$\\-])|([A-Z])[.:)]\s+(?=\S)", bare):
        rest = bare[found.end() :]
        doubtful = re.search(r"(?<![A-Za-z\\])[A-H](?![A-Za-z])", rest) or _TAKEN_BACK.match(rest)
        return ("", False) if doubtful else (found[1] or found[2], False)
    return "", False


def _squeezed(bare: str) -> str:
    """Without white space that parts nothing, and with one spelling of what has several."""
    out = re.sub(r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle)(?![A-Za-z])", "", bare)
    out = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", out)
    out = re.sub(r"\\(?:text|textbf|mathrm|mathbf|textit|textnormal|mbox)\s*\{\s*([A-Za-z]+)\s*\}", r"{\1}", out)
    out = re.sub(r"(\\[A-Za-z]+)\s+(?![A-Za-z])", r"\1", out)
    return re.sub(r"(?<!\w)\s+|\s+(?!\w)", "", re.sub(r"\s+", " ", out)).strip()


class Comparison:
    """Compares answers of any kind, down to expressions, which `decide` compares."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self._inside = 0

    def answers(self, g: Answer, a: Answer) -> bool | None:
        """Whether two answers are equal. Kinds that cannot be equal differ; kinds that might be give None."""
        g, a = _unwrapped(g), _unwrapped(a)
        if isinstance(g, Named) or isinstance(a, Named):
            return self._named(g, a)
        if isinstance(g, System) or isinstance(a, System):
            return self._systems(g, a)
        if type(g) is type(a):
            return self._alike(g, a)
        for x, y in ((g, a), (a, g)):
            if isinstance(x, Region):
                return self._region_and(x, y)
            if isinstance(x, Words):
                everything, other = region(x), region(y)
                return self._regions(everything, other) if everything and other else self._words_and(x, y)
            if isinstance(x, Based | Colon) and isinstance(y, Value):
                return self._notation_and(x, y)
            if isinstance(x, Equation | Inequality):
                return False if isinstance(y, Table | Infinite) else None
        return self._collections(g, a)

    def _alike(self, g: Answer, a: Answer) -> bool | None:
        if isinstance(g, Value) and isinstance(a, Value):
            return self._values(g, a)
        if isinstance(g, Words) and isinstance(a, Words):
            return _same_words(g, a)
        if isinstance(g, Infinite) and isinstance(a, Infinite):
            return g.sign == a.sign
        if isinstance(g, Colon) and isinstance(a, Colon):
            return self._ratios(g, a)
        if isinstance(g, Based) and isinstance(a, Based):
            return _same_based(g, a)
        if isinstance(g, Region) and isinstance(a, Region):
            return self._regions(g, a)
        if isinstance(g, Table) and isinstance(a, Table):
            return self._tables(g, a)
        if isinstance(g, Equation) and isinstance(a, Equation):
            return same_zeros(g.zero, a.zero)
        if isinstance(g, Inequality) and isinstance(a, Inequality):
            return _same_inequality(g, a)
        return self._collections(g, a)

    # Expressions.

    def _values(self, g: Value, a: Value) -> bool | None:
        if g.percent != a.percent:
            part, whole = (g, a) if g.percent else (a, g)
            if self._plain(part, whole):
                size = real(part.ratio)
                return True if size is not None and abs(size) <= 1 else None
            hundredfold = self._decide(mul(part.ratio, number(100)), whole.ratio)
            return False if hundredfold is False and self._plain(part, whole) is False else None
        if g.unit is None and a.unit is None:
            return self._plain(g, a)
        if g.unit is None or a.unit is None:
            return self._one_unit(*((g, a) if g.unit else (a, g)))
        if g.unit.name or a.unit.name:
            same = self._plain(g, a)
            return same if same is False or g.unit.name == a.unit.name else None
        if (units := pounds(g.unit, a.unit)) is not None:
            return self._values(replace(g, unit=units[0]), replace(a, unit=units[1]))
        if g.unit.dimensions != a.unit.dimensions:
            return None if confusable(g.unit, a.unit) else False
        if g.unit.size == a.unit.size:
            return self._plain(g, a)
        return self._decide(mul(g.ratio, number(g.unit.size)), mul(a.ratio, number(a.unit.size)))

    def _one_unit(self, measured: Value, bare: Value) -> bool | None:
        if (spelled := _spelled(bare)) is not None and not symbols(measured.ratio):
            return self._values(measured, spelled)
        same = self._plain(measured, bare)
        assert measured.unit is not None
        if ("angle", 1) in measured.unit.dimensions and same is not True:
            radians = mul(measured.ratio, div(atom(PI), number(180)))
            return True if self._decide(radians, bare.ratio) else same
        if same is False and any(
            self._decide(mul(measured.ratio, number(rate)), bare.ratio) for rate in conversions(measured.unit)
        ):
            return None  # 1.5 hours and 90: the question may have asked for minutes
        return None if same and measured.glued else same

    def _plain(self, g: Value, a: Value) -> bool | None:
        results = {
            self._ratio(replace(g, ratio=x), replace(a, ratio=y))
            for x in (g.ratio, g.other)
            for y in (a.ratio, a.other)
            if x is not None and y is not None
        }
        return results.pop() if len(results) == 1 else None

    def _ratio(self, g: Value, a: Value) -> bool | None:
        same = self._decide(g.ratio, a.ratio)
        if same is False and _one_letter_off(g.ratio, a.ratio):
            return None
        if same or not (g.digits or a.digits):
            # 2.83x for 2 sqrt(2) x: a rounding again.
            return None if same is False and (g.inexact or a.inexact) and near(g.ratio, a.ratio) else same
        if same is None:
            return None
        open_to = [_rounds(x, y) for x, y in ((g, a), (a, g)) if x.digits]
        return max(open_to, key=lambda r: (r is True, r is None))

    # Words and notations.

    def _words_and(self, x: Words, y: Answer) -> bool | None:
        if isinstance(y, Value) and x.value is not None and y.unit is None:
            same = self._decide(x.value, y.ratio)
            if same:
                return True
            return same if symbols(x.value) <= symbols(y.ratio) else None
        if isinstance(y, Value) and y.unit is None and (named := _NUMBERS.get(x.text.casefold())) is not None:
            return self._decide(number(named), y.ratio)
        return True if y == Group("{", ()) and _normal(x.text) in _EMPTY else None

    def _notation_and(self, x: Based | Colon, y: Value) -> bool | None:
        """204_5 and 204 or 54, 1:2 and 1/2: open, where one may stand for the other."""
        if isinstance(x, Based):
            digits = Fraction(int(x.digits)) if x.digits.isdigit() else None
            return None if y.ratio.rational in (digits, _in_ten(x)) else False
        if len(x.parts) == 2 and isinstance(x.parts[0], Value) and isinstance(x.parts[1], Value):
            return None if self._decide(div(x.parts[0].ratio, x.parts[1].ratio), y.ratio) is not False else False
        return None

    def _ratios(self, g: Colon, a: Colon) -> bool | None:
        if len(g.parts) != len(a.parts):
            return None
        same = self._in_order(g.parts, a.parts)
        if same is not False:
            return same
        units = [v.unit for v in (*g.parts, *a.parts) if isinstance(v, Value) and v.unit]
        if len(g.parts) != 2 or units:
            return False if {d for u in units for d, _ in u.dimensions} == {"am", "pm"} else None
        (p, q), (r, s) = g.parts, a.parts
        if not all(isinstance(v, Value) for v in (p, q, r, s)):
            return None
        if not (q.ratio.num and s.ratio.num):  # pyright: ignore
            return False  # on the hour, not a ratio
        cross = mul(p.ratio, s.ratio), mul(q.ratio, r.ratio)  # pyright: ignore
        return False if self._decide(*cross) is False else None

    # Names.

    def _named(self, g: Answer, a: Answer) -> bool | None:
        if isinstance(g, Named) and isinstance(a, Named):
            if g.name == a.name:
                return self.answers(g.value, a.value)
            left, right = _as_equation(g), _as_equation(a)
            if left and right and (_has_symbols(g) or _has_symbols(a)):
                return same_zeros(left.zero, right.zero)
            if "(" in g.name and "(" in a.name:
                return None  # f(x) = x and f(t) = t
            return False if self.answers(g.value, a.value) is False else None
        for x, y in ((g, a), (a, g)):
            if isinstance(x, Named) and isinstance(y, Equation):
                equation = _as_equation(x)
                return same_zeros(equation.zero, y.zero) if equation else None
            if isinstance(x, Named) and isinstance(y, Region) and x.symbol and y.of not in (None, _only(x.name)):
                return None  # x in (0, 1) and 0 < y < 1
            if isinstance(x, Named) and isinstance(y, System):
                return False if len(y.names) > 1 else None
        return self.answers(g.value if isinstance(g, Named) else g, a.value if isinstance(a, Named) else a)

    def _systems(self, g: Answer, a: Answer) -> bool | None:
        if isinstance(g, System) and isinstance(a, System):
            if sorted(g.names) != sorted(a.names):
                return False if len(g.names) != len(a.names) else None
            there = dict(zip(a.names, a.values, strict=True))
            return _all(self.answers(v, there[n]) for n, v in zip(g.names, g.values, strict=True))
        system, other = (g, a) if isinstance(g, System) else (a, g)
        assert isinstance(system, System)
        items = _items(other)
        if items is None or (isinstance(other, Pair) and (other.left, other.right) != ("(", ")")):
            return False if isinstance(other, Value) else None
        if len(items) != len(system.values):
            return False
        # Without names, values are told apart by their order alone; it must be the obvious one.
        obvious = system.ordered or list(system.names) == sorted(system.names)
        same = self._in_order(system.values, items)
        if same:
            return True if obvious or _bare(other) else None
        if same is False and obvious and not _bare(other):
            return False
        return False if self._matched(system.values, items) is False else None

    # Collections.

    def _collections(self, g: Answer, a: Answer) -> bool | None:
        left, right = _items(g), _items(a)
        if left is None and right is None:
            return False if {type(g), type(a)} <= {Value, Infinite, Table, Based, Colon} else None
        if left is None or right is None:
            return self._one_and_several(
                *((a, left if left is not None else g, right) if left is None else (g, a, left))
            )
        if isinstance(g, Pair) and isinstance(a, Pair):
            same = self._in_order(left, right)
            return same if (g.left, g.right) == (a.left, a.right) else False
        if (_brackets(g) == "{" or _brackets(a) == "{") and self._repeats(left, right):
            return None
        if len(left) != len(right):
            return False
        kinds = {_brackets(g), _brackets(a)}
        if kinds <= {",", "{"}:
            return self._matched(left, right)
        if len(kinds) == 1 or (kinds == {"[", ","} and len(left) > 2):
            same = self._in_order(left, right)
            return same if len(kinds) == 1 or same else self._open(left, right)
        return self._open(left, right)

    def _one_and_several(self, several: Answer, one: Answer, items: Sequence[Answer] | None) -> bool | None:
        if any(isinstance(x, Words) and " " in x.text for x in items or ()):
            return None  # prose
        if isinstance(one, Table) and items:
            rows = [_items(x) for x in items if _brackets(x) == "["]
            if _brackets(several) == "[" and len(rows) == len(items):  # [[1, 2], [3, 4]]
                same = [self._in_order(tuple(map(Value, r)), x or ()) for r, x in zip(one.rows, rows, strict=False)]
                return _all(same) if len(rows) == len(one.rows) else False
            cells = [Value(x) for row in one.rows for x in row]
            return self._open(cells, items) if len(cells) == len(items) else False
        if items is not None and len(items) == 1 and isinstance(several, Group) and several.kind in ("{", ","):
            same = self.answers(items[0], one)
            return same if not self._inside else False if same is False else None
        return False if isinstance(one, Value | Infinite | Table | Based | Colon) else None

    def _repeats(self, left: Sequence[Answer], right: Sequence[Answer]) -> bool:
        """Whether some element is stated twice."""
        return any(
            self.answers(x, y) is not False for items in (left, right) for i, x in enumerate(items) for y in items[:i]
        )

    def _open(self, left: Sequence[Answer], right: Sequence[Answer]) -> bool | None:
        """The same elements in another form are neither equal nor different."""
        return False if self._matched(left, right) is False else None

    def _in_order(self, left: Sequence[Answer], right: Sequence[Answer]) -> bool | None:
        return _all(self.answers(x, y) for x, y in zip(left, right, strict=True)) if len(left) == len(right) else False

    def _matched(self, left: Sequence[Answer], right: Sequence[Answer]) -> bool | None:
        """Equal but for the order."""
        if len(left) != len(right):
            return False
        self._inside += 1
        free, unsure = list(right), False
        for x in left:
            results = [self.answers(x, y) for y in free]
            if True in results:
                free.pop(results.index(True))
            elif None in results:
                unsure = True
            else:
                self._inside -= 1
                return False
        self._inside -= 1
        return None if unsure else True

    def _tables(self, g: Table, a: Table) -> bool | None:
        if (len(g.rows), len(g.rows[0])) != (len(a.rows), len(a.rows[0])):
            flat = len(g.rows) == 1 or len(g.rows[0]) == 1
            return None if flat and (len(a.rows), len(a.rows[0])) == (len(g.rows[0]), len(g.rows)) else False
        cells = zip((x for r in g.rows for x in r), (y for r in a.rows for y in r), strict=True)
        return _all(self._decide(x, y) for x, y in cells)

    # Regions.

    def _regions(self, g: Region, a: Region) -> bool | None:
        if len(g.intervals) != len(a.intervals):
            return False
        pairs = [(x, y) for i, j in zip(g.intervals, a.intervals, strict=True) for x, y in zip(i, j, strict=True)]
        same = _all(
            x.sign == y.sign
            if x.at is None and y.at is None
            else False
            if x.at is None or y.at is None or x.closed != y.closed
            else self._decide(x.at, y.at)
            for x, y in pairs
        )
        if same and g.of is not None and a.of is not None and g.of != a.of:
            return None
        return same

    def _region_and(self, x: Region, y: Answer) -> bool | None:
        if isinstance(y, Value) or (isinstance(y, Group) and y.kind != "{"):
            return False
        other = region(y)
        if other is not None:
            return self._regions(x, other)
        return False if isinstance(y, Pair | Group | Infinite | Table) else None


def _unwrapped(a: Answer) -> Answer:
    while isinstance(a, Group) and a.kind == "," and len(a.items) == 1:
        a = a.items[0]
    return a


def _all(results: object) -> bool | None:
    found = list(results)  # pyright: ignore
    if False in found:
        return False
    return None if None in found else True


def _items(a: Answer) -> tuple[Answer, ...] | None:
    if isinstance(a, Pair):
        return a.first, a.second
    return a.items if isinstance(a, Group) else None


def _brackets(a: Answer) -> str:
    if isinstance(a, Pair):
        return a.left if (a.left, a.right) in (("(", ")"), ("[", "]")) else a.left + a.right
    return a.kind if isinstance(a, Group) else ""


def _bare(a: Answer) -> bool:
    return isinstance(a, Group) and a.kind == ","


def _one_letter_off(g: Ratio, a: Ratio) -> bool:
    """C and c, e and E; 5 and 5g: a slip of notation as likely as another answer."""
    x, y = _letter(g), _letter(a)
    if x and y:
        return x.lower() == y.lower()
    extra = symbols(g) ^ symbols(a)
    if len(extra) == 2 and extra <= _COUNTERS and len(symbols(g)) == len(symbols(a)):
        return True  # k pi and n pi, for all k and n
    if len(extra) == 1 and extra <= _UNIT_LIKE:
        at_one = {frozenset((b, r) for b, r in m if b != ("v", *extra)): c for m, c in (*g.num.items(), *a.num.items())}
        return len(at_one) == 1 and len(g.num) == len(a.num) == 1
    return False


def _spelled(a: Value) -> Value | None:
    """`5 m/s` with the letters taken for units, where they can be."""
    if len(a.ratio.num) != 1 or a.ratio.den != UNIT:
        return None
    ((m, c),) = a.ratio.num.items()
    names = frozenset((b, r) for b, r in m if b[0] == "v")
    unit = letters((b[1], r) for b, r in names)
    return replace(a, ratio=Ratio({m - names: c}, UNIT), other=None, unit=unit) if unit is not None else None


def _letter(a: Ratio) -> str:
    if len(a.num) == 1 and a.den == UNIT:
        ((m, c),) = a.num.items()
        if c == 1 and len(m) == 1:
            ((b, r),) = m
            if r == 1 and b[0] in ("v", "e", "i") and (b[0] != "v" or len(b[1]) == 1):
                return b[1] if b[0] == "v" else b[0]
    return ""


def _rounds(decimal: Value, other: Value) -> bool | None:
    """True: `decimal` is `other` as printed. None: a shorter rounding of it. False: another number."""
    value, exact = real(decimal.ratio), real(other.ratio)
    if value is None or exact is None or abs(value - exact) > real(number(decimal.step)):
        return False
    finite = other.ratio.rational
    if finite is not None and not finite % decimal.step:
        return False  # As many digits would have stated it exactly.
    if finite is not None and _decimals(finite):
        return None if decimal.digits >= ROUNDED else False
    # Rounded, or cut off: floating point prints 2/3 as 0.6666666666666666.
    nearest = 2 * abs(value - exact) <= real(number(decimal.step)) or abs(value) < abs(exact)
    if decimal.digits >= PRINTED and nearest:
        return True
    return None if decimal.digits >= ROUNDED else False


def _decimals(value: Fraction) -> bool:
    """Whether `value` has a finite decimal."""
    d = value.denominator
    for p in (2, 5):
        while d % p == 0:
            d //= p
    return d == 1


def _same_words(g: Words, a: Words) -> bool | None:
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


_NUMBERS = {
    word: n
    for n, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())  # noqa: SIM905
}
_EMPTY = {"no solution", "no solutions", "empty set", "null set", "empty"}
_ROMAN = re.compile("[IVX]+")
_SYNONYMS = {"dne", "undefined", "none", "impossible", "true", "yes", "false", "no", "infinity", "never", "always"}


_POLARITY = {"yes": True, "true": True, "no": False, "false": False}


def _normal(words: str) -> str:
    kept = re.sub(r"[^\w\s]", " ", words).casefold().split()
    if len(kept) > 1:
        kept = [w for w in kept if w not in ("a", "an", "the")]
    return " ".join(kept)


def _in_ten(x: Based) -> Fraction | None:
    try:
        return Fraction(int(x.digits, x.base))
    except ValueError:
        return None


def _same_based(g: Based, a: Based) -> bool | None:
    if g.base == a.base:
        return g.digits == a.digits
    return False if _in_ten(g) != _in_ten(a) else None


def _as_equation(a: Named) -> Equation | None:
    if a.symbol and isinstance(a.value, Value):
        return Equation(add(variable(a.name), neg(a.value.ratio)))
    return None


def _only(name: str) -> Mono:
    return frozenset([(("v", name), Fraction(1))])


def _has_symbols(a: Named) -> bool:
    return isinstance(a.value, Value) and bool(symbols(a.value.ratio))


def _same_inequality(g: Inequality, a: Inequality) -> bool | None:
    k = proportion(g.low.num, a.low.num) if g.low.den == a.low.den == UNIT else None
    if k is None:
        linear = g.low.den == a.low.den == UNIT and degree(g.low.num) == degree(a.low.num) == 1
        return False if linear else None
    positive = (k.rational or 0) > 0
    if g.op == a.op:
        return bool(positive or g.op == "!=")
    return False
