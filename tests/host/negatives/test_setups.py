"""Slips of set-up in texts as chat models write them: true sums, another answer, and words that fit."""

import re

import numpy as np
import pytest

from cooper_jax.host.negatives.equations import chains, false_equation, tokens, worked
from cooper_jax.host.negatives.language import in_words, no_longer_one, other_operation
from cooper_jax.host.negatives.places import statement
from cooper_jax.host.negatives.setups import slipped
from cooper_jax.host.verifier.rule import verify

TEXTS = {
    "display": (
        "Janet's ducks lay 16 eggs a day. She eats three, bakes with 4, sells the rest at $2. What does she make?",
        "18",
        "To find what Janet makes, we follow these steps:\n\n1. Find the eggs left:\n"
        "\\[ 16 - 3 - 4 = 9 \\text{ eggs} \\]\n\n2. Multiply the eggs by the price:\n\\[\n9 \\times 2 = 18\n\\]\n\n"
        "So, Janet makes $18 a day: "
        "\\(\\boxed{18}\\).",
    ),
    "fraction": (
        "There are 3 pieces in each package and a total of 42 pieces of gum. How many packages does Robin have?",
        "14",
        "Step 1: The total is 42.\nStep 2: Each package has 3 pieces.\nStep 3: We divide the total by the pieces:\n"
        "\\[\n\\frac{42}{3} = 14\n\\]\n\nTherefore, the number of packages Robin has is \\boxed{14}.",
    ),
    "words": (
        "A cage had 95 snakes and 61 alligators. 64 snakes were hiding. How many were not?",
        "31",
        "1. Subtract the number of snakes hiding from the number of snakes.\n\nThe cage had 95 snakes, 64 were "
        "hiding:\n\\[ 95 - 64 = 31 \\]\nThe number of snakes not hiding is \\(\\boxed{31}\\).",
    ),
    "numerals": (
        "Maria had twenty-five pieces of gum. Tommy gave her sixteen more. How many pieces does Maria have now?",
        "41",
        "She has 25 pieces, and Tommy gives her 16:\n\\[ 25 + 16 = 41 \\]\nMaria has \\(\\boxed{41}\\) pieces.",
    ),
    "prose": (
        "Natalia sold clips to 48 friends in April, and half as many in May. How many in all?",
        "72",
        "She sold 48 / 2 = 24 clips in May.\nShe sold 48 + 24 = 72 clips in all.\nThe answer is 72.",
    ),
    "chain": (
        "Ann has 12 boxes of 6 pens and 9 single pens. She gives away 20 pens. How many are left?",
        "61",
        "She has 12 * 6 + 9 = 72 + 9 = 81 pens. She keeps 81 - 20 = 61 pens, so 61 pens are left.\n\n#### 61",
    ),
    "money": (
        "A shirt costs $1,250 and a coat $975. The tax is 20%. What is the tax on both?",
        "445",
        "Together they cost $1,250 + $975 = $2,225.\nThe tax is 20% of that: $2,225 * 0.2 = $445.\n"
        "**Answer: $\\boxed{\\$445}$**",
    ),
    "decimals": (
        "Water comes at 2.5 litres a minute for 14 minutes, and 3.75 litres are lost. How much is there?",
        "31.25",
        "- It brings 2.5 \u00d7 14 = 35 litres.\n- There are 35 \u2212 3.75 = 31.25 litres.\n\n"
        "There are $\\boxed{31.25}$ litres.",
    ),
    "calculator": (
        "Weng earns $12 an hour. She worked 50 minutes. How much did she earn?",
        "10",
        "12/60 = $<<12/60=0.2>>0.2 a minute.\n50 minutes bring 0.2 x 50 = $<<0.2*50=10>>10.\n#### 10",
    ),
    "said first": (
        "Tobias paid $95 and has $15. He had $60 from lawns, $15 from others, the rest at $7 a driveway. How many?",
        "5",
        "He had $110 because 95 + 15 = 110.\nHe got $35 from driveways because 110 - 60 - 15 = 35.\n"
        "He cleared 5 driveways because 35 / 7 = 5.\nThe answer is \\boxed{5}.",
    ),
    "said and not worked out": (
        "A chef had 43 apples and 54 peaches. He had 38 apples left. How many apples did he use?",
        "5",
        "1. Apples at first: 43\n2. Apples left: 38\n3. Apples used: 43 - 38\n4. Work it out.\n   - 43 - 38 = 5\n\n"
        "The chef used \\boxed{5} apples.",
    ),
    "one": (
        "Allan brought 2 balloons and Jake brought 6 balloons, of which 3 flew off. How many more did Jake have left?",
        "1",
        "Jake has 6 - 3 = 3 balloons. 3 - 2 = 1. There is 1 balloon more, so Jake had \\(\\boxed{1}\\) more balloon.",
    ),
}  # fmt: skip


