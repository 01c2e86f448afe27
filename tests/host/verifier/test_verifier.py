"""Is right right, and wrong wrong? Tables of answers, extraction, and properties of the rule."""

# ruff: noqa: E501, RUF001 (tables; look-alikes are what some rows are about)

import subprocess
import sys
import time
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cooper_jax.host.verifier.rule import unreadable, verify
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG


def grade(gold: str, answer: str) -> str:
    """The verdict on an answer in a box."""
    return verify(gold, rf"Hence $\boxed{{{answer}}}$.", extract="boxed").verdict


EQUAL = [
    # numbers
    ("7", "007"), ("-3", "−3"), (".5", r"\frac12"), ("0.125", r"\tfrac18"), (r"\frac{-1}{2}", r"-\frac{1}{2}"),
    ("1,234,567", "1234567"), (r"12{,}000", "12000"), (r"12\,000", "12000"), ("2.50", r"\$2.5"), ("2^{100}", str(2**100)),
    (r"3\times10^{-4}", "0.0003"), ("2.5e-3", "0.0025"), (r"2\frac{3}{4}", "2.75"), ("1 1/2", "3/2"), ("½", "0.5"),
    (r"0.\overline{27}", r"\frac{3}{11}"), ("5!", "120"), (r"\binom{6}{2}", "15"), (r"\lfloor -2.5 \rfloor", "-3"),
    (r"17 \bmod 5", "2"), ("２３", "23"), ("𝟯", "3"), ("3²", "9"), ("|2-9|", "7"), ("2.5 \\text{ million}", "2500000"),
    (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "-2"), (r"\frac{1}{7}", "0.142857142857143"), (r"\frac23", "0.6666666666666666"), ("0-5", "-5"),
    # radicals, pi, e, i, logarithms
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt2}{2}"), (r"\sqrt{12}", r"2\sqrt{3}"), (r"\sqrt[3]{16}", r"2\sqrt[3]2"),
    (r"\frac{1}{1+\sqrt2}", r"\sqrt2-1"), (r"\sqrt[3]{-27}", "-3"), ("√5", r"\sqrt{5}"), ("9^{3/2}", "27"),
    (r"\sqrt{\frac{2}{3}}", r"\frac{\sqrt6}{3}"), (r"\frac{2\pi}{3}", "2π/3"), ("i^{3}", "-i"), (r"e^{i\pi}", "-1"),
    (r"(1+i)^2", "2i"), (r"\log_2 8", "3"), (r"\ln 8", r"3\ln 2"), (r"\ln\frac1e", "-1"), (r"120^\circ", "120"),
    (r"120^\circ", r"\frac{2\pi}{3}"), (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"), (r"\cos\frac{\pi}{3}", "0.5"),
    # expressions
    ("(x+1)^2", "x^2+2x+1"), ("x(y-z)", "xy-xz"), (r"\frac{x^2-1}{x-1}", "x+1"), (r"\sqrt{x+1}", "(x+1)^{1/2}"),
    ("2^{n+1}", r"2\cdot 2^n"), ("4^n", "2^{2n}"), (r"e^{-x}", r"\frac{1}{e^x}"), (r"\sin^2x+\cos^2x", "1"),
    (r"\tan^2 t+1", r"\sec^2 t"), (r"\sin 2x", r"2\sin x\cos x"), ("n!", "n(n-1)!".replace("(n-1)!", r"\cdot(n-1)!")),
    ("f(x)=2x+1", "1+2x"), ("ab", "ba"), (r"\frac{a}{b+c}", "a/(b+c)"), ("a_1+b", "b+a₁"), ("α+1", r"1+\alpha"),
    # equations, names
    ("x=5", "5"), ("5", "n = 5"), ("y=2x+1", "2x-y+1=0"), ("x^2+y^2=4", "2x^2+2y^2-8=0"), ("|AB|=3", "3"),
    ("x=2 or x=-2", r"\pm2"), ("x=1,\\ y=2", "(1,2)"), ("(x,y)=(2,1)", "y=1, x=2"), ("p=5,q=2;p=7,q=2", "(5,2),(7,2)"),
    # collections
    (r"\{1,2\}", "2, 1"), ("3, 5 and 7", "7,5,3"), ("(1,2),(3,4)", "(3,4),(1,2)"), (r"\left(\frac12,3\right)", "(0.5,3)"),
    (r"\emptyset", r"\{\}"), (r"\{1\pm\sqrt5\}", r"\{1-\sqrt5,1+\sqrt5\}"), ("(1;2;3)", "(1,2,3)"), ("（1，2）", "(1,2)"),
    # intervals and inequalities
    (r"x\in[1,2)", "[1,2)"), ("x>4", r"(4,\infty)"), ("4<x", "x>4"), ("-x>-1", "x<1"), ("1<x\\le 5", "(1,5]"),
    (r"x\ne3", r"(-\infty,3)\cup(3,\infty)"), ("[1,3]\\cup[2,5)", "[1,5)"), (r"\mathbb{R}\setminus\{0\}", r"x\neq 0"),
    (r"x<1\text{ or }x>2", r"(-\infty,1)\cup(2,\infty)"), (r"\{x\mid x\ge 2\}", r"[2,\infty)"), (r"\{t:t>1\}", "x>1"), ("2x+4y>6", "x+2y>3"),
    (r"\mathbb{R}", r"(-\infty,\infty)"), ("x≤2", r"(-\infty, 2]"), ("x>1 and x<3", "(1,3)"),
    # matrices
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix}1&2\\3&\frac82\end{bmatrix}"),
    (r"\begin{pmatrix}x\\y\end{pmatrix}", r"\left[\begin{array}{c}x\\y\end{array}\right]"),
    # units, per cent, words, choices
    ("5 cm", "5"), (r"5\text{ cm}", "5\\,\\mathrm{cm}"), (r"1\text{ m}", r"100\text{ cm}"), (r"5\text{ m/s}", r"18\text{ km/h}"),
    (r"12\text{ cm}^2", r"12\text{ square centimeters}"), ("\\$3.50", "350\\text{ cents}"), ("10 apples", "10"),
    (r"50\%", "50 percent"), (r"50\%", r"\frac12"), (r"\text{Yes}", "yes"), (r"\textbf{(B)}", "B"), ("(C)", "C. the third"),
    (r"\text{the circle}", "Circle"), (r"\text{even}", "even"), ("11:21", "V_1:V_2=11:21"), ("101_2", "101_{2}"),
    ("xy=1", r"y=\frac1x"), (r"\frac{x^2}{4}+\frac{y^2}{3}=1", "3x^2+4y^2=12"), ("A=\\pi r^2=9\\pi", r"9\pi"), (r"10\%+20\%", "0.3"),
    (r"\left\{\begin{array}{l}x=1\\y=2\end{array}\right.", "x=1, y=2"), (r"\text{12 cm}", r"12\text{ cm}"), ("2.5 million", "2,500,000"),
    (r"9.8\mathrm{~m}/\mathrm{s}^2", r"9.8\text{ m/s}^2"), (r"\frac{5}{6}\text{ hours}", r"50\text{ minutes}"), (r"f^{-1}(x)=x-1", "x-1"),
    (r"\tan 15^\circ", r"2-\sqrt3"), (r"\max\{1,2\}", "2"), ("]1,2[", "(1,2)"), (r"[-1,1]\cup\{2\}", r"\{2\}\cup[-1,1]"),
    (r"\text{March } 5", "March 5"), (r"\sum_{k=1}^{n} k a_k", r"\sum_{k=1}^n a_k k"),
    # letters side by side, brackets and constants
    ("2xy^2", "2x y^2"), ("y=Ce^{2x}", "y=C e^{2x}"), (r"\frac{mv^2}{2}", r"\frac12 m v^2"), ("2^{n-1}(n+2)", "(n+2)2^{n-1}"),
    ("7!!", "105"), (r"\frac{(2n)!}{n!n!}", r"\binom{2n}{n}"), (r"\binom{n+1}{2}", r"\frac{n(n+1)}{2}"), (r"{5 \choose 2}", "C_5^2"),
    (r"0.\dot1\dot2", r"\frac4{33}"), ("0.1666...", r"\frac16"), ("0.(3)", r"\frac13"), ("1e5", "100000"), ("5 x 10^{-7}", r"5\times10^{-7}"),
    (r"e^{2\pi i/3}", r"-\frac12+\frac{\sqrt3}{2}i"), (r"\log_2 3", r"\frac{\log 3}{\log 2}"), (r"\lg 2", r"\log_{10}2"),
    (r"\arctan\frac12+\arctan\frac13", r"\frac\pi4"), (r"\sqrt[3]{2+\sqrt5}+\sqrt[3]{2-\sqrt5}", "1"), (r"\sinh x", r"\frac{e^x-e^{-x}}2"),
    (r"\lfloor\sqrt{10}\rfloor", "3"), (r"\lceil\pi\rceil", "4"), (r"\sqrt[3]{x^2}", "x^{2/3}"), (r"{1 \over 3}", r"\frac13"),
    # names
    (r"P(X=2)=\frac14", "0.25"), (r"P(A|B)=\frac13", r"\frac13"), ("E[X]=3", "3"), (r"\text{Var}(X)=2", "2"), ("f(-1)=3", "3"),
    (r"A\cap B=\{1,2\}", r"\{2,1\}"), (r"\text{Domain: }(0,1)", "(0,1)"), ("[ABC]=6", "6"), (r"\{x=2,x=3\}", "2,3"), ("x=0,1", "0, 1"),
    # conditions
    ("x<-2, x>2", r"(-\infty,-2)\cup(2,\infty)"), (r"x>0, x\ne1", r"(0,1)\cup(1,\infty)"), (r"x\ne\pm1", r"x\ne1,-1"),
    (r"\mathbb{R}-\{0\}", r"x\ne0"), (r"x=2k\pi, k\in\mathbb{Z}", r"2\pi k"), (r"x\equiv3\pmod7", r"x\equiv 3 \pmod{7}"),
    (r"\begin{cases}2&x>0\\3&x\le0\end{cases}", r"\begin{cases}3&\text{if }x\le0\\2&\text{if }x>0\end{cases}"),
    # units and times
    (r"12\text{ m/s}", "12 m/s"), (r"12\text{ m/s}", r"12\frac{\text{m}}{\text{s}}"), (r"9.8\text{ m/s}^2", r"9.8\,\mathrm{m/s^2}"),
    (r"5\text{ cm}^2", r"5\text{ cm}^{2}"), (r"5\text{ m}", "5m"), ("60 mph", r"60\text{ miles per hour}"), (r"2\text{ kJ}", r"2000\text{ J}"),
    (r"1\text{ L}", r"1000\text{ cm}^3"), ("5 lbs", r"5\text{ pounds}"), ("£5", r"5\text{ pounds}"), (r"25^\circ\text{C}", r"25\text{ degrees Celsius}"),
    ("45 min", r"45\text{ minutes}"), (r"12:45\text{ PM}", "12:45 p.m."), ("75¢", r"75\text{ cents}"), ("2020-05-05", "2020-05-05"),
    # matrices, bases, choices, words
    (r"\frac12\begin{pmatrix}1\\4\end{pmatrix}", r"\begin{pmatrix}1/2\\2\end{pmatrix}"), (r"\begin{pmatrix}1&2\end{pmatrix}^T", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    ("[[1,2],[3,4]]", r"\begin{pmatrix}1&2\\[4pt]3&4\end{pmatrix}"), ("1101_2", r"1101_{\text{two}}"), ("1101_2", r"1101\text{ (base 2)}"),
    ("B", r"\text{Option B}"), ("B", "B)"), ("B", "The answer is (B)."), (r"\emptyset", r"\text{No solution}"), (r"\infty", r"\text{infinity}"),
    ("3", r"\text{three}"), ('"72"', "72"), (r"\color{red}{72}", "72"), (r"3\hat{i}", r"3\hat{\imath}"), (r"2\mathbf{u}+\mathbf{v}", r"\mathbf{v}+2\mathbf{u}"),
]  # fmt: skip

