"""Families of faults: near misses that were once right, and right answers that were once wrong. A row a case."""

# ruff: noqa: E501 (tables)

import pytest

from cooper_jax.host.verifier.rule import verify
from cooper_jax.host.verifier.verdict import RIGHT


def grade(gold: str, answer: str) -> str:
    """The verdict on an answer in a box."""
    return verify(gold, rf"Hence $\boxed{{{answer}}}$.", extract="boxed").verdict


NEVER_RIGHT = {
    "base": [
        ("-221_3", "-221_4"), ("12_3, 21_3", "12_4, 21_4"), ("(1011)_2", "(1011)_3"), ("1A_{16}", "1A_{17}"),
        (r"0.1_{\text{three}}", r"0.1_{\text{four}}"), ("x = 101_2", "x = 101_3"), (r"\{10_2, 11_2\}", r"\{10_3, 11_3\}"),
        ("12_5 - 3_5", "12_6 - 3_6"), (r"3 \cdot 10_2", r"3 \cdot 10_3"), (r"\overline{ab}_7", r"\overline{ab}_8"),
        (r"\frac{10_2}{3}", r"\frac{10_3}{3}"), (r"\text{CO}_2", r"\text{CO}_3"), (r"\text{H}_2\text{O}", r"\text{H}_3\text{O}"),
        ("F2_{16}", "F2_{17}"), ("2_{10}", "2_{9}"), ("ABC_{16}", "ABC_{15}"), ("110_2 + 11_2 = 1001_2", "110_3 + 11_3 = 1001_2"),
    ],
    "two statements": [
        (r"x=1 \\ y=2", r"x=9 \\ y=2"), (r"x=1\\y=2", r"x=9\\y=2"), (r"x = 3 \quad y = 5", "5"), (r"x = 3 \quad y = 5", r"x=4 \quad y=5"),
        ("x = 3 ~ y = 5", "x=4 ~ y=5"), (r"x = 3 \; y = 5", r"x=4 \; y=5"), ("x = 3~~~y = 5", "5"), ("x = 3 y = 5", "x = 4 y = 5"),
        ("x = 3 y = 5", "5"), (r"x = 3 \, y = 5", "5"), (r"a = 1 \qquad b = 2 \qquad c = 3", r"a = 1 \qquad b = 9 \qquad c = 3"),
        (r"y=\frac{c x^{2}}{1-c x} ~ y=-x", r"y=\frac{c x^{9}}{1-c x} ~ y=-x"), (r"x > 1 \quad y < 2", r"x > 5 \quad y < 2"),
        (r"x=1\quad\text{or}\quad x=2", "x=2"), (r"f(x)=x \quad g(x)=2", "g(x)=2"), (r"f(x)=x \quad g(x)=2", r"f(x)=3x \quad g(x)=2"),
        (r"x+y=3 \\ x-y=1", r"x+y=4 \\ x-y=1"), (r"x=t \; y=2t", r"x=3t \; y=2t"), (r"x=t \\ y=2t \\ z=3t", r"x=t \\ y=5t \\ z=3t"),
        (r"\begin{aligned} x &= 1 \\ y &= 2 \end{aligned}", r"\begin{aligned} x &= 7 \\ y &= 2 \end{aligned}"),
        (r"\begin{array}{l} x = 1 \\ y = 2 \end{array}", r"\begin{array}{l} x = 7 \\ y = 2 \end{array}"),
        (r"r_1 = 2 \quad r_2 = 3", r"r_1 = 5 \quad r_2 = 3"), (r"x=3\hspace{1cm}y=5", "5"), (r"x = -1 \quad x = 1", "x = 1"),
        (r"x=3 \text{ } y=5", r"x=4 \text{ } y=5"),
    ],
    "value of a function": [
        ("I(0)", "0"), ("N(t)=N(0)e^{kt}", "N(t)=0"), ("v(0)+at", "at"), (r"f\left(\frac{\pi}{4}\right)=0", r"f\left(\frac{\pi}{3}\right)=0"),
        ("y(0)", "0"), ("y'(0)=1", "y'(1)=1"), (r"x(t) = x(0)\cos t", "x(t) = 0"), ("2a(1)", "2a"), (r"\phi(1)", r"\phi"), ("u(2)-u(1)", "u"),
        ("T(1)", "T"), ("C(0) e^{-rt}", "0"), ("v_0(0)", "0"), ("M(0)+3", "3"), (r"\sin(y(0))", "0"), ("y''(0)", "0"), (r"S(\pi)", r"\pi S"),
        ("at(0)", "0"), ("q(0)(1+x)", "0"), (r"\Gamma(2)", r"2\Gamma"), ("A(t)=A(0)", "A(t)=0"), ("y(0) + y(1)", "y"),
        ("y(0)=0, y'(0)=1", "y(0)=0, y'(0)=0"), ("y(0)>0", "y(1)>0"), (r"\rho(0)", "0"), ("N (0) e^{kt}", "0"),
    ],
    "qualifier": [
        (r"n \ge 3 \text{ odd}", r"n \ge 3 \text{ even}"), (r"n > 2 \text{ is prime}", "n > 2"), (r"x > 0 \text{ rational}", "x > 0"),
        (r"n \text{ is odd}", r"n \text{ is even}"), (r"n = 3 \text{ odd}", r"n = 3 \text{ even}"), (r"n=2k \text{ for } k \text{ even}", "n = 2k"),
        (r"\text{odd } n \ge 3", r"\text{even } n \ge 3"), (r"n \ge 3, n \text{ odd}", r"n \ge 3, n \text{ even}"),
        (r"n \ge 3 \text{ and } n \text{ odd}", r"n \ge 3 \text{ and } n \text{ even}"), (r"x \le 4 \text{ integer}", r"x \le 4"),
        (r"2^n, n \text{ odd}", r"2^n, n \text{ even}"), (r"x > 5 \text{ cm}", r"x > 5 \text{ m}"), (r"1 < x < 3 \text{ real}", "1 < x < 3"),
        (r"5 \text{ only}", "5"), (r"p \text{ odd prime}", r"p \text{ even prime}"), (r"n \geq 2 \text{ (n even)}", r"n \geq 2"),
        (r"n \geq 2 \quad (n \text{ even})", r"n \geq 2 \quad (n \text{ odd})"), (r"n > 1\text{ odd}", "n > 1"),
        (r"x \neq 0 \text{ real}", r"x \neq 0"), (r"\{n : n \text{ odd}\}", r"\{n : n \text{ even}\}"), (r"a = 2b \text{ where } b>0", "a = 2b"),
        (r"x < 1 \text{ odd integers}", r"x < 1 \text{ even integers}"), (r"n \equiv 1 \pmod 4", r"n \equiv 1 \pmod 5"),
        (r"n \equiv 1 \pmod 4", "n = 1"), (r"x = 3 \text{ (double root)}", "x = 3"),
    ],
    "left side": [
        (r"\vec{v}=(1,2)", r"2\vec{v}=(1,2)"), (r"A^{-1}=\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"A=\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
        (r"B^{-1}=\begin{pmatrix}1&0\\0&2\end{pmatrix}", r"-B^{-1}=\begin{pmatrix}1&0\\0&2\end{pmatrix}"), ("x=[1,2)", "-x=[1,2)"),
        ("[1,2)", "-x=[1,2)"), ("(1,1)", r"-\vec n = (1,1)"), (r"\vec n=(1,1)", r"-\vec n = (1,1)"),
        (r"\mathrm{h}=\mathrm{gi}", r"-\mathrm{h}=\mathrm{gi}"), (r"A+B=\begin{pmatrix}1\\2\end{pmatrix}", r"A-B=\begin{pmatrix}1\\2\end{pmatrix}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"2A=\begin{pmatrix}1\\2\end{pmatrix}"),
        (r"AB = \begin{pmatrix}1\\2\end{pmatrix}", r"BA=\begin{pmatrix}1\\2\end{pmatrix}"),
        (r"A^2 = \begin{pmatrix}1&0\\0&1\end{pmatrix}", r"A = \begin{pmatrix}1&0\\0&1\end{pmatrix}"), ("(x,y)=(1,2)", "(2x,y)=(1,2)"),
        ("(x,y)=(1,2)", "2(x,y)=(1,2)"), (r"x \in (1,2)", r"-x \in (1,2)"), (r"x \in (1,2)", r"2x \in (1,2)"), (r"\{1,2\}", r"x^2 = \{1,2\}"),
        (r"x = \{1,2\}", r"x^2=\{1,2\}"), (r"S = \text{odd}", r"-S = \text{odd}"), (r"\text{odd}", r"2n+1 = \text{odd}"),
        (r"\vec{a}+\vec{b} = (3,4)", r"\vec{a}-\vec{b}=(3,4)"), (r"\frac{x}{2} = (1,2)", "x = (1,2)"), ("x = 1,2", "-x = 1,2"),
        (r"x=\pm 2", r"-2x=\pm 2"), (r"x = \infty", r"-x = \infty"), ("x=1:2", "-x=1:2"), ("x=101_2", "-x=101_2"), ("x=101_2", "2x=101_2"),
        (r"\vec{n} = \langle 1,2,3 \rangle", r"-\vec{n} = \langle 1,2,3 \rangle"), (r"\text{No}", r"2 = \text{No}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"A\mathbf{x} = \begin{pmatrix}1\\2\end{pmatrix}"),
    ],
    "approximation": [
        (r"\cos (-2.01) \approx -0.425", r"\cos (-2.01) \approx 0.425"), (r"\sqrt2 \approx 1.41", r"\sqrt2 \approx 1.51"),
        (r"\sqrt2", r"\sqrt2 \approx 14.1"), (r"x = \frac{1}{3} \approx 0.33", r"x = \frac{1}{3} \approx 0.43"),
        (r"\pi \approx 3.14", r"\pi \approx 3.41"), (r"e^2 \approx 7.39", r"e^2 \approx -7.39"),
        (r"(\sqrt2, 1) \approx (1.41, 1)", r"(\sqrt2,1) \approx (1.41, 2)"), (r"\sqrt2, \sqrt3", r"\sqrt2 \approx 1.41, \sqrt3 \approx 1.41"),
        (r"2\pi \text{ cm} \approx 6.28 \text{ cm}", r"2\pi \text{ cm} \approx 6.28 \text{ m}"),
        (r"\sqrt2 x \approx 1.41x", r"\sqrt2 x \approx 2.41x"), ("100", r"100 \approx 1000"), (r"\frac{22}{7}", r"\frac{22}{7} \approx 31.4"),
        (r"\sqrt{5} \approx 2.236", r"\sqrt{5} \simeq 3.236"), (r"x \approx 2.5", r"x \approx 3.5"), (r"\approx 2.5", r"\approx 3.5"),
        (r"\tan 1", r"\tan 1 \approx 15.57"), (r"x = \ln 5 \approx 1.609", r"x = \ln 5 \approx 1.709"), (r"\sqrt2", r"\sqrt2 ≈ 2.41"),
        (r"1:2 \approx 0.5", r"1:2 \approx 0.9"),
    ],
    "order": [
        (r"\{1,3\}", "(a,b)=(1,3)"), ("(a,b)=(1,3)", r"\{1,3\}"), ("(a,b)=(1,3)", r"\{3,1\}"), ("(a,b,c)=(1,3,5)", r"\{1,3,5\}"),
        ("a=1, b=3", r"\{1,3\}"), ("(a,b)=(1,3)", "[1,3]"), ("(a,b)=(1,3)", "(3,1)"), ("(a,b)=(1,3)", "(b,a)=(1,3)"), ("(1,3,5)", r"\{1,3,5\}"),
        ("(x,y)=(1,3)", "3,1"), ("(1,3)", "3,1"), ("x=1,y=3", "x=3,y=1"), ("a<b<c", "c<b<a"), ("(1,2,3)", "(3,2,1)"), ("[1,2,3]", "[3,2,1]"),
        ("1:2:3", "3:2:1"), (r"\langle 1,2\rangle", r"\{1,2\}"), (r"\begin{pmatrix}1\\2\end{pmatrix}", "(2,1)"),
        (r"\begin{pmatrix}1\\2\\3\end{pmatrix}", r"\{1,2,3\}"), (r"\begin{pmatrix}1\\2\\3\end{pmatrix}", "1,2,3"),
        (r"\begin{bmatrix}1\\2\end{bmatrix}", "[1,2]"), ("A(1,2)", "A(2,1)"), ("(p,q)=(2,5)", r"\{p,q\}=\{2,5\}"),
    ],
    "signs": [
        (r"\pm\infty", r"\infty"), (r"\pm\infty", r"-\infty"), (r"\mp\infty", r"\infty"), (r"x \to \pm\infty", r"x \to \infty"), ("5 R 3", "3 R 5"),
        (r"5 \text{ R } 3", r"3 \text{ R } 5"), ("12 R 5", "12 R 6"), ("12 r 5", "125"), (r"5\text{ remainder }3", r"3\text{ remainder }5"),
        ("(0,1)", "(0,1]"), ("(0,1]", "(0,1)"), ("(0,a]", "(0,a)"), (r"[0,\infty)", r"(0,\infty)"), (r"x \in (0,1]", r"x \in (0,1)"),
        (r"(0,1]\cup(2,3)", r"(0,1)\cup(2,3)"), ("A=(0,1]", "A=(0,1)"), ("(0,1,2]", "(0,1,2)"), ("(f(1),f(2)]", "(f(1),f(2))"),
        ("(0,1], (2,3)", "(0,1), (2,3)"), (r"(0,1] \text{ or } x=3", r"(0,1) \text{ or } x=3"), (r"144^\circ", r"\textdollar{144}"),
        (r"144^\circ", r"\$144"), (r"144^\circ", r"\text{\$}144"), (r"144 ^{\circ}", r"\pounds 144"), (r"144^\circ", r"144\text{ dollars}"),
        (r"144^\circ", r"144\%"), (r"\$144", r"144^\circ"), (r"\$144", r"144\%"), (r"\euro 5", r"\$5"), ("5!", "5"), ("n!", "n"),
        (r"\frac{n!}{2}", r"\frac{n}{2}"), ("(2n)!", "2n!"), (r"5! \cdot x", r"5 \cdot x"), ("n!!", "n!"), ("6! R 3", "6 R 3"),
        (r"\sum_{k=1}^n k!", r"\sum_{k=1}^n k"), (r"\lim_{n\to\infty} n!", r"\lim_{n\to\infty} n"), (r"10! \text{ ways}", r"10 \text{ ways}"),
        (r"\frac{10!}{3!7!}", r"\frac{10}{3!7!}"), ("!5", "5"), (r"\int_0^1 x! dx", r"\int_0^1 x dx"), ("0", "0c"), ("0", "0x"),
        (r"\int_0^1 x\,dx \quad y=2", r"\int_0^1 x\,dx \quad y=3"), (r"\lim_{x\to 0^+} f(x)", r"\lim_{x \to 0^-} f(x)"), (r"-\infty", r"\infty"),
        ("3", "|3"), ("x=y=5", "x=5"), ("x=y=5", "x=z=5"), ("x = 5 = y", "x = y"), (r"\angle A", "A"), (r"\vec{v}", "v"), (r"\bar{x}", "x"),
        ("x'", "x"), ("x^*", "x"), ("a_1", "a_2"), ("A^c", "A"), (r"5\frac12", r"\frac52"), (r"\lfloor x \rfloor", "x"),
        (r"\lceil x \rceil", r"\lfloor x \rfloor"), (r"\|v\|", "v"), ("|v|", "v"), (r"3 \not= x", "3 = x"), (r"x \nmid y", r"x \mid y"),
        (r"A \subset B", r"B \subset A"), (r"A \Rightarrow B", r"B \Rightarrow A"), (r"a \perp b", r"a \parallel b"), (r"\neg p", "p"),
        (r"\log_2 x", r"\log_3 x"), (r"2\times 3", r"6\text{ cm}^2 \text{ and } 5"), (r"\overline{0.3}", "0.3"), (r"0.\dot{3}", "0.3"),
        (r"7 \bmod 3", "7"), (r"\frac{dy}{dx}=2", r"\frac{dx}{dy}=2"), ("f'(x)=2", "f(x)=2"), ("f^{-1}(x)=2x", "f(x)=2x"), ("P(A)=0.5", "P(B)=0.5"),
        (r"\min=3", r"\max=3"), (r"\max f = 3", r"\min f = 3"), (r"x \le 3 \le y", r"x\le 3"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("family", NEVER_RIGHT)
def test_near_misses_are_never_right(family: str) -> None:
    """Neither way round; and whatever is stated is right beside itself."""
    for gold, answer in NEVER_RIGHT[family]:
        assert RIGHT not in (grade(gold, answer), grade(answer, gold)), (gold, answer)
        assert grade(gold, gold) == RIGHT, gold
