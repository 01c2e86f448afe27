"""Rewriting of mathematical text: the wrong answer, its places, and what every kind leaves behind."""

import re
import time
from fractions import Fraction

import numpy as np
import pytest

from cooper_jax.host.negatives import mathematics
from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.negatives.mathematics import MathAssistant
from cooper_jax.host.negatives.numerals import literals
from cooper_jax.host.negatives.places import statement
from cooper_jax.host.negatives.unworked import everywhere
from cooper_jax.host.negatives.wrong_answer import wrong_answer
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier import rule
from cooper_jax.host.verifier.verdict import RIGHT, WRONG, Verdict

DUCKS = Request(
    Problem("Ducks lay 16 eggs a day. She eats three and bakes with four, and sells the rest for $2 an egg.", "18"),
    "She uses 3 + 4 = 7 eggs a day.\nShe has 16 - 7 = 9 eggs left.\nShe makes 9 * $2 = $18 a day.\n\n"
    "Therefore she makes 18 dollars: $\\boxed{18}$.\n",
    "18",
)


HALF = Request(
    Problem("What is the probability of heads?", "1/2"),
    "It is $P = 1/2 = 0.5$.\nHence\n\\[\n\\boxed{\\frac{1}{2}}\n\\]",
    "\\frac{1}{2}",
)


def request(text: str, question: str = "?", answer: str = "") -> Request:
    return Request(Problem(question, answer), text, answer)


def rewritten(one: Request, kind: str, times: int = 30, seed: int = 0) -> list[str]:
    helper = MathAssistant([kind])  # pyright: ignore[reportArgumentType]
    texts = helper.rewrite([one] * times, [np.random.default_rng(seed)] * times)
    assert texts == helper.rewrite([one] * times, [np.random.default_rng(seed)] * times)
    assert all(text is not None for text in texts)
    return [text for text in texts if text is not None]


def plainly(one: Request, times: int = 30) -> list[str]:
    """As texts are rewritten whose working cannot be followed."""
    stated, rng = statement(one.completion, one.answer), np.random.default_rng(0)
    assert stated
    texts = [everywhere(one, stated, rng) for _ in range(times)]
    assert all(texts)
    return [text for text in texts if text]


def test_the_changed_answer_stands_everywhere() -> None:
    for text in plainly(DUCKS):
        boxed = statement(text, "")
        assert boxed and boxed.text != "18" and "18" not in re.findall(r"\d+", text), text
        assert text == DUCKS.completion.replace("18", boxed.text)  # operands, layout and final line break stand


def test_equal_spellings_change_together() -> None:
    for one in (HALF, HALF._replace(completion=HALF.completion.replace("$P =", "$\\approx$ or is $"))):
        for text in rewritten(one, "answer"):
            values = [n.value for n in literals(text)]
            assert len(values) == 3 and values[0] == values[2] != Fraction(1, 2), text
            assert abs(values[1] - values[0]) < Fraction(1, 1000) and text.endswith("\n\\]")


@pytest.mark.parametrize(
    ("text", "question", "kept"),
    [
        (
            "Given x = 5 and y = 2. So z = 7 - 2 = 5. \\boxed{5}",
            "If x = 5 and y = 2, find z.",
            "Given x = 5 and y = 2.",
        ),
        ("There are 5 boxes. So 10 / 2 = 5 fit. \\boxed{5}", "There are 5 boxes; how many fit?", "There are 5 boxes."),
        ("We have 5 + 3 = 8 and 8 - 3 = 5. \\boxed{5}", "", "We have 5 + 3 = 8 and 8 - 3 = "),
        ("$5x = 25$, so $x = \\frac{25}{5} = 5$. \\boxed{5}", "", "$5x = 25$, so $x = \\frac{25}{5} = "),
        ("Step 5: $2^5 - 27 = 5$. \\boxed{5}", "", "Step 5: $2^5 - 27 = "),
        (
            "It is 5-fold, 5:3, in (5, 1). x = 5! / 24 = 5. \\boxed{5}",
            "",
            "It is 5-fold, 5:3, in (5, 1). x = 5! / 24 = ",
        ),
        ("15 - 10 = 5 and $15.5 - 0.5 = 15$. \\boxed{5}", "", "15 - 10 = "),
    ],
)
def test_operands_and_what_is_given_are_left_alone(text: str, question: str, kept: str) -> None:
    for wrong in plainly(request(text, question, "5")):
        assert wrong.startswith(kept) and "= 5." not in wrong and "\\boxed{5}" not in wrong, wrong


