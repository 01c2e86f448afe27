"""Families of faults: near misses that were once right, and right answers that were once wrong. A row a case."""

# ruff: noqa: E501 (tables)

import time

import pytest

from cooper_jax.host.verifier.rule import unreadable, verify
from cooper_jax.host.verifier.verdict import RIGHT, WRONG


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


RIGHT_ONCE_MISSED = {
    "printed floats": [
        ("12", "12.000000000000002"), (r"\frac{\pi}{3}", "1.0471975511965976"), (r"\sqrt{2}", "1.4142135623730951"), ("0.3", "0.30000000000000004"),
        (r"\frac{12}{5}", "2.4000000000000004"), ("3.6", "3.5999999999999996"), ("7", "6.999999999999999"), (r"\frac{100}{3}", "33.333333333333336"),
        ("e^2", "7.38905609893065"), (r"\ln 2", "0.6931471805599453"), (r"(\frac12, \frac{\sqrt3}{2})", "(0.5000000000000001, 0.8660254037844386)"),
        (r"\frac12+\frac{\sqrt3}{2}i", "0.5000000000000001+0.8660254037844386i"), (r"[0, \frac{\pi}{3}]", "[0, 1.0471975511965976]"),
        (r"\begin{pmatrix}\frac13\\2\end{pmatrix}", r"\begin{pmatrix}0.3333333333333333\\2\end{pmatrix}"), (r"x>\sqrt2", "x>1.4142135623730951"),
        (r"\{1, \sqrt 2\}", r"\{1.0, 1.4142135623730951\}"), ("x = 0.1", "x = 0.10000000000000002"), (r"\frac{2}{3}x+1", "0.6666666666666666x+1"),
        ("99999.9", "99999.90000000001"), (r"1.1\times 10^{-5}", "1.1000000000000001e-05"), (r"\sqrt{1000001}", "1000.0004999998751"),
        (r"120\text{ cm}", r"119.99999999999999\text{ cm}"),
        ("0.1666666667", "0.1666666666666666"), ("0.0833333333", "0.08333333333333333"), ("0.3333333333", r"\frac13"),
    ],
    "several boxes": [
        ("x=1, y=2", r"@We get $x = \boxed{1}$ and $y = \boxed{2}$."), ("(1,2)", r"@$x = \boxed{1}$, $y = \boxed{2}$"),
        ("a=1,b=2,c=3", r"@$a = \boxed{1}$, $b = \boxed{2}$, and $c = \boxed{3}$"), ("x_1=1,x_2=5", r"@$x_1 = \boxed{1}$ and $x_2 = \boxed{5}$"),
        (r"\alpha=1,\beta=2", r"@$\alpha=\boxed{1}, \quad \beta=\boxed{2}$"), ("x=1, x=2", r"@$x = \boxed{1}$ or $x = \boxed{2}$"),
        ("3", r"@$x = \boxed{1}$, $y = \boxed{2}$ so $x+y=\boxed{3}$"), ("f(1)=2,f(2)=3", r"@$f(1)=\boxed{2}$ and $f(2)=\boxed{3}$"),
        ("1,2", r"@\boxed{x = 1} and \boxed{y = 2}"),
    ],
    "index or factor": [
        ("N2^{-N}", r"\frac{N}{2^N}"), ("n2^{n-1}", r"n \cdot 2^{n-1}"), ("x2^n", "2^n x"), ("a3^{k}", r"a \cdot 3^k"),
        ("C2^{t/3}", r"C\cdot 2^{t/3}"), ("n2^n+1", r"1+n \cdot 2^n"), ("(n-1)2^n", "2^n(n-1)"),
    ],
    "one value twice": [
        (r"\frac12 or 0.5", "0.5"), (r"0.5 \text{ or } \frac{1}{2}", r"\frac12"), (r"25\% \text{ or } 0.25", r"\frac14"),
        (r"\frac{3}{2} \text{ or } 1.5 \text{ or } 1\frac12", "1.5"), (r"x=\frac12 or x=0.5", r"\frac12"), (r"2\sqrt2 \text{ or } \sqrt8", r"\sqrt8"),
        (r"\frac{1}{2}, or 0.5", r"\frac12"),
    ],
    "names": [
        (r"\overline{z}", r"\bar z"), (r"\overline z", r"\bar{z}"), (r"\overrightarrow{AB}", r"\vec{AB}"), (r"\widehat{ABC}", r"\hat{ABC}"),
        ("a_{1+n}", "a_{n+1}"), ("a_{2n-1}", "a_{-1+2n}"), ("y_{1}''", "y''_1"), ("y_1'", "y'_{1}"), (r"\bar{x}_1", r"\overline{x_1}"),
        ("f(-1/2) > 0", r"f\left(-\frac{1}{2}\right) > 0"), (r"f(\frac{\pi}{2})=1", r"f(\pi/2)=1"), ("f(0.5)=2", r"f\left(\frac12\right)=2"),
        (r"2\overline{z}+1", r"1+2\bar z"), (r"\mathbf{v}", r"\boldsymbol{v}"), (r"f\left(x\right)=x^2", "f(x)=x^2"), ("f(x)=x", "f(z)=z"),
        ("f(x)=x^2+1", "f(t)=1+t^2"), (r"x=n\pi", r"x=k\pi"), (r"n\pi", r"k\pi"), (r"\frac{\pi}{4}+k\pi", r"\frac{\pi}{4}+n\pi, n\in\mathbb{Z}"),
        (r"(2k+1)\pi", r"(2n+1)\pi"),
    ],
    "repeats": [
        ("(1,2),(3,4)", "(1,2),(3,4),(3,4)"), ("(1,2),(3,4)", "(3,4),(1,2),(1,2)"), ("(1,2,3),(4,5,6)", "(1,2,3),(4,5,6),(4,5,6)"),
        ("x=1,x=2", "x=1, x=2, x=2"),
    ],
    "regions and ordinals": [
        ("|x|<1", "(-1,1)"), (r"|x|\le 3", "[-3,3]"), ("|x|>2", r"(-\infty,-2)\cup(2,\infty)"), ("|x-2|<3", "(-1,5)"),
        (r"|2x+1|\ge 3", r"x\le -2 \text{ or } x \ge 1"), ("3>|x|", "-3<x<3"), (r"|x| \geq \sqrt2", r"(-\infty,-\sqrt2]\cup[\sqrt2,\infty)"),
        ("5", r"5^{\text{th}}"), ("5", r"5\text{th}"), ("21", "21st"), ("3", "3rd"), ("12", "12^{th}"), ("2", r"2^{\text{nd}}"),
        (r"5\text{th}", "5th"),
    ],
    "notations": [
        (r"20\%", "20"), ("20", r"20\%"), (r"12.5\%", "12.5"), ("9 (apples)", "9"), ("9 (apples)", "9 apples"), ("12 (miles per hour)", "12"),
        ("3.5 (feet)", r"3.5\text{ feet}"), ("7 (years old)", "7"), ("18 ($)", "18"), ("18 (dollars)", r"\$18"), ("1/2 (mile)", "0.5"),
        ("3 (m^2)", r"3\text{ m}^2"), ("5 (square feet)", "5"), ("60 (%)", "60"), ("1", r"\max(1)"), ("3", r"\max(1,3)"), ("1", r"\min\{1,2,3\}"),
        ("x>2", r"x \mid x>2"), (r"\{x\mid x>2\}", "x : x>2"), (r"\{x \mid x \neq 1\}", r"x | x \ne 1"), (r"(2,\infty)", r"\{x | x>2\}"),
        (r"\{x\in\mathbb{R} \mid x>2\}", r"x \in \mathbb{R} \mid x>2"), ("Maximum = 2, Minimum = 1", r"\text{Maximum}=2, \text{Minimum}=1"),
        ("Maximum = 2, Minimum = 1", "Minimum = 1, Maximum = 2"), ("Maximum = 2, Minimum = 1", r"\text{Minimum: } 1, \text{Maximum: } 2"),
        (r"\text{max}=2,\text{min}=1", r"\max = 2, \min = 1"),
        (r"\text{Maximum: } 2, \text{ Minimum: } 1", r"\text{Maximum} = 2, \text{Minimum} = 1"),
        ("Maximum: 2, Minimum: 1", r"\text{max: } 2, \text{min: } 1"), ("(1,2)", r"\begin{pmatrix}1\\2\end{pmatrix}"),
        (r"\begin{pmatrix}1\\2\\3\end{pmatrix}", "(1,2,3)"), (r"\begin{bmatrix}1\\2\\3\end{bmatrix}", r"\langle 1,2,3\rangle"), ("5:8", r"\frac58"),
        (r"Solution is: $\left[x=\frac{10}{13}, y=\frac{1}{13}\right]$", r"x=\frac{10}{13}, y=\frac{1}{13}"), ("(x=1,y=2)", "x=1,y=2"),
        ("80", "@He makes $10 an hour so he would earn $80"), ("80", "@He makes $10 an hour so he would earn $80."),
        ("7", "@It costs $5 and sells for $12, so the gain is $7"), ("5", "@so $x$ is $5$"),
        ("30", "@She pays $10 for a and $20 for b. The answer is $30."),
    ],
    "statements": [
        ("x=1,y=2", r"x=1 \quad y=2"), ("x=1,y=2", r"x=1 \\ y=2"), ("x=1,y=2", r"x=1\\y=2"),
    ],
    "base": [
        ("-221_3", "-221_{3}"), ("0.0011_2", r"0.0011_{\text{two}}"),
    ],
    "approximation": [
        (r"\sqrt2", r"\sqrt2 \approx 1.41"), (r"\pi", r"\pi \approx 3.14159"),
    ],
    "signs": [
        (r"\pm\infty", r"-\infty, \infty"), ("5 R 3", r"5\text{ R }3"), (r"\text{5 remainder 3}", "5 R 3"),
    ],
}  # fmt: skip
"""Answers in a box; behind an @ whole completions."""