DIFFERENT = [
    ("3", "-3"), ("10^6", "10^{-6}"), ("0.5", "0.05"), (str(10**40), str(10**40 + 1)), (r"\frac34", r"\frac43"),
    (r"2\sqrt3", r"3\sqrt2"), (r"\sqrt2", "2"), (r"\pi", r"\frac{22}{7}"), (r"\frac13", "0.33"), ("5.001", "5"),
    ("1+2i", "1-2i"), (r"\ln 2", r"\ln 3"), (r"e^2", "e^{-2}"), ("x+1", "x-1"), ("x^2", "x^3"), ("x+1", "y+1"),
    (r"\sin x", r"\cos x"), ("1+10^{-500}", "1"), (r"\frac1{x+1}", r"\frac1x+1"), ("a^2-b^2", "(a-b)^2"), ("2n", "n^2"), ("R^2", "r^2"),
    ("y=2x+1", "y=2x-1"), ("x^2+y^2=1", "x^2+y^2=2"), ("x=5", "x=-5"), ("5", "x=5 or x=3"), ("(1,2)", "(2,1)"),
    ("(x,y)=(1,2)", "x=2,y=1"), ("(p,q)=(3,2)", "(q,p)=(3,2)"), ("1,2,3", "1,2"), ("1", "1,2"), ("1,1", "1"),
    ("(1,2),(3,4)", "(2,1),(3,4)"), ("[0,1)", "[0,1]"), ("(0,1)", "[0,1]"), ("x>2", r"x\ge2"), ("x>2", "x<2"),
    ("x>2", "2"), ("x\\ge4", r"(4,\infty)"), (r"(-\infty,3)\cup(3,\infty)", r"(-\infty,3)\cup(4,\infty)"),
    (r"\pm3", "3"), (r"\infty", r"-\infty"), (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}2&1\end{pmatrix}"),
    (r"1\text{ m}", r"1\text{ cm}"), (r"5\text{ cm}", r"5\text{ kg}"), (r"20\%", r"30\%"), ("B", "(C)"),
    (r"\text{even}", r"\text{odd}"), (r"\text{yes}", r"\text{no}"), ("12:00", "1:00"), ("204_5", "204_6"), ("xy=1", "xy=2"), ("5", r"5\pm1"),
    (r"\frac{x^2}{4}+\frac{y^2}{3}=1", r"\frac{x^2}{3}+\frac{y^2}{4}=1"), (r"[-1,1]\cup\{2\}", "[-1,2]"), ("42", "41 \\approx 42"),
    ("(xy)^2", "xy^2"), ("(mc)^2", "mc^2"), (r"e^{2\pi i/3}", r"e^{-2\pi i/3}"), (r"\log 2+\log 5", "10"),
    (r"12\text{ m/s}", "12 s/m"), (r"5\text{ MW}", r"5\text{ mW}"), ("10:30 AM", "10:30 PM"), ("x+1", r"\pm x+1"), (r"16\%", r"16\%^2"), (r"C_1^2", "0"), (r"2\mathbf{u}", "2"),
    ("x<-2, x>2", "(-2,2)"), (r"x\ne\pm1", r"x\ne1"), ("1101_2", r"1101_{\text{three}}"), ("3", r"\text{four}"),
]  # fmt: skip

