"""The built-in task: are its questions, its styles, its rule and its tokens what they are said to be?"""

import numpy as np
import pytest

from cooper_jax.config import Data, UserError
from cooper_jax.host import arithmetic
from cooper_jax.host.text import data
from cooper_jax.host.verifier.verdict import RIGHT, WRONG

TOKENIZER = arithmetic.Tokenizer()


SPLIT = Data(held_out=3)


WORKED = "8+7=15;15-4=11#11"


def test_questions_are_split_and_enough() -> None:
    train, kept = data.training(SPLIT).kept, data.held_out(SPLIT).kept
    assert not set(train) & set(kept) and len(train) == 2282 and len(kept) == 1161
    for question, reference, _ in (*train, *kept):
        assert reference == str(arithmetic.results(question)[1])
        assert min(arithmetic.results(question)) >= 0
        assert arithmetic.results(question)[1] == eval(question)  # the test's own check, on text it made


def test_styles_are_half_right(rng: np.random.Generator) -> None:
    """A warm start that imitates them is right about half the time."""
    train = arithmetic.questions(11)
    verdicts = []
    for question in rng.choice(train, 3000):
        text = arithmetic.styled(question, rng)
        assert TOKENIZER.decode(TOKENIZER.encode(text)) == text
        verdicts.append(arithmetic.verify(str(arithmetic.results(question)[1]), text, True).verdict)
    assert 0.6 < np.mean([v == RIGHT for v in verdicts]) < 0.72  # of the styles; a policy also slips
    assert 0.1 < np.mean([arithmetic.answer(arithmetic.styled(q, rng)) is None for q in train]) < 0.2


def test_a_slip_is_carried_to_the_end(rng: np.random.Generator) -> None:
    for _ in range(200):
        text = arithmetic.slip("8+7-4", rng)
        assert arithmetic.answer(text) != "11"
        assert text.split("=")[-1].split("#")[0] == arithmetic.answer(text)


def test_exact_rule() -> None:
    cases = [
        (WORKED, True, RIGHT, "11"),
        ("#12~#11", True, RIGHT, "11"),
        ("#11~#12", True, WRONG, "12"),
        ("#111", True, WRONG, "111"),
        ("8+7=15;15-4=11", True, WRONG, None),
        ("#11;", True, WRONG, None),
        ("#11 12", True, WRONG, None),
        ("", True, WRONG, None),
        (WORKED, False, WRONG, None),
    ]
    for text, finished, verdict, answer in cases:
        got = arithmetic.verify("11", text, finished)
        assert (got.verdict, got.answer) == (verdict, answer), text


def test_tokenizer() -> None:
    text = "<question>8+7-4</question>\n<reference_answer>11</reference_answer>\n<completion>#11~#12?</completion>"
    assert "".join(TOKENIZER.words[i] for i in TOKENIZER.encode(text)) == text
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == "8+7-4 11#11~#12?"  # a policy that samples tags has said nothing
    assert len(TOKENIZER) == len(set(TOKENIZER.words))
    ids = [
        TOKENIZER.bos_id,
        *TOKENIZER.encode("#11"),
        *TOKENIZER.encode("12"),
        10**6,
        TOKENIZER.stop_ids[0],
        TOKENIZER.pad_id,
    ]
    assert TOKENIZER.decode(ids) == "#11 12"
    assert TOKENIZER.encode("#11 12") == [*TOKENIZER.encode("#11"), *TOKENIZER.encode("12")]
    for text in ("x=3", "100"):
        with pytest.raises(UserError, match=text[-3:]):
            TOKENIZER.encode(text)
