"""Every benchmark as it is published, what is left out, and what is said about a broken row."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from folders import ROOT
from rows import write

from cooper_jax.config import UserError
from cooper_jax.host.text import benchmarks
from cooper_jax.host.text.benchmarks import Labelled
from cooper_jax.host.text.data import Problem
from cooper_jax.host.text.formats import Question

DOCUMENT = (ROOT / "docs" / "data.md").read_text()
EXAMPLES = {
    heading: [json.loads(row) for row in rows.split("\n")]
    for heading, rows in re.findall(r"^#### ([^\n]+)\n.*?```json\n(.+?)\n```", DOCUMENT, re.M | re.S)
}


JANE = "Each pack of dvds costs 76 dollars. If there is a discount of 25 dollars on each pack."
JOAN = "Joan found 70 seashells. She gave Sam some and has 27 left. How many did she give to Sam ?"


WANTED: dict[str, list[Any]] = {
    "gsm8k": [
        Question(
            Problem("Natalia sold 48 clips in April and half as many in May. How many in all?", "72"),
            "",
            "48/2 = 24 in May.\n48+24 = 72 in all.",
        )
    ],
    "svamp": [
        Question(Problem(f"{JANE} How much do you have to pay to buy each pack?", "51"), "Subtraction", "76 - 25 = 51"),
        Question(
            Problem("There are 87 oranges and 290 bananas. How many fruits?", "377"), "Addition", "87 + 290 = 377"
        ),
    ],
    "mawps": [Question(Problem(JOAN, "43"), "singleeq"), Question(Problem(JOAN, "43"), "", "70 - 27 = 43")],
    "asdiv": [
        Question(
            Problem("Seven red apples and two green apples are in the basket. How many apples are in the basket?", "9"),
            "Addition",
            "7 + 2 = 9",
        ),
        Question(Problem("Rachel is the 3rd. Which place has Julie, two before her?", "1st"), "TVQ-Final"),
    ],
    "math500": [
        Question(Problem("Compute $1+\\frac12$.", "\\frac{3}{2}"), "level 2", "A worked solution that is not read.")
    ],
    "olympiadbench": [
        Question(Problem("Find the last digit of $3^4$.", "$1$"), "Number Theory"),
        Question(Problem("Let $n$ be an integer.\nSolve $n^2=4$.", "$2$, $-2$"), "Algebra"),
    ],
    "odyssey": [Question(Problem("Find $d-b$ if $a^3=b^2$, $c^5=d^4$, $c-a=77$.", "235"), "high school competition")],
    "verifybench": [Labelled(Problem("What is 12+34?", "46"), "It is \\boxed{46}.", True, "Numeric Values", "Integer")],
}


WANTED["verifybench-hard"] = WANTED["verifybench"]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("name", benchmarks.POLICY | benchmarks.REWARD)
def test_the_documents_examples(name: str, suffix: str, tmp_path: Path) -> None:
    rows = EXAMPLES["verifybench, verifybench-hard" if name.startswith("verify") else name]
    # One file is of one edition.
    read = [benchmarks.read(name, write(tmp_path / f"{i}{suffix}", [row]))[0] for i, row in enumerate(rows)]
    assert read == WANTED[name]


def test_numbers_and_remains_of_typesetting(tmp_path: Path) -> None:
    body = {"Body": "A farm.", "Question": "How many?"}
    for given, text in ((1234567.0, "1234567"), ("2.50", "2.5"), (8, "8"), ("-3.0", "-3")):
        [found] = benchmarks.read("svamp", write(tmp_path / "a.jsonl", [body | {"Answer": given}]))
        assert found.problem == Problem("A farm. How many?", text)
    for given, text in (
        ("16\\\\\n\\noindent", "16"),
        ("No \\\\\n\n\t\\noindent", "No"),
        ("$2\\theta^2/n$. \\\\ \n\\noindent", "$2\\theta^2/n$."),
        ("$\\begin{pmatrix}1\\\\2\\end{pmatrix}$", "$\\begin{pmatrix}1\\\\2\\end{pmatrix}$"),
    ):
        whole = {"Problem_9": {"question": "Is it?\n\t\n\\end{problem}\t\n\\noindent", "answer": given}}
        assert benchmarks.read("odyssey", write(tmp_path / "b.jsonl", [whole])) == [
            Question(Problem("Is it?", text), "")
        ]
    rest = {"completion": "", "answer_type": None, "answer_subtype": None, "gold_correct": 0}
    [found] = benchmarks.read("verifybench", write(tmp_path / "c.jsonl", [{"question": "1?", "answer": 1, **rest}]))
    assert found == Labelled(Problem("1?", "1"), "", False, "", "")


GSM = {"question": "1+1?", "answer": "so #### 2"}


JUDGED = {"question": "1+1?", "answer": "2", "completion": "#2", "gold_correct": True}


BROKEN: list[tuple[str, list[Any], str]] = [
    ("gsm8k", [GSM, "", "{"], "a.jsonl, line 3: not JSON: .* at character 2"),
    ("gsm8k", [GSM, "[1]"], "a.jsonl, line 2: not a JSON object"),
    ("gsm8k", [{"q": "?"}], "a.jsonl, line 1: a row of gsm8k needs 'answer'; it has q"),
    ("gsm8k", [GSM | {"answer": "2"}], "line 1: not a row of gsm8k: the answer holds no ####"),
    ("gsm8k", [GSM | {"question": " "}], "line 1: not a row of gsm8k: column question is empty"),
    ("gsm8k", ['{"question": "\\ud800", "answer": "#### 2"}'], "line 1: not a row of gsm8k: .*surrogates"),
    ("gsm8k", [GSM, "[" * 100_000], "line 2: nested too deeply"),
    ("gsm8k", [], "a.jsonl has no rows"),
    ("svamp", [{"Body": "A.", "Question": "B?", "Answer": "many"}], "could not convert string to float: 'many'"),
    ("svamp", [{"Body": "A.", "Question": "B?", "Answer": "nan"}], "column Answer must be text, not nan"),
    ("svamp", [{"Body": "A.", "Question": "B?", "Answer": None}], "line 1: not a row of svamp"),
    ("mawps", [{"input": "A?", "target": "many"}], "could not convert string to float: 'many'"),
    ("mawps", [{"sQuestion": "A?", "lSolutions": [1, 2]}], "line 1: not a row of mawps"),
    ("mawps", [{"input": "A?"}], "a row of mawps needs 'target'; it has input"),
    ("asdiv", [{"question": "A?", "answer": "1"}], "a row of asdiv needs 'body'; it has question, answer"),
    ("math500", [{"problem": "?", "answer": None}], "column answer must be text, not None"),
    ("olympiadbench", [{"question": "?", "final_answer": None}], "column final_answer must be text, not None"),
    ("olympiadbench", [{"question": "?", "final_answer": []}], "column final_answer is empty"),
    ("odyssey", [{"Problem_1": "?"}], "line 1: not a row of odyssey: needs {.*Problem_1"),
    ("verifybench", [JUDGED, JUDGED | {"gold_correct": "yes"}], "line 2: .*gold_correct = 'yes' is not true or false"),
    ("verifybench", [JUDGED | {"completion": None}], "column completion must be text, not None"),
]


@pytest.mark.parametrize(("name", "rows", "message"), BROKEN)
def test_a_broken_row_is_an_error_with_its_line(name: str, rows: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        benchmarks.read(name, write(tmp_path / "a.jsonl", rows))


def test_broken_files(tmp_path: Path) -> None:
    (tmp_path / "junk.parquet").write_text("junk")
    (tmp_path / "latin.jsonl").write_bytes('{"question": "é"}'.encode("latin-1"))
    (tmp_path / "torn.json").write_text('[\n{"question": "1"},\n{"question" 2}]')
    rows = [GSM, {"question": "1?", "answer": "####"}]
    for path, message in (
        ("junk.parquet", "is not a parquet file, or damaged"),
        ("latin.jsonl", "is not text: .*; use .jsonl, .json or .parquet"),
        ("torn.json", "torn.json, line 3: not JSON: .* at character 13"),
        ("none.jsonl", "none.jsonl: no such file"),
        (write(tmp_path / "rows.json", rows), "rows.json, object 2: not a row of gsm8k: column answer is empty"),
        (write(tmp_path / "rows.parquet", rows), "rows.parquet, row 1: not a row of gsm8k"),
    ):
        with pytest.raises(UserError, match=message):
            benchmarks.read("gsm8k", str(tmp_path / path))
    for named in ("gsm8k", "gsm8k:", "gsm9k:a.jsonl", ""):
        with pytest.raises(UserError, match=r"is not NAME:PATH with NAME one of gsm8k, .*; e.g. gsm8k:test.jsonl"):
            benchmarks.split_name(named)
    assert benchmarks.split_name("svamp:C:\\a.json") == ("svamp", "C:\\a.json")


def test_one_row_format_for_scoring_annotation_and_verdicts(tmp_path: Path) -> None:
    """`gold` is another name for `reference_answer`."""
    row = {"question": "1+1?", "completion": "2"}
    for more in ({"reference_answer": "2"}, {"gold": 2}, {"reference_answer": "2", "gold": "3"}):
        [(_, problem, completion, _)] = benchmarks.completions(write(tmp_path / "rows.jsonl", [row | more]))
        assert (problem, completion) == (Problem("1+1?", "2"), "2")
    with pytest.raises(UserError, match="needs 'reference_answer'; it has question, completion"):
        list(benchmarks.completions(write(tmp_path / "rows.jsonl", [row])))
