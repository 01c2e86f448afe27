"""Equations in free text: found, and true or false."""

import time
from fractions import Fraction

import numpy as np
import pytest

from cooper_jax.host.negatives.equations import Side, chains, false_equation, tokens, true, worth


def found(text: str) -> list[str]:
    """The chains of a text, as it writes them."""
    some = tokens(text)
    return [text[some[c[0].first].start : some[c[-1].last - 1].end] for c in chains(some)]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("\\[ 16 - 3 - 4 = 9 \\]", ["16 - 3 - 4 = 9"]),
        ("$16 \\text{ eggs} - 7 \\text{ eggs} = 9 \\text{ eggs}$", ["16 \\text{ eggs} - 7 \\text{ eggs} = 9"]),
        ("Cost = \\frac{1}{2} \\times 48 = \\boxed{24}.", ["\\frac{1}{2} \\times 48 = \\boxed{24"]),
        ("48 clips / 2 = 24 clips, 48/2 = $24", ["48 clips / 2 = 24", "48/2 = $24"]),
        ("20 minutes/day * 3 = 60 minutes/day\nThen 60 + 20 = 80.", ["20 minutes/day * 3 = 60", "60 + 20 = 80"]),
        ("- 5 + 3 = 8\n* 2 * 3 = 6\n1. 2 x 4 = 8", ["5 + 3 = 8", "2 * 3 = 6", "2 x 4 = 8"]),
        ("She has 5\n3 + 4 = 7", ["3 + 4 = 7"]),
        ("48/2 = <<48/2=24>>24 clips", ["48/2 = <<48/2=24>>24"]),
        ("97 \u2013 12 = 85 and 40cm \u00d7 2 = 80cm", ["97 \u2013 12 = 85", "40cm \u00d7 2 = 80"]),
        ("2(7) + 1 = 14 + 1 = 15", ["2(7) + 1 = 14 + 1 = 15"]),
        ("In week 2 = 7", []), ("5x = 10, 2x + 3x = 5x, 3y + 4 = 7", []), ("2^3 + 1 = 9, \\sqrt{9} + 1 = 4", []),
        ("\\[ f - 12 = 20 \\] and \\[ \\text{jumped} - 26 = 31 \\]", []),
        ("log 100 + 1 = 3, 5! = 120", []), ("1 1/2 + 2 = 3 1/2", []),
    ],
)  # fmt: skip
def test_equations_between_plain_numbers_are_found(text: str, want: list[str]) -> None:
    assert found(text) == want
    assert not false_equation(text)


@pytest.mark.parametrize(
    "text",
    [
        "3 + 4 = 7", "10 / 3 = 3.33", "20 / 3 = 6.66", "20 / 3 = 6.67", "3.33 * 3 = 10", "10 / 3 \\approx 3",
        "10/3 ≈ 3",
        "50\\% \\times 20 = 10", "20 / 80 * 100 = 25%", "20% * 50 = 10", "$1,200 + 300 = 1{,}500$", "0.1 + 0.2 = 0.3",
        "1 hour + 30 minutes = 90 minutes", "3 * 50 cents = 1.50 dollars", "2 + 3 = 5 = 10 / 2", "x = 4, so 2x = 8",
        "nothing", "", "= = =", "1 / 0 = 5",
    ],
)  # fmt: skip
def test_what_is_true_or_no_equation_of_numbers_is_not_false(text: str) -> None:
    assert not false_equation(text)


@pytest.mark.parametrize(
    "text",
    [
        "So 7 + 5 = 13.", "10 / 3 = 3.4", "2 + 3 = 5 = 6", "\\[ 16 - 3 - 4 = 8 \\]", "16 eggs - 7 eggs = 8 eggs",
        "\\frac{42}{3} = 13", "$1{,}200 + 300 = 1{,}501$", "48 \\div 2 = \\boxed{23}", "0.25 * 1000 = 251",
        "5 + 3 = 8 + 2 = 10", "192*100=$1920",
    ],
)  # fmt: skip
def test_false_equations_are_seen(text: str) -> None:
    assert false_equation(text)


def test_any_sum_of_whole_numbers_is_judged_exactly(rng: np.random.Generator) -> None:
    for _ in range(300):
        a, b, c = (int(n) for n in rng.integers(1, 1000, 3))
        for written, value in ((f"{a} + {b} * {c}", a + b * c), (f"({a} - {b}) / {c}", Fraction(a - b, c))):
            some = tokens(written)
            assert worth(some, Side(0, len(some))) == value
            if value.denominator == 1 and value >= 0:
                assert not false_equation(f"{written} = {value}") and false_equation(f"{written} = {value + 1}")


def test_rounding_is_granted_to_the_last_digit_written() -> None:
    for written, fine in (("0.3", True), ("0.33", True), ("0.333", True), ("0.34", False), ("0.4", False)):
        some = tokens(f"1 / 3 = {written}")
        assert true(some, next(chains(some))) == fine


def test_long_texts_take_no_time() -> None:
    begun = time.process_time()
    for text in ("1 + " * 20_000 + "= 7", "= 7 " * 5_000, "(" * 20_000 + "= 7", "7 " * 20_000,
                 "\\frac{" * 9_000 + "= 7", "7 a b c " * 5_000 + "= 7", "7 eggs " * 5_000,
                 "\\text{" * 5_000, "1 = 1 " * 3_000):  # fmt: skip
        false_equation(text)
    assert time.process_time() - begun < 5
