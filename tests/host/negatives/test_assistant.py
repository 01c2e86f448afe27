"""Wrong texts that look right: rewriting of mathematical text, a model behind a server, pairs, and judges."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest
from fake_server import FakeServer, replies, says, status

from cooper_jax import config, cooper
from cooper_jax.__main__ import main
from cooper_jax.config import Config, Pairs, UserError
from cooper_jax.host import arithmetic, judge
from cooper_jax.host.cache import Cache
from cooper_jax.host.judge import Opinion, Row
from cooper_jax.host.negatives import build as negatives
from cooper_jax.host.negatives import mathematics as rewrite
from cooper_jax.host.negatives.arithmetic import ArithmeticAssistant
from cooper_jax.host.negatives.assistant import Request, ServerAssistant, without_chatter
from cooper_jax.host.negatives.build import Pair, Starvation
from cooper_jax.host.negatives.mathematics import MathAssistant
from cooper_jax.host.negatives.numerals import literals, spelled
from cooper_jax.host.negatives.places import statement
from cooper_jax.host.negatives.style import Style, style_accuracy
from cooper_jax.host.negatives.wrong_answer import wrong_answer
from cooper_jax.host.server import Server
from cooper_jax.host.text import encode
from cooper_jax.host.text.data import Problem
from cooper_jax.host.text.templates import filled
from cooper_jax.host.verifier.pool import Job
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict
from cooper_jax.programs import annotate
from cooper_jax.run import log, machine, setup
from cooper_jax.run.timeline import Timeline

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
    texts = helper.rewrite([one] * times, np.random.default_rng(seed))
    assert texts == helper.rewrite([one] * times, np.random.default_rng(seed))
    assert all(text is not None for text in texts)
    return [text for text in texts if text is not None]


def test_the_changed_answer_stands_everywhere() -> None:
    for text in rewritten(DUCKS, "answer"):
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
    for wrong in rewritten(request(text, question, "5"), "answer"):
        assert wrong.startswith(kept) and "= 5." not in wrong and "\\boxed{5}" not in wrong, wrong


def test_the_letter_of_a_choice() -> None:
    one = request("(A) is 2. A better one is B, so B it is. Option (B). \\boxed{\\text{(B)}}", "(A) 2 (B) 3", "B")
    for text in rewritten(one, "answer"):
        letter = text[-4]
        assert letter != "B"
        want = (
            f"(A) is 2. A better one is {letter}, so {letter} it is. Option ({letter}). \\boxed{{\\text{{({letter})}}}}"
        )
        assert text in (want, want.replace(f"so {letter} it", "so B it"))


def test_an_error_is_carried_through_the_steps() -> None:
    seen = set()
    for text in rewritten(DUCKS, "intermediate", 40):
        numbers = re.fullmatch(
            r"She uses 3 \+ 4 = (\d+) eggs a day\.\nShe has 16 - (\d+) = (\d+) eggs left\.\nShe makes (\d+) \* \$2 = "
            r"\$(\d+) a day\.\n\nTherefore she makes (\d+) dollars: \$\\boxed\{(\d+)\}\$\.\n",
            text,
        )
        assert numbers, text
        used, less, left, sold, made, said, boxed = map(int, numbers.groups())
        assert used == less and left == sold and made == said == boxed != 18
        assert (16 - less == left) != (used == 7) and sold * 2 == made  # one slip, then sound arithmetic
        seen.add(used != 7)
    assert seen == {True, False}


def test_steps_in_other_notations() -> None:
    calculator = request(
        "12/60 = $<<12/60=0.2>>0.2 a minute.\n50 minutes: 0.2 x 50 = $<<0.2*50=10>>10.\n#### 10", "", "10"
    )
    for text in rewritten(calculator, "intermediate"):
        rate = re.findall(r"\d+\.\d", text)
        assert len(rate) == 4 and len(set(rate)) == 1 and rate[0] != "0.2", text
        assert text.endswith(f"#### {int(float(rate[0]) * 50 + 0.5)}")
    latex = request("$17 - 3 = 14$, so $x = \\frac{14}{2} = 7$. Then $2(7) + 1 = 14 + 1 = 15$: \\boxed{15}", "", "15")
    for text in rewritten(latex, "intermediate"):
        x = int(re.findall(r"\\frac\{\d+\}\{2\} = (\d+)", text)[0])
        assert f"$2({x}) + 1 = {2 * x} + 1 = {2 * x + 1}$: \\boxed{{{2 * x + 1}}}" in text and x != 7, text


def test_without_steps_to_spoil_the_answer_is_changed() -> None:
    for text in (
        "Clearly it is \\boxed{12}.",
        "$y^2 = 9 + 7$ so $y = 4$ and $3y = 12$. \\boxed{12}",
        "3 * 4 = 12 \\boxed{12}",
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
    assert MathAssistant(["answer"]).rewrite([request("no answer here"), request("\\boxed{4")], rng) == [None, None]


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


@pytest.mark.parametrize("kind", list(rewrite._REWRITINGS))
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
        for kind in rewrite._REWRITINGS:
            (wrong,) = MathAssistant([kind]).rewrite([one], rng)  # pyright: ignore[reportArgumentType]
            assert wrong is None or wrong.strip() != one.completion.strip()


def test_long_texts_take_no_time() -> None:
    import time

    begun = time.process_time()
    for text in (
        "1 + " * 20_000 + "= 7 \\boxed{7}",
        "= 7 " * 5_000 + "\\boxed{7}",
        "(" * 20_000 + "\\boxed{7}",
        "7 " * 20_000 + "\\boxed{7}",
        "$" * 20_000 + "7" + "$" * 20_000 + "= 7" + " $" * 20_000 + "\\boxed{7}",
        "\\frac{" * 9_000 + "= 7 \\boxed{7}",
    ):
        MathAssistant(["intermediate"]).rewrite([request(text, "", "7")], np.random.default_rng(0))
    assert time.process_time() - begun < 10


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


# A model behind a server


def test_a_server_rewrites() -> None:
    prompts: list[str] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return "<think>hm</think>\nSure, here it is:\n\n```latex\nIt is \\boxed{5}.\n```"

    one = Request(Problem("2+2? {reference}", "4"), "It is \\boxed{4}.", "4")
    with FakeServer(replies(answer), [says("cut", "length")]) as fake:
        cfg = config.Server(url=fake.url, model="m", concurrency=1)
        with Server(cfg) as server:
            helper = ServerAssistant(server, "{question}|{reference}|{completion}|\\boxed{x}")
            got = helper.rewrite([one] * 3, np.random.default_rng(0))
            assert got == [None, "It is \\boxed{5}.", "It is \\boxed{5}."]
            assert set(prompts) == {"2+2? {reference}|4|It is \\boxed{4}.|\\boxed{x}"}
            assert len({s["seed"] for s in fake.seen}) == 3
            figures = helper.figures()
            assert figures["assistant/requests"] == 3 and figures["assistant/unfinished"] == 1


def test_only_wrapping_is_taken_off() -> None:
    for reply, want in (
        ("Here is the solution:\nSo \\boxed{5}", "So \\boxed{5}"),
        ("Sure!\nCertainly.\n\nSo \\boxed{5}\n", "So \\boxed{5}"),
        ("```\nSo \\boxed{5}\n```", "So \\boxed{5}"),
        ("Here is where it gets hard", "Here is where it gets hard"),
        ("First\n```\nx\n```\n\\boxed{5}", "First\n```\nx\n```\n\\boxed{5}"),
        ("Sure thing, 5 apples\n\\boxed{5}", "Sure thing, 5 apples\n\\boxed{5}"),
    ):
        assert without_chatter(reply, "So \\boxed{4}") == want
    assert without_chatter("<think>a</think>b", "<think>c</think>d") == "<think>a</think>b"
    assert without_chatter("Here is it:\nb", "Here is it:\nc") == "Here is it:\nb"
    assert filled("{a}{b}{c}", a="{b}", b="\\1") == "{b}\\1{c}"


def test_prompts_must_show_what_they_ask_about() -> None:
    with pytest.raises(UserError, match=r"assistant.prompt lacks \{reference\}"):
        config.Assistant(prompt="{question} {completion}")
    with pytest.raises(UserError, match="without a model"):
        config.Assistant(kind="server")
    with pytest.raises(UserError, match="without a model"):
        config.Annotate(judge="server")


# Pairs

PROBLEM = Problem("8+7-4", "11")


class Fixed:
    """An assistant and a verifier that say what the test wants."""

    lockstep = False

    def __init__(self, text: str | None, verdict: Verdict | None = None) -> None:
        self.text, self.verdict, self.asked = text, verdict or Verdict(WRONG, "12", "different"), 0

    def rewrite(self, requests: Sequence[Request], rng: np.random.Generator) -> list[str | None]:
        self.asked += len(requests)
        assert all(r.answer == "11" for r in requests)
        return [self.text] * len(requests)

    def figures(self) -> dict[str, float]:
        return {}

    def submit(self, jobs: Sequence[Job]) -> Any:
        self.jobs = jobs
        return self

    def result(self) -> list[Verdict]:
        return [self.verdict] * len(self.jobs)


def pairs_of(fixed: Any, cfg: Pairs, completions: Sequence[str], score: Sequence[float] | None = None) -> Any:
    verdicts = [
        Verdict(RIGHT if "11" in c else WRONG, c if c.strip("#") and "cut" not in c else None, "") for c in completions
    ]
    verdicts = [v._replace(answer="11") if v.verdict == RIGHT else v for v in verdicts]
    return negatives.build(
        [PROBLEM], completions, verdicts, fixed, fixed, lambda t: len(t) < 100, cfg, np.random.default_rng(0),
        None if score is None else np.array(score),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "verdict", "refusal"),
    [
        (None, Verdict(WRONG, None, ""), "unfinished"),
        ("so \\boxed{11}", Verdict(RIGHT, "11", ""), "right"),
        ("so \\boxed{1x}", Verdict(UNKNOWN, "1x", ""), "unknown"),
        ("so \\boxed{}", Verdict(WRONG, None, ""), "no_answer"),
        ("so it must be that this is \\boxed{12}", Verdict(WRONG, "12", ""), "length"),
        ("so #### 12 it is", Verdict(WRONG, "12", ""), "form"),
        ("```\\boxed{12}```", Verdict(WRONG, "12", ""), "form"),
        (" so \\boxed{12}\n", Verdict(WRONG, "12", ""), None),
    ],
)
def test_why_a_rewriting_is_refused(text: str | None, verdict: Verdict, refusal: str | None) -> None:
    slots, figures = pairs_of(Fixed(text, verdict), Pairs(tries=2, length_ratio=1.5), ["so \\boxed{11}", "x"])
    refused = {k: v for k, v in figures.items() if k.startswith("pairs/refused_") and v}
    assert refused == ({f"pairs/refused_{refusal}": 2.0} if refusal else {})
    assert (slots[0] is None) == (refusal is not None) and figures["pairs/assistant_refused"] == sum(refused.values())
    if slots[0]:
        assert slots[0].wrong == "so \\boxed{12}"  # outer white space is no difference


def test_on_policy_negatives_are_the_best_scored_wrong_samples() -> None:
    completions = ["#11", "#9", "#12", "cut 8", "#9", "#7"]
    score = [0.1, 0.3, 0.9, 1.0, 0.5, 0.2]
    helper = Fixed("#13")
    slots, figures = pairs_of(helper, Pairs(per_question=4, on_policy=1.0), completions, score)
    assert [s.wrong for s in slots] == ["#12", "#9", "#7", "#13"]  # each text once; what states no answer never
    assert figures["pairs/on_policy"] == 3 and helper.asked == 1 and {s.right for s in slots} == {"#11"}
    shares = []
    for seed in range(200):
        slots, figures = negatives.build(
            [PROBLEM], ["#11", "#9"], [Verdict(RIGHT, "11", ""), Verdict(WRONG, "9", "")], helper, helper,  # pyright: ignore
            lambda _: True, Pairs(on_policy=0.3), np.random.default_rng(seed), np.array([0.0, 1.0]),
        )  # fmt: skip
        shares.append(figures["pairs/on_policy"])
    assert 0.2 < np.mean(shares) < 0.4
    slots, figures = pairs_of(helper, Pairs(on_policy=1.0), ["#9", "#8"], [0.5, 0.6])
    assert slots == [None] and figures["pairs/questions_with_positive"] == 0  # no positive, no pair


def step_of(positives: float, valid: float) -> dict[str, float]:
    return {"pairs/questions_with_positive": positives, "pairs/valid": valid}


def test_a_run_without_pairs_warns_and_ends() -> None:
    cfg = Pairs(per_question=2, min_valid_rate=0.5, patience=5)

    def watch(records: Iterable[dict[str, float]], past: list[dict[str, float]] | None = None) -> list[str | None]:
        starvation = Starvation(cfg, lambda step: (past or [])[:step])
        start = len(past or [])
        return [starvation.note(start + i + 1, record) for i, record in enumerate(records)]

    healthy = [step_of(8, 16), step_of(1, 1), step_of(8, 8)]
    assert watch(healthy * 10) == [None] * 30
    poor, barren = step_of(8, 7), step_of(0, 0)
    said = watch([*healthy, *[poor] * 4, *healthy, *[poor] * 4])
    assert [i for i, s in enumerate(said) if s] == [5, 12] and "less than 50% of the slots" in str(said[5])
    with pytest.raises(UserError, match=r"in each of the last 5 steps less than 50% .* the assistant fails"):
        watch([*healthy, *[poor] * 5])
    with pytest.raises(UserError, match="no completion of any question was right in the last 5 steps"):
        watch([poor, *[barren] * 5])
    assert all(s is None or "no completion" not in s for s in watch([barren, barren, poor, barren, barren, healthy[0]]))
    # Steps without a positive say nothing of the assistant; what was before a restart is counted.
    with pytest.raises(UserError, match="in each of the last 5"):
        watch([poor] * 3, [*healthy, poor, barren, poor])
    assert watch([poor] * 2, [*healthy, poor, poor])[-1] is None


def test_form_alone_is_measured() -> None:
    rng = np.random.default_rng(0)
    questions = [f"question {n}" for n in range(40)]
    pairs, marked, longer = [], [], []
    for _ in range(120):
        question = str(rng.choice(questions))
        words = " ".join(rng.choice(["so", "thus", "we", "get", "add", "x", "and"], 30))
        right, wrong = f"{words} \\boxed{{{rng.integers(100)}}}", f"{words} \\boxed{{{rng.integers(100)}}}"
        pairs.append(Pair(Problem(question, "1"), right, wrong))
        marked.append(Pair(Problem(question, "1"), right, wrong + "\n"))
        longer.append(Pair(Problem(question, "1"), right, wrong.replace("and", "and so and")))
    assert style_accuracy(pairs) == pytest.approx(0.5, abs=0.1)
    assert style_accuracy(marked) > 0.95 and style_accuracy(longer) > 0.95
    assert style_accuracy([p._replace(problem=PROBLEM) for p in marked]) == 0.5
    style = Style(every=3, window=64)
    assert [bool(style.note(step, marked[:20])) for step in range(1, 10)] == [False] * 5 + [True, False, False, True]
    assert style.note(12, [])["pairs/style_accuracy"] > 0.95 and Style(0, 64).note(3, marked) == {}


def test_pairs_of_the_built_in_task_do_not_differ_in_form() -> None:
    rng = np.random.default_rng(0)
    questions = arithmetic.questions(11)
    requests = []
    for question in rng.choice(questions, 256):
        partial, result = arithmetic.results(question)
        text = f"{arithmetic.work(question, partial, result)}#{result}"
        requests.append(Request(Problem(question, str(result)), text, str(result)))
    for kinds, low, high in ((["answer", "intermediate"], 0.4, 0.6), (["hedge"], 0.95, 1.0)):
        texts = ArithmeticAssistant(kinds).rewrite(requests, rng)  # pyright: ignore[reportArgumentType]
        pairs = [Pair(r.problem, r.completion, t or "") for r, t in zip(requests, texts, strict=True)]
        assert low <= style_accuracy(pairs) <= high


# In a run


@pytest.fixture
def lucky(tiny_config: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A run from random weights, whose samples read `#2` to `#5`, so that some are right."""

    def decode(tokens_BT: np.ndarray, real_BT: np.ndarray, tokenizer: Any) -> list[str]:
        return [f"#{i % 4 + 2}" for i in range(len(tokens_BT))]

    monkeypatch.setattr(encode, "decode", decode)
    monkeypatch.setattr(cooper, "Job", lambda reference, text, _: Job(reference, text, True))
    policy, reward = replace(tiny_config.policy, init=""), replace(tiny_config.reward, init="")
    data = config.Data(max_operand=2, held_out=2)
    return replace(tiny_config, policy=policy, reward=reward, data=data, eval_every=0, steps=2, save_every=1)