NOTED = ["years old", "miles/hour", "o'clock", "p.m.", "pieces of candy", "each", "points per game", "more", "t-shirts", "lbs.", "times", "of the pizza", "books for Tom", "m", "square feet", "in", "students with dogs"]  # fmt: skip
"""What stands in brackets behind the numbers of a data set."""

EATEN = [
    ("\frac{1}{2}", "0.5"), ("3\times 4", "12"), ("5\text{ cm}", "5"), ("\x08oxed{7}", "7"), ("\x0crac{\\pi}{2}", r"\pi/2"),
    ("x \neq 3", r"x\ne 3"), ("\theta+1", r"1+\theta"), ("2\tan x", r"2\tan x"), ("\x08eta", r"\beta"),
]  # fmt: skip
"""References whose backslashes JSON took for the first half of a control character."""


@pytest.mark.parametrize("family", RIGHT_ONCE_MISSED)
def test_right_answers_are_right(family: str) -> None:
    for gold, answer in RIGHT_ONCE_MISSED[family]:
        got = verify(gold, answer[1:]).verdict if answer[0] == "@" else grade(gold, answer)
        assert got == RIGHT, (gold, answer)
        assert unreadable(gold) is None, gold


def test_a_note_in_brackets_behind_a_number_is_its_unit() -> None:
    for note in NOTED:
        assert unreadable(f"9 ({note})") is None, note
        assert (grade(f"9 ({note})", "9"), grade(f"9 ({note})", "8")) == (RIGHT, WRONG), note