def slips(name: str, times: int = 40) -> list[str]:
    question, answer, text = TEXTS[name]
    stated = statement(text, answer)
    assert stated
    made = [
        [
            slipped(text, question, stated.start, stated.end, bool(seed % 2), np.random.default_rng(seed))
            for seed in range(times)
        ]
        for _ in range(2)
    ]
    assert made[0] == made[1]  # the draw decides alone
    assert all(text is not None for text in made[0])
    return [text for text in made[0] if text]


def numbers_of(text: str) -> list[str]:
    return [t.text for t in tokens(text) if t.kind == "number"]


@pytest.mark.parametrize("name", list(TEXTS))
def test_sums_stay_true_and_the_answer_is_another(name: str) -> None:
    _, answer, text = TEXTS[name]
    assert not false_equation(text) and verify(answer, text).verdict == "right"
    for wrong in slips(name):
        assert not false_equation(wrong), wrong
        assert sum(map(worked, chains(tokens(wrong)))) == sum(map(worked, chains(tokens(text)))), wrong
        verdict = verify(answer, wrong)
        assert verdict.verdict == "wrong" and verdict.answer is not None, wrong
        assert not re.search(r"(?<![\d.])-\s?\d|(?<=\s)0\b(?!\.)", wrong.replace("- ", "")), wrong
        final = float(verdict.answer.strip("$\\").replace(",", ""))
        assert float(answer) / 50 <= final <= 50 * float(answer)


@pytest.mark.parametrize("name", list(TEXTS))
def test_whole_numbers_stay_whole(name: str) -> None:
    _, _, text = TEXTS[name]
    for wrong in slips(name):
        if "." not in "".join(numbers_of(text)) and "$" not in text:
            assert "." not in "".join(numbers_of(wrong)), wrong


@pytest.mark.parametrize("name", list(TEXTS))
def test_only_numbers_signs_and_their_words_change(name: str) -> None:
    _, _, text = TEXTS[name]
    known = r"\\frac|\\times|\\div|[-+*/x\u00d7÷\u2212{}]|[\d.,]|\s|"
    known += r"\b(?:add|subtract|multiply|divide|from|to|by|are|is|balloons?)\b"
    for wrong in slips(name):
        bare = [re.sub(known, "", t, flags=re.IGNORECASE) for t in (text, wrong)]
        assert bare[0] == bare[1], wrong


def test_the_final_answer_is_what_the_text_has_found() -> None:
    for wrong in slips("display"):
        left, sold, made, said, boxed = re.findall(
            r"= (\d+) \\text.*\n(\d+) .*= (\d+)\n.*\$(\d+) a day.*boxed\{(\d+)\}", wrong, re.DOTALL
        )[0]
        assert made == said == boxed != "18"
        assert left == sold or f"{sold} " in wrong
    for wrong in slips("said first"):
        first, again = re.findall(r"He cleared (\d+) driveways because .* = (\d+)\.", wrong)[0]
        assert first == again == re.findall(r"boxed\{(\d+)\}", wrong)[0]