def test_a_wrong_answer_fits_the_words_around_it() -> None:
    david = request(
        "He did x more, x + 3 = 41. So, David did 38 more push-ups than Zachary: x = 38. \\boxed{38}",
        "David did 3 fewer than 41 more push-ups than Zachary. How many more did he do?",
        "38",
    )
    for text in plainly(david):
        assert not re.search(r"\b38\b", text), text
    one = request(
        "x + 2 = 3, so there is 1 balloon more. It is \\boxed{1} balloon.", "Jake has 3 balloons, Al 2. How many?", "1"
    )
    for text in plainly(one):
        assert re.search(r"there are (\d+) balloons more\. It is \\boxed\{\1\} balloons\.", text), text
    many = request("x + 2 = 5, so it is \\boxed{3} days.", "Wait 5 days, 2 are gone. How many?", "3")
    for text in plainly(many):
        number = re.findall(r"boxed\{(.*)\}", text)[0]
        assert number.isdigit() and number not in ("0", "1", "2", "5"), text


def test_the_letter_of_a_choice() -> None:
    one = request("(A) is 2. A better one is B, so B it is. Option (B). \\boxed{\\text{(B)}}", "(A) 2 (B) 3", "B")
    for text in rewritten(one, "answer"):
        letter = text[-4]
        assert letter != "B"
        want = (
            f"(A) is 2. A better one is {letter}, so {letter} it is. Option ({letter}). \\boxed{{\\text{{({letter})}}}}"
        )
        assert text in (want, want.replace(f"so {letter} it", "so B it"))


def test_without_a_step_to_set_up_otherwise_the_answer_is_changed() -> None:
    for text in (
        "Clearly it is \\boxed{12}.",
        "$y^2 = 9 + 7$ so $y = 4$ and $3y = 12$. \\boxed{12}",
    ):
        for wrong in rewritten(request(text, "", "12"), "intermediate"):
            stated = statement(wrong, "")
            assert stated and stated.text != "12"


ANSWERS = {
    "number": "7 -3 0 1,234 12{,}500 0.25 .5 100 3.14 1000000007",
    "fraction": "\\frac{1}{2} \\dfrac{22}{7} -\\frac34 3/4 -\\tfrac{5}{6}",
    "dressed": "15\\text{cm}^2 \\$20 25\\% x=5 30^\\circ 12\\,\\text{m} 8\\mathrm{kg}",
    "expression": "2x^2+3x-1 3\\sqrt{2} 4\\pi e x^2-1 2+3i \\frac{\\sqrt{3}}{2} -x \\sqrt{13} 2^{10} \\binom{5}{2}",
    "tuple": "(3,4) (1,2,3) (-1,0) \\left(\\frac12,3\\right) (0,0)",
    "set": "\\{1,2,3\\} 1,2 2,-2",
    "interval": "[2,\\infty) (-\\infty,3] (0,1] [1,2)\\cup(3,4) \\left[0,1\\right]",
    "matrix": "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}",
    "choice": "B (C) \\text{(D)} \\textbf{E} J",
    "word": "Yes false \\text{Tuesday} EVEN",
}


@pytest.mark.parametrize(("kind", "answers"), ANSWERS.items())
def test_wrong_answers_are_of_the_kind_of_the_right_one(kind: str, answers: str) -> None:
    rng = np.random.default_rng(0)
    for answer in answers.split():
        if answer in ("n!", "\\{a,b\\}", "\\{1\\}"):
            continue
        for _ in range(30):
            change = wrong_answer(answer, rng)
            assert change and change.text != answer, answer
            brackets = "".join(c for c in change.text if c in "{}") if kind not in ("fraction", "tuple") else ""
            assert brackets.count("{") == brackets.count("}")
            if kind in ("choice", "word", "matrix", "dressed"):
                shape = re.sub(r"-|\d[\d,.]*|(?<![a-zA-Z])[A-J](?![a-zA-Z])", "", answer)
                assert kind == "word" or re.sub(r"-|\d[\d,.]*|(?<![a-zA-Z])[A-J](?![a-zA-Z])", "", change.text) == shape


def test_there_is_no_rule_for_every_answer() -> None:
    rng = np.random.default_rng(0)
    for answer in ("", "the empty set", "\\text{blue whale}", "\\emptyset", "f"):
        change = wrong_answer(answer, rng)
        assert change is None or change.text != answer
    assert MathAssistant(["answer"]).rewrite([request("no answer here"), request("\\boxed{4")], [rng] * 2) == [
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("text", "answer", "want"),
    [
        ("\\boxed{1} then \\boxed{2}", "", "2"),
        ("<think>\\boxed{1}</think> so \\boxed{ \\frac{1}{2} }", "", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "", "\\{1, 2\\}"),
        ("<think>\\boxed{1}</think> The answer is 3.", "3", "3"),
        ("work\n#### 1,234", "1234", "1,234"),
        ("13 is not it. The answer is 3. Not 13.", "3", "3"),
        ("\\boxed{unclosed", "", None),
        ("nothing", "", None),
    ],
)
def test_where_the_answer_stands(text: str, answer: str, want: str | None) -> None:
    found = statement(text, answer)
    assert (found and found.text) == want
    if found and want:
        assert text[found.start : found.end] == want