def test_backslashes_that_json_ate_are_restored() -> None:
    assert [grade(gold, answer) for gold, answer in EATEN] == [RIGHT] * len(EATEN)


NEAR_MISSES = {
    "printed floats": [
        ("12", "12.00000000000002"), ("0.1", "0.1000000000000002"), ("1.0471975511965976", "1.0471975511965977"),
        ("0.123456789012345", "0.123456789012346"), ("0.1666666667", "0.1666666669"), ("0.1666666667", "0.1666666676666667"), ("12", "12.000000000000002x"), ("(0,1)", "(0, 1.000000000000002)"),
        (r"\sqrt2", "1.4142135623730961"), ("1234567890123456", "1234567890123457"), ("12345678.12345678", "12345678.12345679"),
    ],
    "several boxes": [
        ("x=1,y=2", r"@$x = \boxed{2}$ and $y = \boxed{1}$"), ("2", r"@$x = \boxed{1}$ and $y = \boxed{2}$"),
        ("x=1,y=2", r"@$x = \boxed{1}$ and $z = \boxed{2}$"), ("x=1,y=2", r"@$-x = \boxed{1}$ and $y = \boxed{2}$"),
        ("x=1,y=2", r"@$x^2 = \boxed{1}$ and $y = \boxed{2}$"), ("x=1,y=2", r"@$x + y = \boxed{1}$ and $y = \boxed{2}$"),
        ("x=1,y=2", r"@$x \ne \boxed{1}$ and $y = \boxed{2}$"),
    ],
    "index or factor": [
        ("N_2^{-N}", r"\frac{N}{2^N}"), ("x_2^2", r"x \cdot 2^2"), ("n2^n", "n^2 2^n"),
    ],
    "one value twice": [
        (r"\frac12 or 0.5", "0.6"), (r"\frac12 or 0.6", "0.6"), ("2 or 3", "2"), ("x=2 or y=2", "x=2"), ("0.5 or 50", "50"), ("1/2 or 0.49", "0.5"),
    ],
    "names": [
        (r"\bar z", "z"), (r"\vec{AB}", r"\vec{BA}"), (r"\vec{AB}", r"\overline{AB}"), ("a_{n+1}", "a_{n-1}"), ("a_{1-n}", "a_{n-1}"),
        ("a_{n+1}", "a_{n}+1"), ("y_1''", "y_1'"), (r"\bar{x}_1", r"\bar{x}_2"), ("f(1/2)=1", "f(1/3)=1"), ("f(-1/2)>0", "f(1/2)>0"),
        ("f(x)=x", "g(x)=x"), ("f(x)=x", "f(z)=2z"), ("f(x)=ax", "f(a)=xa"), ("f(x)=x+a", "f(a)=a+a"), ("f(a)=3", "f(b)=3"), (r"n\pi", r"2k\pi"),
        (r"n\pi", r"m^2\pi"), ("n", "k"), ("2n", "2k"), ("n^2", "k^2"), (r"n\pi+x", r"k\pi+x"), (r"n\pi+m", r"k\pi+m"), (r"n\pi r", r"k\pi r"),
        (r"n\pi+n", r"k\pi+k"), (r"\hat x", r"\bar x"), ("f(x)=2x", "f(t)=3t"),
    ],
    "repeats": [
        ("1,1", "1"), ("1,2,2", "1,2"), ("(1,2),(3,4)", "(1,2),(3,4),(4,3)"), ("(1,2),(3,4)", "(1,2),(1,2)"), ("(1,2)", "(1,2),(1,2)"),
        ("(1,2,2)", "(1,2)"), ("[1,2,2]", "[1,2]"), ("2,2,3", "2,3,3"), ("2,2,3", "2,3"), ("(1,2),(3,4)", "(1,2),(3,4),(5,6)"),
    ],
    "regions and ordinals": [
        ("|x|<1", "(0,1)"), ("|x|<1", "[-1,1]"), (r"|x|\le 1", "|x|<1"), ("|x|>2", "x>2"), ("|x|>2", "(-2,2)"), ("|x|>2", "|y|>2"),
        ("|z|<1", "(-1,1)"), ("|x|+|y|<1", "|x|<1"), ("|x-1|<2", "|x+1|<2"), ("2|x|<4", "|x|<4"), ("|x|<-1", "(-1,1)"), (r"|x| \ne 2", r"x \ne 2"),
        ("|2x|<4", "(-4,4)"), ("|-x+1|<2", "(-3,1)"), ("5th", "5^{t}h"), ("5th", "6th"), (r"\frac15", r"\text{one fifth of } 1"),
        ("5^{th}", "5^{tn}"), ("3", "3th"),
    ],
    "notations": [
        (r"20\%", r"0.2\%"), (r"20\%", "2000"), (r"20\%", r"20\text{ cm}"), ("0.2", "20"), ("20", "0.2"), ("0.5", r"0.5\%"), (r"1\%", "1"),
        ("20", r"20\%x"), ("5:8", r"\frac85"), ("5:8", "0.5"), ("8:5", "5:8"), ("9 (apples)", "9 (pears)"), ("9 (apples)", "8"), ("f (x)", "x"),
        ("3 (x+1)", "3"), ("9 (cm)", r"9\text{ m}"), ("2 (mod 5)", "2"), ("9 (or 8)", "9"), ("5 (not 6)", "6"), ("3 (approximately)", "3"),
        ("12 (base 5)", "12"), (r"\max(1,3)", "1"), (r"\max(1,3)", r"\min(1,3)"), (r"x \mid x>2", r"x \mid x>3"), (r"x \mid x>2", r"x \mid x\ge2"),
        (r"a \mid b", r"b \mid a"), (r"\{x \mid x>2\}", r"\{y \mid x>2\}"), ("Maximum = 2, Minimum = 1", "Maximum = 1, Minimum = 2"),
        ("max = 2", "min = 2"), ("Maximum: 2", "Minimum: 2"), ("(1,2)", r"\begin{pmatrix}2\\1\end{pmatrix}"),
        ("(1,2)", r"\begin{pmatrix}1&2\end{pmatrix}"), ("(1,2)", r"\begin{pmatrix}1\\2\\3\end{pmatrix}"), ("[x=1,y=2]", "[x=2,y=1]"),
        ("[x=1,y=2]", "1"), ("(2x=1,y=2)", "(x=1,y=2)"), ("10", "@He makes $10 an hour so he would earn $80."), ("80", "@He would not earn $80."),
        ("80", "@He would earn about $80."), ("80", "@He pays $10 of $80."), ("2 or 3", "3"),
    ],
    "approximation": [
        (r"\cos (-2.01) \approx -0.425", r"\cos (-2.01) \approx -0.426"), (r"\sqrt2 x \approx 1.41x", r"\sqrt2 x \approx 1.42x"),
        (r"\pi \approx 3.14", r"\pi \approx 3.15"), (r"\frac{52}{5} \approx 10", r"\frac{52}{5} \approx 11"),
    ],
    "signs": [
        ("5 R 3", "-5 R 3"), (r"\begin{aligned} x &= 1 \\ y &= 2 \end{aligned}", r"\begin{aligned} x &= 1 \\ y &= 2 \end{aligned}!"),
        (r"\begin{array}{l} x = 1 \\ y = 2 \end{array}", r"\begin{array}{l} x = 1 \\ y = 2 \end{array}^2"),
        (r"\text{Maximum}=2, \text{Minimum}=1", r"2\text{Maximum}=2, \text{Minimum}=1"),
    ],
}  # fmt: skip
"""Of what is right: answers in a box; behind an @ whole completions."""