def test_the_error_stands_in_the_last_step_or_before_as_asked() -> None:
    question, answer, text = TEXTS["display"]
    stated = statement(text, answer)
    assert stated
    for seed in range(40):
        last, early = (
            slipped(text, question, stated.start, stated.end, last, np.random.default_rng(seed))
            for last in (True, False)
        )
        assert last and early and "16 - 3 - 4 = 9" in last and "16 - 3 - 4 = 9" not in early


def test_an_expression_said_twice_says_the_same() -> None:
    for wrong in slips("said and not worked out"):
        assert re.search(r"used: (\d+ - \d+)\n.*\n   - \1 = \d", wrong), wrong


def test_every_kind_of_slip_comes_up() -> None:
    made = slips("words", 60)
    assert any("95 + 64 = 159" in t and "Add the number of snakes hiding to the" in t for t in made)
    assert any("61 were hiding:\n\\[ 95 - 61 = 34" in t for t in made)
    assert any(re.search(r"(\d\d) snakes, (\d\d) were hiding:\n\\\[ \1 - \2 =", t) for t in made)
    assert not any("Subtract" in t and "+" in t for t in made)
    assert any("35 * 2" in t or "16 \\times 2" in t for t in slips("display", 60))


def test_what_words_mean_is_not_contradicted() -> None:
    for wrong in slips("prose", 60):
        # The 2 is "half", and no number of the question.
        assert "/ 2 =" in wrong or "* 2 =" in wrong or "- 2 =" in wrong
    for wrong in slips("one", 60):
        number = re.findall(r"boxed\{(\d+)\}", wrong)[0]
        assert int(number) > 1 and f"There are {number} balloons more" in wrong and wrong.endswith("more balloons.")


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("It is clearly \\boxed{12}.", "What is it?"),
        ("x + 5 = 17, so x = 12. \\boxed{12}", "What is x + 5 = 17?"),
        ("3 + 4 = 7. But it is \\boxed{12}.", "3 and 4?"),
        ("(1, 2), so 5 + 7 = 12: \\boxed{(12, 3)}", "5 and 7?"),
    ],
)
def test_without_a_working_there_is_no_slip(text: str, question: str) -> None:
    stated = statement(text, "12")
    assert stated and slipped(text, question, stated.start, stated.end, True, np.random.default_rng(0)) is None


def test_operations_in_words() -> None:
    def put(text: str, old: str, new: str) -> str | None:
        edits = other_operation(text, old, new)
        for start, end, word in sorted(edits or [], reverse=True):
            text = text[:start] + word + text[end:]
        return None if edits is None else text

    assert put("Subtract the cost from the price.", "-", "+") == "Add the cost to the price."
    assert put("by dividing 42 by 3, the quotient of both", "/", "*") == "by multiplying 42 by 3, the product of both"
    assert put("the difference between A and B", "-", "+") == "the sum of A and B"
    assert put("Subtract both and see.", "-", "+") is None and put("no such word", "-", "+") == "no such word"


def test_one_and_many() -> None:
    text = "There is 1 apple left in \\boxed{1} basket, 1 sheep"
    assert no_longer_one(text, 9, 10, "three apples") == [(11, 16, "apples"), (6, 8, "are")]
    assert no_longer_one(text, 32, 33, "many baskets") == [(35, 41, "baskets")]
    assert no_longer_one(text, 43, 44, text) is None


def test_a_number_that_the_question_has_in_words_is_misread() -> None:
    question, answer, text = TEXTS["numerals"]
    at = text.rindex(answer)
    made = [slipped(text, question, at, at + 2, True, np.random.default_rng(seed)) for seed in range(20)]
    assert any(x and "+" in x and "25 + 16" not in x and not false_equation(x) for x in made)
    assert in_words("Twenty-six, sixty two and six; one another, often") == [26, 62, 6]
