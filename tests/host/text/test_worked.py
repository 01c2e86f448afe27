"""What is imitated of each source, and is the answer stated so that the rule reads it?"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from folders import ROOT
from rows import write

from cooper_jax.config import Data, Prompting, UserError, Verifier
from cooper_jax.host.text import worked
from cooper_jax.host.text.problem import Message, Problem
from cooper_jax.host.text.worked import Example

DOCUMENT = (ROOT / "docs" / "data.md").read_text()
[SHOWN] = re.findall(r"^## Worked answers\n.*?```json\n(.+?)\n```", DOCUMENT, re.M | re.S)
ASKED = Message("user", "What is 12+34?")
QUESTION = Problem("What is 12+34?", "46")


def read(path: Path, rows: list[Any], column: str = "", **options: Any) -> list[Example]:
    return worked.examples(write(path, rows), Data(**options), column).kept


def test_the_documents_rows(tmp_path: Path) -> None:
    """In their order: a solution, a completion, a chat, one column for both."""
    rows = [json.loads(line) for line in SHOWN.split("\n")]
    found = [read(tmp_path / f"{i}{end}", [row]) for i, row in enumerate(rows) for end in (".jsonl", ".parquet")]
    assert found[::2] == found[1::2]
    chat = (Message("system", "Be brief."), ASKED)
    assert [example for [example] in found[::2]] == [
        Example(QUESTION, "12 + 34 = 46", whole=False),
        Example(Problem("What is 12+34?", ""), "It is \\boxed{46}.", whole=True),
        Example(Problem("What is 12+34?", "", chat), "It is \\boxed{46}.", whole=True),
        Example(QUESTION, "12+34 = 46 in all.", whole=False),
    ]


@pytest.mark.parametrize(
    ("name", "row", "wanted"),
    [
        ("svamp", {"Body": "A.", "Question": "B?", "Answer": 9.0, "Equation": "( 7.0 + 2.0 )"}, "7 + 2 = 9"),
        ("asdiv", {"body": "A.", "question": "B?", "answer": "9 (apples)", "formula": "7+2=9"}, "7 + 2 = 9"),
        ("mawps", {"sQuestion": "A?", "lSolutions": [43.0], "lEquations": ["X=(70.0-27.0)"]}, "70 - 27 = 43"),
        ("gsm8k", {"question": "A?", "answer": "7+2 = <<7+2=9>>9.\n#### 9"}, "7+2 = 9."),
    ],
)
def test_published_formats_by_name_and_by_columns(name: str, row: dict[str, Any], wanted: str, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [row])
    by_name, by_columns = (worked.examples(source, Data(), "").kept for source in (f"{name}:{path}", path))
    assert by_name == by_columns
    assert [example.completion for example in by_name] == [wanted]
    with pytest.raises(UserError, match=r"leave out --sft.solution, or name the file alone"):
        worked.examples(f"{name}:{path}", Data(), "formula")


def test_columns_and_chats(tmp_path: Path) -> None:
    chat = [m._asdict() for m in (ASKED, Message("assistant", "First?"), ASKED, Message("assistant", " It is 46. "))]
    asked = (ASKED, Message("assistant", "First?"), ASKED)
    for row, options, wanted in (
        ({"messages": chat}, {}, Example(Problem("What is 12+34?", "", asked), "It is 46.", whole=True)),
        (
            {"messages": chat, "answer": 46},
            {},
            Example(Problem("What is 12+34?", "46", asked), "It is 46.", whole=True),
        ),
        (
            {"prompt": chat[:1], "completion": chat[-1:]},
            {},
            Example(Problem("What is 12+34?", "", (ASKED,)), "It is 46.", whole=True),
        ),
        (
            {"question": "What is 12+34?", "reference_answer": "46", "completion": "It is 46.", "label": 1},
            {},
            Example(QUESTION, "It is 46.", whole=True),
        ),
        (
            {"q": "What is 12+34?", "a": "46", "how": "12 + 34 = 46"},
            {"question": "q", "answer": "a", "column": "how"},
            Example(QUESTION, "12 + 34 = 46", whole=False),
        ),
        (
            {"problem": "What is 12+34?", "solution": "It is $\\boxed{46}$."},
            {},
            Example(Problem("What is 12+34?", ""), "It is $\\boxed{46}$.", whole=True),
        ),
    ):
        assert read(tmp_path / "rows.jsonl", [row], **options) == [wanted]


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        ({"messages": [ASKED._asdict()]}, "", "line 1: column messages: the last message must be the assistant's"),
        ({"messages": [Message("assistant", "x")._asdict()]}, "", "line 1: .* the last message must be the user's"),
        ({"messages": "x"}, "", "line 1: .*the last message must be the assistant's"),
        ({"question": "A?"}, "", "line 1: no worked answer; it has question; name its column with --sft.solution"),
        ({"question": "A?", "completion": ""}, "", "line 1: column completion is empty; mend the row"),
        ({"question": "A?", "answer": "2"}, "how", "line 1: no column how; it has question, answer"),
        ({"question": "A?", "answer": "2"}, "", "1 without a worked solution .*: nothing to imitate; .*--sft.data"),
        ({"input": "A?", "target": 2.0}, "", r"\(mawps\): 1 rows; 0 used; .* nothing to imitate"),
    ],
)
def test_what_cannot_be_imitated(row: dict[str, Any], column: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        read(tmp_path / "rows.jsonl", [row], column)


def test_rows_without_a_solution_are_counted(tmp_path: Path) -> None:
    row = {"body": "A.", "question": "B?", "answer": "9 (apples)", "formula": "7+2=9"}
    found = worked.examples(write(tmp_path / "a.jsonl", [row, row | {"formula": "GCD(9,18)=9"}]), Data(), "")
    assert len(found.kept) == 1 and "2 rows; 1 used; 1 without a worked solution that can be read" in str(found)


@pytest.mark.parametrize(
    ("rule", "instruction", "wanted"),
    [
        (Verifier(), "{question}", "7 + 2 = 9\nThe answer is \\boxed{9}."),
        (Verifier(extract="hash"), "{question}", "7 + 2 = 9\n#### 9"),
        (Verifier(extract="phrase"), "{question} Use \\boxed{}.", "7 + 2 = 9\nThe answer is 9."),
        (Verifier(extract="last"), "{question}", "7 + 2 = 9\nThe answer is 9."),
        (Verifier(extract="auto"), "{question} Use \\boxed{}.", "7 + 2 = 9\nThe answer is \\boxed{9}."),
        (Verifier(extract="auto"), "{question} Put it after ####.", "7 + 2 = 9\n#### 9"),
        (Verifier(extract="auto"), "{question}", "7 + 2 = 9\nThe answer is 9."),
        (Verifier("arithmetic"), "{question}", "7 + 2 = 9\n#9"),
    ],
)
def test_the_answer_is_stated_as_the_rule_reads_it(rule: Verifier, instruction: str, wanted: str) -> None:
    problem, prompting = Problem("A?", "9"), Prompting(instruction=instruction)
    [found] = worked.stated([Example(problem, "7 + 2 = 9", whole=False)], rule, prompting)
    assert found.completion == wanted
    as_it_is = [
        found,  # the answer stands already
        Example(problem, "7 + 2 = 9", whole=True),
        Example(Problem("A?", ""), "7 + 2 = 9", whole=False),
    ]
    if rule.rule == "math":
        assert worked.stated(as_it_is, rule, prompting) == as_it_is
