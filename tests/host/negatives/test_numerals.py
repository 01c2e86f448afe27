"""Numbers in a text: read, and written as another one is."""

from fractions import Fraction

from cooper_jax.host.negatives.numerals import literals, spelled


def test_spelling_of_numbers() -> None:
    for value, like, want in (
        (Fraction(12345), "1,000", "12,345"), (Fraction(1, 3), "\\dfrac{1}{2}", "\\dfrac{1}{3}"),
        (Fraction(2), "1/2", "2"),
        (Fraction(-1, 2), "0.25", "-0.50"), (Fraction(1, 3), "0.5", "0.3333"), (Fraction(3, 10), ".5", ".3"),
        (Fraction(1234567), "12{,}000", "1{,}234{,}567"), (Fraction(5), "12,000", "5"),
    ):  # fmt: skip
        assert spelled(value, like) == want
    text = "x=-5, 3-5, 3 - 5, (-5), 1,234.50, 10/2, 3/4, \\frac{2}{4}, \\frac12, is -7"
    got = [str(n.value) for n in literals(text)]
    assert got == ["-5", "3", "5", "3", "5", "-5", "2469/2", "3/4", "1/2", "-7"]