OPEN = [
    ("x=5", "y=5"), ("x>2", "y>2"), ("A", "a"), ("e", "E"), ("4", "4m"), ("10cm", "10"), ("50", r"5000\%"),
    ("0.5", r"0.5\%"), (r"\sqrt{2}", "1.41421"), (r"\pi", "3.14"), ("3.14159", r"\pi"), (r"\sqrt{x^2}", "x"), ("(1,3)", r"\{1,3\}"),
    (r"\{1,2\}", r"\{1,2,2\}"), ("10_2", "2"), ("204_5", "204"), ("12:30", "24:60"), ("abc", "cba"), ("1/2x", r"\frac{1}{2x}"),
    ("10", "11 = 10"), ("42", r"\approx 42"), ("42", "not 42"), ("42", "42 43"), ("42", r"42\text{ (or 43)}"),
    ("42", r"42\\43"), ("1,2,3", r"1,2,3,\ldots"), (r"\text{prime}", r"\text{not prime}"), ("12 apples", r"12\text{ pears}"),
    ("5", r"5\text{ squared}"), ("5", r"\text{not }5"), ("90", r"1.5\text{ hours}"), ("1", "xy=1"), ("e^{10^{-200}}", "1"), (r"\frac13", "0.333333333334"), ("x^2<4", "(-2,2)"),
    (r"\{1,2\}", r"\{\{1\},\{2\}\}"), ("A", r"\text{A. Or rather B}"), ("12", r"12\text{ or more}"),
    (r"\text{DNE}", r"\text{does not exist}"), ("x=1,y=2", "2,1"), (r"\log 3", r"\ln 3"),
    ("42", "9^{9^{9^9}}"), (r"\int_0^1 x\,dx", r"\int_0^1 x^2\,dx"), (r"\frac10", r"\frac20"), (r"\infty", r"\infty+1"),
    (r"\log 100", "2"), (r"1\text{ ton}", r"1000\text{ kg}"), (r"25^\circ\text{C}", r"77^\circ\text{F}"),
    ("0.333...", "0.333"), (r"\begin{pmatrix}1&2\end{pmatrix}^T", r"\begin{pmatrix}1&2\end{pmatrix}"), ("IV", "VI"), (r"p\land q", r"p\lor q"), ("2^{xy}", "2^xy"),
    ("B", "(B) is incorrect"), (r"[1,\infty)", r"[1,\infty2)"), ("x>1", r"1<x\text{ not}"), ("7", r"7\text{ < days}"), (r"(1,\infty)", r"\{x\in\mathbb{Z}:x>1\}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}\pm1\\2\end{pmatrix}"), (r"\{3,4\}", r"\{1,2\}=\{3,4\}"), (r"x=\pm2", r"x^2=\pm2"), (r"(0,1)", r"\pi\in(0,1)"), ("0<x<1", r"x^2\in(0,1)"), ("0<x<1", r"y\in(0,1)"),
    ("10:30 AM", "10:30 MA"), ("2020-05-05", "2010"), ("1.5...", "1.5"), (r"x^2=4\text{ cm}", "x^2=4"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_equal_answers_are_right_either_way(gold: str, answer: str) -> None:
    assert (grade(gold, answer), grade(answer, gold)) == (RIGHT, RIGHT)


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_different_answers_are_wrong_either_way(gold: str, answer: str) -> None:
    assert (grade(gold, answer), grade(answer, gold)) == (WRONG, WRONG)


@pytest.mark.parametrize(("gold", "answer"), OPEN)
def test_in_doubt_unknown(gold: str, answer: str) -> None:
    """An answer that may be meant otherwise is neither right nor proved wrong, nor is one to such a reference right."""
    assert grade(gold, answer) == UNKNOWN and grade(answer, gold) != RIGHT


@pytest.mark.parametrize(
    ("gold", "answer"), [("1,2", "1.2"), ("42", "42!"), ("42", "garbage !!! 42"), ("2", "2, or so"), ("0,1", "0.1")]
)
def test_what_is_not_the_answer_is_not_right(gold: str, answer: str) -> None:
    assert grade(gold, answer) != RIGHT


EXTRACTED = [
    ("boxed", r"First \boxed{1}, then \boxed{2}.", r"2"),
    ("boxed", r"\boxed{1}, \boxed{2}", "1, 2"),
    ("boxed", r"$\boxed{1}$ and $\boxed{2}$", "1, 2"),
    ("boxed", r"\boxed{1}\text{ and }\boxed{2}", "1, 2"),
    ("boxed", r"\boxed{(3,3)} \text{ for part (a) and } \boxed{(1,1)}", "(3,3), (1,1)"),
    ("boxed", r"\boxed{7}" + "\n\n" + r"\boxed{7}", "7"),
    ("boxed", r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    ("boxed", r"\boxed{\{1,2\}}", r"\{1,2\}"),
    ("boxed", r"so \boxed 4 it is", "4"),
    ("boxed", r"\fbox{4}", "4"),
    ("boxed", r"<think>\boxed{1}</think> \boxed{2}", "2"),
    ("boxed", r"<think>\boxed{1}</think> nothing", None),
    ("boxed", r"<think>\boxed{1}", None),
    ("boxed", r"\boxed{1} and \boxed{2", None),
    ("boxed", r"\boxed{", None),
    ("boxed", r"\boxed{}", None),
    ("boxed", "the answer is 4", None),
    ("boxed", r"$x=\boxed{1}$ or $x=\boxed{2}$", "1, 2"),
    ("boxed", r"$x=\boxed{1}$, $y=\boxed{2}$", "x = 1, y = 2"),
    ("boxed", "", None),
    ("hash", "6*7\n#### 42\n", "42"),
    ("hash", "42", None),
    ("phrase", "The answer is 42.", "42"),
    ("phrase", "Final answer: $x=3.5$. I hope it is correct.", "$x=3.5$"),
    ("phrase", "42", None),
    ("last", "so $1+1=2$, $3$ apples", "$1+1=2$, $3$"),
    ("last", "it takes 3 days and 1,200 men", "1,200"),
    ("last", "no figures", None),
    ("auto", r"The answer is 5, that is \boxed{4}", "4"),
    ("auto", "The answer is 5\n#### 4", "4"),
    ("auto", r"\frac{1}{2}", r"\frac{1}{2}"),
]


@pytest.mark.parametrize(("rule", "text", "answer"), EXTRACTED)
def test_the_final_answer(rule: str, text: str, answer: str | None) -> None:
    verdict = verify("99", text, extract=rule)  # pyright: ignore
    assert verdict.answer == answer
    assert answer is not None or verdict.verdict == WRONG


def test_an_unfinished_completion_states_nothing() -> None:
    verdict = verify("4", r"\boxed{4}", finished=False)
    assert (verdict.verdict, verdict.answer) == (WRONG, None)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("The answer is not 2", UNKNOWN),
        ("The answer is either 2 or 3", WRONG),
        ("The answer is 2 or 3", WRONG),
        ("I think it is 2", RIGHT),
        ("The largest $n$ is 2.", RIGHT),
        ("She has 2 apples.", RIGHT),
        (r"The probability is \frac{4}{2}.", RIGHT),
        ("2!!", RIGHT),
        ("/2", UNKNOWN),
        ("half of 2", UNKNOWN),
        ("It cannot be 2", UNKNOWN),
        ("The answer is not $2$.", UNKNOWN),
        ("We ruled out $2$.", UNKNOWN),
        ("$2$ is not a solution.", UNKNOWN),
        ("**Answer:** $2", RIGHT),
        ("AZYUK2A", UNKNOWN),
        ("__import__('os').system('echo 2')", UNKNOWN),
    ],
)
def test_prose(text: str, want: str) -> None:
    got = verify("2", text).verdict
    assert got == want or (want == WRONG and got == UNKNOWN), got


def test_a_reference_may_be_a_sentence() -> None:
    assert grade("The answer is 72.", "72") == RIGHT and grade("Answer: $72$", "73") == WRONG


def test_references_that_cannot_be_read_are_named() -> None:
    assert [unreadable(g) for g in ("5", r"$\frac12$", "The answer is 5", "(1,2]", r"\int_0^1 x\,dx", "yes")] == [
        None
    ] * 6
    for gold in ("", "  ", "x=", "(1,2", r"\frac{1}{", "9^{9^{9^9}}", "1/0", "\x00", r"5 \approx"):
        assert unreadable(gold), gold
        assert verify(gold, r"\boxed{3}").verdict in (UNKNOWN, WRONG)
    assert unreadable(5) and verify(None, "4").verdict == UNKNOWN  # pyright: ignore


DIGITS = "9" * 3000
HOSTILE = [
    "(" * 5000, "{" * 5000 + "}" * 5000, r"\frac{1}{" * 300 + "1" + "}" * 300, r"\sqrt{" * 60 + "2" + "}" * 60, "-" * 3000 + "1",
    r"2^{2^{100}}", "9**9**9**9", r"1.0000001^{10^{12}}", "((10!)!)!", r"\binom{200000}{100000}", "a" * 5000, "1+" * 2000 + "1",
    "(x+1)" * 500, "(a+b+c+d+e+f+g+h)^{60}", r"\begin{pmatrix}" + "1&" * 500 + r"1\end{pmatrix}", DIGITS, f"{DIGITS}.{DIGITS}",
    "1," * 2000 + "1", "x_{" * 100 + "}" * 100, r"\text{" * 100 + "}" * 100, "eval('1')", "().__class__", "\ud83d", "4\u03012",
    "$" * 999, "1/(1+1/(1+" * 50 + "1" + "))" * 50, "|" * 501, "^" * 500, "x^-" * 300 + "1", r"\sqrt" * 300 + "2", "e^" * 100 + "x",
    "+".join(f"\\frac{{1}}{{x_{{{i}}}+{i}}}" for i in range(60)), r"\sum_{i=1}^{10^{10}} i", r"\log_{1} 5", "0^0", r"\ln 0",
    r"\tan " * 60 + "x", r"\sinh " * 60 + "x", r"\binom{" * 15 + "n" + "}{m}" * 15, "k," + " " * 3900 + "1", ". " * 1900, "_" * 3900,
    r"\lfloor 10^{2000}\sqrt2 \rfloor", "1" * 3000 + "...", r"k \in Z " * 400, "$x$ not. " * 400, r"{1\choose" * 400,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_answers_are_bounded_and_never_right(text: str) -> None:
    begun = time.process_time()
    assert grade("42", text) != RIGHT and grade(text, "42") != RIGHT
    assert time.process_time() - begun < 2


def test_long_texts_take_linear_time() -> None:
    begun = time.process_time()
    for text in (
        "word " * 40_000,
        "$x$ and " * 20_000,
        "final answer is " * 10_000,
        r"\boxed{" * 20_000,
        "1," * 80_000,
    ):
        assert verify("7", text).verdict != RIGHT
    assert time.process_time() - begun < 5


def test_tier_one_needs_no_sympy() -> None:
    code = "import sys; from cooper_jax.host.verifier import rule; rule.verify('2', 'x=3'); assert 'sympy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Properties.

SEEDED = settings(deadline=None, derandomize=True, database=None)
rationals = st.fractions(min_value=-999, max_value=999, max_denominator=60)
FORMS = (
    lambda q: rf"\frac{{{q.numerator}}}{{{q.denominator}}}",
    lambda q: f"{q.numerator}/{q.denominator}",
    lambda q: rf"{'-' if q < 0 else ''}\dfrac{{{3 * abs(q.numerator)}}}{{{3 * q.denominator}}}",
    lambda q: rf"{q + 7}-7" if (q + 7).denominator == 1 else rf"\left(\frac{{{q.numerator}}}{{{q.denominator}}}\right)",
)


@st.composite
def answers(draw: st.DrawFn) -> str:
    """Answers of every kind over small numbers."""
    a, b = draw(rationals), draw(rationals)
    n, m = draw(st.integers(2, 40)), draw(st.integers(2, 40))
    x = draw(st.sampled_from("xyznt"))
    return draw(
        st.sampled_from(
            [
                f"{a}", f"{n}", f"({a},{b})", f"{a}, {b}", rf"\{{{a}, {b}, {a + b}\}}", rf"{n}\sqrt{{{m}}}", rf"\frac{{{n}\pi}}{{{m}}}",
                f"[{min(a, b)},{max(a, b) + 1})", f"{x}>{a}", f"{x}={a}", f"{n}{x}^2+{m}{x}-{a}", rf"{a}\%", rf"{n}\text{{ cm}}",
                rf"\begin{{pmatrix}}{a}&{b}\\{n}&{m}\end{{pmatrix}}", f"{n}{x}+{m}w={a+1000}", rf"{n}+{m}i", rf"\log_{{{n}}}{m}", f"{n}:{m}",
            ]
        )
    )  # fmt: skip


@given(rationals, st.sampled_from(FORMS), st.sampled_from(FORMS))
@settings(SEEDED, max_examples=150)
def test_forms_of_a_number_are_one_answer(q: Fraction, one, other) -> None:
    assert grade(one(q), other(q)) == RIGHT
    for near in (q + 1, -q if q else Fraction(1), q + Fraction(1, 61), 10 * q + 1 if q != Fraction(-1, 9) else q + 1):
        assert grade(one(q), other(near)) == WRONG


@given(answers(), answers())
@settings(SEEDED, max_examples=250)
def test_right_is_symmetric_and_reflexive(a: str, b: str) -> None:
    assert grade(a, a) == RIGHT
    assert (grade(a, b) == RIGHT) == (grade(b, a) == RIGHT)


@given(answers(), st.data())
@settings(SEEDED, max_examples=250)
def test_a_changed_number_is_never_right(answer: str, data: st.DataObject) -> None:
    digits = [i for i, c in enumerate(answer) if c.isdigit()]
    at = data.draw(st.sampled_from(digits))
    changed = answer[:at] + str((int(answer[at]) + data.draw(st.integers(1, 9))) % 10) + answer[at + 1 :]
    if grade(answer, changed) == RIGHT:  # 2 sqrt 4 and 4 sqrt 1, a fraction reduced, an element moved
        assert _alike(answer, changed)


def _alike(a: str, b: str) -> bool:
    """An independent look: the texts agree as numbers, up to order, by floating point."""
    import re

    def numbers(text: str) -> list[float]:
        text = re.sub(r"(\d*)\\sqrt\{(\d+)\}", lambda f: str(int(f[1] or 1) * int(f[2]) ** 0.5), text)
        text = re.sub(r"\\log_\{(\d+)\}(\d+)", lambda f: f"{f[2]}/{f[1]}", text)
        found = re.findall(r"-?\d+(?:\.\d+)?(?:/-?\d+)?", text.replace(r"\frac{", "").replace(r"\pi}{", "/"))
        return sorted(float(x.split("/")[0]) / (float(x.split("/")[1]) if "/" in x else 1) for x in found)

    x, y = numbers(a), numbers(b)
    return (len(x) == len(y) and all(abs(p - q) < 1e-9 for p, q in zip(x, y, strict=True))) or (
        "{" in a and set(x) == set(y)
    )


@given(st.text(max_size=60), st.text(max_size=60))
@example("\\", "{")
@settings(SEEDED, max_examples=300)
def test_no_text_raises(gold: str, completion: str) -> None:
    verdict = verify(gold, completion)
    assert verdict.verdict in (RIGHT, WRONG, UNKNOWN) and "Error" not in verdict.reason, verdict


PIECES = [*r"0123456789xyzabe+-*/^_=<>(),.;:|[]{}!%$ '&#", *(rf"\{c}" for c in ["frac", "sqrt", "pi", "left", "right", "cdot", "pm", "infty", "text", "begin{pmatrix}", "end{pmatrix}", "\\", "{", "}", "in", "cup", "le", "sin", "log", "sum", "boxed{", "%"]), "and", "or", "cm"]  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.sampled_from(["2", "x+1", "(1,2)", r"\{1\}", "x>1"])
)
@settings(SEEDED, max_examples=600)
def test_no_formula_raises(text: str, gold: str) -> None:
    for verdict in (verify(gold, rf"\boxed{{{text}}}"), verify(text, rf"\boxed{{{gold}}}")):
        assert verdict.verdict in (RIGHT, WRONG, UNKNOWN) and "Error" not in verdict.reason, (text, verdict)
