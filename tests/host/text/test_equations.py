"""Are equations of data sets read exactly, written plainly, and refused where they do not come to the answer?"""

import pytest

from cooper_jax.host.text import equations


@pytest.mark.parametrize(
    ("equation", "reference", "wanted"),
    [
        ("( 290.0 / 2.0 )", "145", "290 / 2 = 145"),
        ("( ( 8.0 + 3.0 ) * 2.0 )", "22", "(8 + 3) * 2 = 22"),
        ("10-(3+2)", "5", "10 - (3 + 2) = 5"),
        ("60/(3*4)", "5", "60 / (3 * 4) = 5"),
        ("(2*3)*4-1", "23", "2 * 3 * 4 - 1 = 23"),
        ("-(2-5)", "3", "-(2 - 5) = 3"),
        ("7+2=9", "9", "7 + 2 = 9"),
        ("0.1+0.2=0.3", "0.3", "0.1 + 0.2 = 0.3"),
        ("9+9+5=23; 23-7=16; 16-15=1", "1", "9 + 9 + 5 = 23\n23 - 7 = 16\n16 - 15 = 1"),
        ("13/4=3 r1; 3+1=4", "4", "13 / 4 = 3 remainder 1\n3 + 1 = 4"),
        ("119/9=13 r2", "2", "119 / 9 = 13 remainder 2"),
        ("119/9=13 r2", "13", "119 / 9 = 13 remainder 2"),
        ("3*4=12=24/2", "12", "3 * 4 = 12 = 24 / 2"),
    ],
)
def test_written_out(equation: str, reference: str, wanted: str) -> None:
    assert equations.solved(equation, reference) == wanted


@pytest.mark.parametrize(
    ("equation", "reference"),
    [
        ("", "3"),
        ("( ( 4.0 - 2.0 ) + 3.0 )", "1"),  # as SVAMP has it
        ("7+2=10", "10"),
        ("7+2=9", "10"),
        ("1+1=3; 4-1=3", "3"),
        ("119/9=13 r3", "13"),
        ("x=5+7", "12"),
        ("GCD(12,20)=4", "4"),
        ("12:16=3:4", "3:4"),
        ("8.0", "8.0 (dollars)"),
        ("3/0", "0"),
        ("2**9**9**9", "4"),
        ("7//2", "3"),
        ("1" * 500, "1" * 500),
        ("(" * 300 + "1" + ")" * 300, "1"),
        ("()", "3"),
        ("1 2", "12"),
        ("3=", "3"),
        ("3", "3"),
    ],
)
def test_refused(equation: str, reference: str) -> None:
    assert equations.solved(equation, reference) == ""