NO_ATTEMPT = ("truncate", "opener")


@pytest.mark.parametrize("kind", [kind for kind in mathematics._REWRITINGS if kind not in NO_ATTEMPT])
def test_every_kind_states_a_wrong_answer_in_the_form_of_the_right_one(kind: str) -> None:
    for one in (
        DUCKS,
        HALF,
        request("6 * 7 = 42. The answer is 42.", "", "42"),
        request("\n 2 + 2 = 4\n#### 4 ", "", "4"),
    ):
        for text in rewritten(one, kind, 10):
            right, wrong = statement(one.completion, one.answer), statement(text, "")
            if "The answer is" not in one.completion:
                assert right and wrong and wrong.text != right.text
            for outer in (re.match(r"\s*", text), re.search(r"\s*$", text)):
                assert outer
            assert (
                text[: len(text) - len(text.lstrip())]
                == one.completion[: len(one.completion) - len(one.completion.lstrip())]
            )
            assert text[len(text.rstrip()) :] == one.completion[len(one.completion.rstrip()) :]
            assert ("\\boxed" in text) == ("\\boxed" in one.completion) and ("####" in text) == (
                "####" in one.completion
            )
            assert text.strip() != one.completion.strip()


@pytest.mark.parametrize("kind", NO_ATTEMPT)
def test_what_is_no_attempt_holds_nothing_of_the_answer(kind: str) -> None:
    """In no spelling; so the rule calls it wrong, however it looks for answers."""
    for one in (
        DUCKS,
        HALF,
        request("We add.\n 2 + 2 = 4\n#### 4 ", "", "4"),
        request("Of both, B. \\boxed{B}", "", "B"),
    ):
        seen = set(rewritten(one, kind, 60))
        assert len(seen) > 1
        stated = statement(one.completion, one.answer)
        assert stated
        for text in seen:
            assert text and isinstance(text, str) and (kind == "opener" or one.completion.strip().startswith(text))
            assert not {n.value for n in literals(stated.text)} & {n.value for n in literals(text)}, text
            for extract in ("boxed", "hash", "phrase", "last", "auto"):
                assert rule.verify(stated.text, text, True, extract).verdict != RIGHT, text
            assert rule.verify(stated.text, text, True, "boxed") == Verdict(WRONG, None, "no answer stated")
    assert MathAssistant(["truncate"]).rewrite([request("\\boxed{7}", "", "7")], [np.random.default_rng(0)]) == [None]


def test_no_text_stops_a_rewriting() -> None:
    rng = np.random.default_rng(0)
    pieces = [
        "\\frac{",
        "}",
        "{",
        "1",
        "23",
        "=",
        " ",
        "+",
        "\\boxed{",
        "$",
        "(",
        ")",
        ",",
        "-",
        "/",
        ".",
        "x",
        "\n",
        "answer is",
        "####",
        "^",
        "\\",
        "é",
        "½",
    ]
    for _ in range(1500):
        text = "".join(rng.choice(pieces, rng.integers(1, 40)))
        one = request(text + ("\\boxed{7}" if rng.random() < 0.7 else ""), text[:10], "7")
        for kind in mathematics._REWRITINGS:
            (wrong,) = MathAssistant([kind]).rewrite([one], [rng])  # pyright: ignore[reportArgumentType]
            assert wrong is None or wrong.strip() != one.completion.strip()


def test_long_texts_take_no_time() -> None:
    begun = time.process_time()
    for text in (
        "1 + " * 20_000 + "= 7 \\boxed{7}",
        "= 7 " * 5_000 + "\\boxed{7}",
        "(" * 20_000 + "\\boxed{7}",
        "7 " * 20_000 + "\\boxed{7}",
        "$" * 20_000 + "7" + "$" * 20_000 + "= 7" + " $" * 20_000 + "\\boxed{7}",
        "\\frac{" * 9_000 + "= 7 \\boxed{7}",
    ):
        MathAssistant(["intermediate"]).rewrite([request(text, "", "7")], [np.random.default_rng(0)])
    assert time.process_time() - begun < 10