@pytest.mark.usefixtures("one_device")
def test_rewriting_runs_while_the_policy_is_updated(lucky: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The update is made to take seconds; the assistant is called before it is over. Scores are waited for only where
    on-policy negatives need them."""
    order: list[str] = []
    updates: list[Any] = []

    @jax.jit
    def slowly(x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 20_000, lambda _, y: jax.numpy.sin(y @ y), jax.numpy.full((100, 100), x)).sum()

    class Noting(Fixed):
        def rewrite(self, requests: Sequence[Request], rng: np.random.Generator) -> list[str | None]:
            order.append("assistant, update under way" if not updates[-1].is_ready() else "assistant, too late")
            return [f"#{int(r.answer) + 1}" for r in requests]

    with machine.machine(lucky, policy=lucky.policy, reward=lucky.reward) as here:
        run, policy, reward = setup.cooper_run(lucky, here)
        real, fetch = run.jits.policy_update, cooper.fetch

        def update(state: Any, batch: Any) -> Any:
            state, record = real(state, batch)
            updates.append(slowly(record["loss"]))
            return state, record | {"late": updates[-1]}

        def watched(tree: Any) -> Any:
            order.append("scores" if isinstance(tree, jax.Array) else "tokens")
            return fetch(tree)

        monkeypatch.setattr(cooper, "fetch", watched)
        run.jits = replace(run.jits, policy_update=update)
        run.assistant = Noting("")
        state = cooper.CooperState(policy, reward)
        _, record = cooper.cooper_step(state, run.stream.take(8), 0, run, Timeline())
        assert order == ["tokens", "assistant, update under way", "scores"]
        assert record["pairs/valid"] > 0 and "score/gap" in record
        jax.block_until_ready(updates)


@pytest.mark.usefixtures("one_device")
def test_a_run_with_an_assistant_behind_a_server(lucky: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Pairs come about, counts are logged, and a run that is made again asks nothing twice."""

    def wrong(prompt: str) -> str:
        return f"Here it is:\n#{int(prompt.rpartition('|')[2][1:]) + 1}"

    with FakeServer(replies(wrong), [status(500)]) as fake:
        server = config.Server(url=fake.url, model="m", backoff=0.01)
        helper = config.Assistant("server", server=server, prompt="{question} {reference}|{completion}")
        cfg = replace(lucky, assistant=helper, pairs=Pairs(per_question=2, on_policy=0.3))
        cooper.train(cfg)
        asked = len(fake.seen)
        first = log.history(cfg.dir, 2)
        assert len(first) == 2 and first[0]["assistant/requests"] > 0 and first[0]["assistant/retries"] == 1
        assert first[0]["pairs/valid"] == 2 * first[0]["pairs/questions_with_positive"] > 0
        assert sum(r["pairs/on_policy"] for r in first) > 0
        again = replace(
            cfg, dir=f"{cfg.dir}2", assistant=replace(helper, server=replace(server, cache=f"{cfg.dir}/replies.jsonl"))
        )
        cooper.train(again)
        second = log.history(again.dir, 2)
        assert len(fake.seen) == asked and [r["pairs/valid"] for r in second] == [r["pairs/valid"] for r in first]
        assert [r["policy/loss"] for r in second] == [r["policy/loss"] for r in first]

    with FakeServer(status(401, "who are you")) as fake:
        server = config.Server(url=fake.url, model="m")
        cfg = replace(cfg, dir=f"{cfg.dir}3", assistant=replace(helper, server=server))
        with pytest.raises(UserError, match="answered HTTP 401: who are you"):
            cooper.train(cfg)
    with FakeServer(says("cut", "length")) as fake:
        server = config.Server(url=fake.url, model="m")
        starving = Pairs(per_question=2, tries=1, patience=2)
        cfg = replace(cfg, dir=f"{cfg.dir}4", steps=4, assistant=replace(helper, server=server), pairs=starving)
        capsys.readouterr()
        with pytest.raises(UserError, match="in each of the last 2 steps less than 10%"):
            cooper.train(cfg)
        assert "warning, step 1: in each of the last 1 steps" in capsys.readouterr().out


# Judges


def test_yes_and_no() -> None:
    for reply, want in (
        ("Yes", RIGHT), ("no.", WRONG), ("**Yes**", RIGHT), ("\\boxed{No}", WRONG), ("<think>yes</think>No", WRONG),
        ("The answers agree. Yes", RIGHT), ("Yes, though at first I thought no", WRONG), ("No: 3 is not 4", WRONG),
        ("", UNKNOWN), ("Perhaps", UNKNOWN), ("It is yes or no, maybe", UNKNOWN), ("Nothing agrees", UNKNOWN),
    ):  # fmt: skip
        assert judge.opinion(reply).verdict == want, reply


ROWS = [{"question": "8+7-4", "reference_answer": "11", "completion": f"#{n}"} for n in (11, 12, 11, 13)]
ROWS += [
    {"question": "8+7-4", "reference_answer": "11", "completion": "#11~#12"},
    {"question": "8+7-4", "reference_answer": "11", "completion": "#11", "finished": False},
    {"question": "8+7-4", "reference_answer": "11", "completion": "#17"},
]


def test_annotation_by_a_server_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "rows.jsonl", tmp_path / "out"
    file.write_text("\n".join(map(json.dumps, ROWS)))

    def act(request: Any) -> None:
        completion = request.body["messages"][0]["content"].split("<completion>\n")[1].split("\n")[0]
        if completion == "#17":
            return status(500)(request)
        says("Perhaps" if completion == "#13" else "Yes" if "11" in completion else "No")(request)

    with FakeServer(act) as fake:
        server = config.Server(url=fake.url, model="m", retries=0, temperature=0.0)
        cfg = annotate.FromFile(out=str(out), server=server, verifier=config.Verifier("arithmetic", workers=1))
        annotate.annotate_file(str(file), cfg)
        assert len(fake.seen) == 6 and {s["temperature"] for s in fake.seen} == {0.0}  # equal rows are judged once
        fake.act = says("No")
        said = capsys.readouterr().out
        assert "kept 3 of 7" in said and "gave no answer on 1 rows; run again" in said
        kept = pq.read_table(out / "labels.parquet").to_pylist()
        assert [(r["completion"], r["label"], r["row"]) for r in kept] == [("#11", 1, 0), ("#12", 0, 1), ("#11", 1, 2)]
        assert {r["judged_by"] for r in kept} == {json.loads((out / "report.json").read_text())["judge"]}
        figures = json.loads((out / "report.json").read_text())
        counts = {(c["rule"], c["judge"]): c["count"] for c in figures["cells"]}
        assert counts == {
            (RIGHT, RIGHT): 2,
            (WRONG, WRONG): 1,
            (WRONG, RIGHT): 2,
            (WRONG, UNKNOWN): 1,
            (WRONG, "none"): 1,
        }
        dropped = {k: v for k, v in figures.items() if k.startswith("dropped")}
        assert dropped == {
            "dropped": 4, "dropped_disagree": 2, "dropped_rule_unknown": 0, "dropped_judge_unknown": 1,
            "dropped_judge_silent": 1,
        }  # fmt: skip
        assert figures["agreement"] == 3 / 5 and figures["kappa"] == pytest.approx((0.6 - 0.44) / 0.56)
        page = (out / "report.md").read_text()
        assert "| wrong | 1 | 2 | 1 | 1 |" in page and '"completion": "#11~#12"' in page

        annotate.annotate_file(str(file), cfg)
        assert len(fake.seen) == 7  # only the row that got no answer
        assert len(pq.read_table(out / "labels.parquet")) == 4

        # Killed before the opinions were written down: each answer stands in the server's own cache.
        (out / "opinions.jsonl").unlink()
        annotate.annotate_file(str(file), cfg)
        assert len(fake.seen) == 7


def test_opinions_are_kept_by_judge_and_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "CHUNK", 2)

    class Counting:
        def __init__(self, name: str) -> None:
            self.name, self.asked = name, 0

        def judge(self, rows: Sequence[Row]) -> list[Opinion | None]:
            self.asked += len(rows)
            if self.asked > 2:
                raise KeyboardInterrupt
            return [Opinion(RIGHT, "Yes")] * len(rows)

    rows = [Row(Problem("q", "1"), c) for c in "aabcde"]
    first = Counting("a")
    with Cache(tmp_path / "c.jsonl") as cache, pytest.raises(KeyboardInterrupt):
        list(judge.opinions(first, rows, cache))
    second = Counting("a")
    with Cache(tmp_path / "c.jsonl") as cache:
        done = list(judge.opinions(second, rows[:4], cache))
        assert second.asked == 2 and [n for n, _ in done] == [2, 4]  # the first chunk, a alone, was kept
        other = Counting("b")
        next(judge.opinions(other, rows, cache))
        assert other.asked == 1


def test_mistakes_in_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.jsonl"
    good = json.dumps(ROWS[0])
    for text, message in (
        (f"{good}\n{{", "rows.jsonl, line 2: not JSON"),
        (f"{good}\n\n[1]", "line 3: not a JSON object"),
        ('{"question": "a"}', "line 1: needs .reference_answer.; it has question"),
        (json.dumps(ROWS[0] | {"finished": 1}), "line 1: finished = 1 must be true or false"),
        ("", "has no rows"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=message):
            judge.read_rows(str(file))
    (tmp_path / "rows.parquet").write_text("no")
    with pytest.raises(UserError, match="is not a parquet file"):
        judge.read_rows(str(tmp_path / "rows.parquet"))
    for args, message in (
        ([str(tmp_path / "none.jsonl"), "--judge", "lenient"], "no such file"),
        ([str(file)], "name it with --server.model"),
    ):
        with pytest.raises(SystemExit):
            main(["annotate", *args, "--out", str(tmp_path / "out")])
        assert message in capsys.readouterr().err
