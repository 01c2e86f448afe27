"""Families of references as data sets publish them: which can be read, what is right beside them, and what never is."""

# ruff: noqa: E501 (tables)

import pytest

from cooper_jax.config import Extraction
from cooper_jax.host.verifier.rule import unreadable, verify
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN


def grade(gold: str, answer: str) -> str:
    """The verdict on an answer in a box."""
    return verify(gold, rf"Hence $\boxed{{{answer}}}$.", extract="boxed").verdict


def column(*cells: object) -> str:
    """A column as textbooks set it."""
    return r"\left[\begin{array}{r}" + r" \\ ".join(map(str, cells)) + r"\end{array}\right]"


S = r"\sum_{n=0}^{\infty}"
PIECES = r"C(p)=\left\{\begin{array}{rll}6p & \text{ if } & p \leq 5 \\ 5p & \text{ if } & p > 5\end{array}\right."

FAMILIES = {
    "sums of matrices": (
        [
            (rf"\frac12{column(2, 4)}", r"\begin{pmatrix}1\\2\end{pmatrix}"), (f"{column(1, 2)}+{column(3, 4)}", column(4, 6)),
            (rf"c_1{column(1, 0)}e^t+c_2({column(0, 1)}\frac{{t}}{{2}}-{column(1, 1)})", column("c_1e^t-c_2", r"\frac{c_2 t}{2}-c_2")),
            (r"\left[\begin{array}{ll}1 & 2 \\ 3 & 4\end{array}\right]^{-1}", r"-\frac12\begin{pmatrix}4&-2\\-3&1\end{pmatrix}"),
            (r"\begin{pmatrix}1\\2\end{pmatrix}^T", r"\begin{pmatrix}1&2\end{pmatrix}"), (rf"{column(4, 2)}=2{column(2, 1)}", column(4, 2)),
        ],
        [(column(1, 2), column(2, 1)), (column(1, 2), f"-{column(1, 2)}"), (f"{column(1, 2)}+{column(3, 4)}", f"{column(1, 2)}-{column(3, 4)}"),
         (rf"{column(1, 0)}e^t", rf"{column(1, 0)}e^{{2t}}"), (rf"c_1{column(1, 0)}", rf"c_2{column(1, 0)}"), (column(1, 2), rf"{column(1, 2)}\cdot{column(1, 1)}")],
    ),
    "determinants": (
        [(r"\left|\begin{array}{ll}1 & 2 \\ 3 & 4\end{array}\right|=-2", "-2"), (r"\det\left[\begin{array}{ll}1 & 2 \\ 3 & 4\end{array}\right]", "-2")],
        [(r"\left|\begin{array}{ll}1 & 2 \\ 3 & 4\end{array}\right|", "2"), ("-2", r"\left|\begin{array}{ll}1 & 2 \\ 3 & 5\end{array}\right|=-2")],
    ),
    "series": (
        [(rf"{S} \frac{{x^n}}{{n!}}, R=\infty", r"\sum_{k=0}^\infty x^k/k!, R=\infty"), (rf"{S}(-1)^n x^{{2n}}", r"\sum_{m=0}^{\infty} x^{2m}(-1)^m"),
         (r"\sum_{i=1}^n \sum_{j=1}^i i^2 j", r"\sum_{k=1}^n \sum_{m=1}^k m k^2"), (r"\sum_{i=1}^n a_i", r"\sum_{i=1}^n a_i"), (r"1-x+\frac{x^2}{2}-\cdots", r"\frac{x^2}{2}-x+1-\cdots")],
        [(rf"{S} x^n", r"\sum_{n=1}^{\infty} x^n"), (r"\sum_{i=1}^n i^2", r"\sum_{i=1}^n (-1)"), (r"\sum_{i=1}^n a_i", r"\sum_{j=1}^n a_i"), (r"\sum_{n=-\infty}^{\infty} x^n", r"\sum_{n=\infty}^{-\infty} x^n"),
         (rf"a{S} x^n+b{S} x^{{2n}}", rf"b{S} x^n+a{S} x^{{2n}}"), (r"1+x+\cdots", "1+x"), (r"1+x+\cdots", r"1+x-\cdots"), (r"1+2x+\cdots", r"1+3x+\cdots")],
    ),
    "units": (
        [(r"y=\frac12\cos 8t-\frac38\sin 8t \mathrm{~ft}", r"\frac12\cos 8t-\frac38\sin 8t"), (r"12 \mathrm{~min}", "12 minutes"), (r"5 \mathrm{ft} / \mathrm{sec}", "5"), (r"39 \mathrm{~N}-\mathrm{m}", r"39 \text{ J}"),
         (r"63^{\circ} 45^{\prime}", r"63.75^\circ"), (r"-3^{\circ} 3^{\prime} 36^{\prime \prime}", r"-3.06^\circ"), ("10", r"\$10 an hour"), (r"\$10 \text{ per hour}", r"\$10 an hour"), ("0.75", "3/4 of a pizza"),
         ("x > 5", r"x > 5 \text{ cm}"), (r"0 \le c < 8 \text{ kg}", "[0,8)"), ("5 (o'clock)", "5 o'clock"), ("3 (dozen)", "3"), ("3 (dozen)", "3 dozen"), ("2 (hundreds of people)", "2")],
        [(r"12 \mathrm{~min}", r"12 \mathrm{~sec}"), (r"\sin 30 \text{ ft}", r"\sin 30 \text{ m}"), (r"63^{\circ} 45^{\prime}", r"63.45^\circ"), (r"x > 5 \text{ cm}", r"x > 5 \text{ m}"), (r"x > 5 \text{ cm}", "x > 6"), ("10a", "10 a day"),
         (r"30^\circ<x<60^\circ", "30<x<60"), (r"\$10 an hour", r"\$10 a day"), ("3 (dozen)", "36"), ("3 (dozen)", "4 dozen"), (r"\$10", r"\$10 an hour")],
    ),
    "conditions": (
        [(r"n \ge 3 \text{ odd}", r"n \geq 3\text{ odd}"), ("n > 2 \\text{ is prime}", r"n>2 \text{ is prime}"), (r"A \subset B", r"A\subset{B}"), (r"y \equiv 0", "0"), (r"\lim_{n \to \infty} \frac{n}{n+1}=1", "1")],
        [(rf"{n}{a}", rf"{n}{b}") for n in ("3", r"n \ge 3", "x < 1", "n = 3") for a, b in ((r" \text{ odd}", ""), (r" \text{ odd}", r" \text{ even}"), (r" \text{ is prime}", ""))]
        + [(r"n \ge 3 \text{ odd}", r"n \ge 4 \text{ odd}"), (r"A \subset B", r"B \subset A"), (r"A \subset B", r"A \supset B"), (r"A \subset B", r"A \subseteq B"), (r"a \perp b", r"a \parallel b"),
           (r"n \equiv 1 \mod 4", "1"), (r"n \equiv 1 (4)", "4"), (r"\lim_{n \to \infty} \frac{n}{n+1}=1", r"\lim_{n \to 0} \frac{n}{n+1}=1"), ("42", "42 or more"), ("42", "42 odd")],
    ),
    "stated twice or rounded": (
        [(r"-1<x \leqslant 1:(-1,1]", "(-1,1]"), (r"n<-7 \text{ or } n>8:(-\infty,-7) \cup(8, \infty)", r"(-\infty,-7) \cup(8, \infty)"), (r"\approx 17.10 \mathrm{ft}", "17.10"), (r"x \approx 4.177, x \approx 5503.665", "4.177, 5503.665"),
         ("P-value $=0.527$", "0.527"), (r"(a, \pm 2)", "(a,2),(a,-2)"), (r"\{x=1,y=2\}", "x=1, y=2"), (PIECES, r"C(p)=\begin{cases}6p & p \le 5 \\ 5p & p>5\end{cases}"), ("$y_1=1-x$\n$y_2=3x$", "y_1=1-x, y_2=3x")],
        [(r"\approx 17.10", "17.11"), ("$y_1=1-x$\n$y_2=3x$", "y_1=2-x, y_2=3x"), (r"(a, \pm 2)", "(a,2)"), (r"\{x=1,y=2\}", r"\{x=2,y=1\}"), (r"\sin(78.95^\circ) \approx 0.981", r"\sin(78.95^\circ) \approx 0.981=1")],
    ),
    "brackets and names": (
        [(r"\bigcup_{k=1}^{\infty}(k,k+1)", r"\bigcup_{k=1}^{\infty}\left(k,1+k\right)"), ("x=1,x=2", "x=2,x=1"), ("It has one solution. It is unique.", "it has one solution. It is unique")],
        [(r"(-\infty,1)", r"[-\infty,1)"), (r"(1,\infty)", r"(1,\infty]"), ("(x,y)=(1,2)", "(x,y]=(1,2)"), ("(x,y)=(1,2)", "(x,y)=(1,2]"), ("[x=1,y=2]", "[x=1,y=2)"), ("f(1)=2", "f(1]=2"), ("P(X=1)=2/3", "P(X=1]=2/3"),
         ("x=1,x=2", "x=1,q=2"), ("a=1,b=2", "a=1,a=2"), (r"\bigcup_{k=1}^{\infty}(k,k+1)", r"\bigcup_{k=2}^{\infty}(k,k+1)"), ("x^2+2x+1", "y=(x+2)^2=x^2+2x+1")],
    ),
    "zeros of circles": (
        [("0", r"\sin(\pi)"), (r"\cos(\frac{7\pi}{2})", "0"), ("-1", r"\cos 3\pi"), (r"\sin(\pi)=0", "0"), (r"\tan(2\pi)", "0"), ("1", r"\sin\frac{\pi}{2}")],
        [("1", r"\sin(\pi)"), ("0", r"\cos(2\pi)"), ("0", r"\sin(22)"), ("0", r"\sin(3.14159)")],
    ),
}  # fmt: skip
"""What is right, and what never is, either way round."""