@pytest.mark.parametrize("family", NEAR_MISSES)
def test_near_misses_of_what_is_right_are_not(family: str) -> None:
    for gold, answer in NEAR_MISSES[family]:
        got = verify(gold, answer[1:]).verdict if answer[0] == "@" else grade(gold, answer)
        assert got != RIGHT, (gold, answer)
        assert answer[0] == "@" or grade(answer, gold) != RIGHT, (gold, answer)


def test_a_reference_is_readable_if_it_agrees_with_itself() -> None:
    assert unreadable(r"\{1,2\}") is None and unreadable("B") is None and unreadable(r"\int_0^1 x\,dx") is None
    for gold in (
        r"\{1,2,2\}",
        r"\cos 1 \approx 0.7",
        "1E1000000000",
        r"\left(\left(2^{64}\right)!\right)!",
    ):
        assert unreadable(gold), gold


HOSTILE = ["1E1000000000", r"\sqrt{4^{2012}+1}", r"\left(\left(2^{64}\right)!\right)!", r"\int\boxed{" * 25]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_take_no_time(hostile: str) -> None:
    begun = time.perf_counter()
    unreadable(hostile)
    assert grade("-1", hostile) != RIGHT and grade(hostile, "-1") != RIGHT
    assert time.perf_counter() - begun < 1