@pytest.mark.parametrize("family", FAMILIES)
def test_references_of_a_family_are_read_and_told_apart(family: str) -> None:
    same, other = FAMILIES[family]
    for gold, answer in same:
        assert unreadable(gold) is None, gold
        assert gold.count("$") > gold.count(r"\$") or grade(gold, gold) == RIGHT, gold
        assert grade(gold, answer) == RIGHT, (gold, answer)
    for gold, answer in other:
        assert RIGHT not in (grade(gold, answer), grade(answer, gold)), (gold, answer)


UNREADABLE = [
    r"-1<x \leqslant 1:(-1,1)", r"1+2+3+\cdots", r"T\left(\begin{pmatrix}1\\2\end{pmatrix}\right)", r"\left|\begin{array}{ll}1 & 2\end{array}\right|", r"\approx 42", r"\sum_{n} x^n", "(x,y)=(1,2]", r"\sin(\pi)=1",
]  # fmt: skip


@pytest.mark.parametrize("gold", UNREADABLE)
def test_references_that_contradict_themselves_or_may_be_anything_are_not_read(gold: str) -> None:
    assert unreadable(gold)


OPEN = [
    ("150", "2 hours and 30 minutes"), ("18", "Thus, 18"), ("42", "42 or more"), ("36", "3 (dozen)"), (r"1+x+\cdots", "1+x"), (r"\frac{\pi}{6}<x<\frac{\pi}{3}", r"30^\circ<x<60^\circ"), (r"\$10", r"\$10 an hour"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer"), OPEN)
def test_what_may_be_meant_is_not_wrong(gold: str, answer: str) -> None:
    assert grade(gold, answer) == UNKNOWN


STATED: dict[Extraction, list[tuple[str, str]]] = {
    "auto": [
        ("10", "The answer is $10 an hour."), ("18", "**18**"), ("18", r"\(18\)"), ("18", r"$\boxed{18}$ dollars"), ("18", "18 dollars per day"), ("18", "#### 18"), ("1234", "1,234.00"), ("18", "18.0"), ("0.75", "3/4 of a pizza"),
        ("10:30 AM", "10:30 a.m."), ("0.5", "50%"), ("50%", ".5"), ("18", "The answer is **18**."), ("18", "**The answer is 18.**"), ("18", "Final answer: **$18**"), ("18", "**Answer:** 18"),
    ],
    "phrase": [("18", "The answer is **18**."), ("18", "So the answer is **18 dollars**."), ("10", "The answer is $10 an hour."), ("8", "The answer is 2**3.")],
    "last": [
        ("10:30 AM", "They met at 10:30 AM"), ("0.5", "so it is .5"), ("0.5", "half, that is 50%"), ("2.5", "it takes 2 1/2 hours"), ("1000000", "about 1 million"), ("-3", "it is \u22123."), ("18", "so she makes $18 every day"), ("624", "12*52=624 pages"),
    ],
    "hash": [("18", "#### **18**"), ("18", "so\n#### $18"), ("18", "####18 dollars")],
}  # fmt: skip


@pytest.mark.parametrize("mode", STATED)
def test_answers_as_models_state_them(mode: Extraction) -> None:
    for gold, completion in STATED[mode]:
        assert verify(gold, completion, extract=mode).verdict == RIGHT, completion
        assert verify("77", completion, extract=mode).verdict != RIGHT, completion
