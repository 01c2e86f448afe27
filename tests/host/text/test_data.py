"""Right rows? Every format that docs/data.md shows, what is left out, and what is said about a broken row."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from etils import epath
from folders import ROOT, tokenizer_folder

from cooper_jax.config import Config, Data, Model, Prompting, Rollout, Trainee, UserError
from cooper_jax.cooper import train
from cooper_jax.host.text import data
from cooper_jax.host.text.data import Problem
from cooper_jax.run import machine, start
from cooper_jax.run.curves import records

DOCUMENT = (ROOT / "docs" / "data.md").read_text()
EXAMPLES = {heading: json.loads(row) for heading, row in re.findall(r"^### (.+)\n+```json\n(.+)\n```", DOCUMENT, re.M)}
QUESTION = "What is 12+34?"
WANTED = {
    "Questions and answers": Problem("Natalia sold 48 clips in April and half as many in May. How many in all?", "72"),
    "Other column names": Problem("Compute $1+\\frac12$.", "\\frac{3}{2}"),
    "verl": Problem(
        f"{QUESTION} Put the answer after ####.",
        "46",
        (data.Message("system", "Be brief."), data.Message("user", f"{QUESTION} Put the answer after ####.")),
    ),
    "TRL": Problem(QUESTION, "46", (data.Message("user", QUESTION),)),
    "VerifyRM": Problem(QUESTION, "46"),
}


def write(path: Path, rows: list[Any]) -> str:
    """The rows as parquet or, lines that are text already as they are, as JSON lines."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def everything(source: str, **options: Any) -> list[Problem]:
    """All problems of a file: read as a held-out one, of which nothing is kept back."""
    return data.held_out(Data(evaluation=source, **options)).kept


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("name", list(WANTED))
def test_the_documents_examples(name: str, suffix: str, tmp_path: Path) -> None:
    assert EXAMPLES.keys() == WANTED.keys()
    assert everything(write(tmp_path / f"rows{suffix}", [EXAMPLES[name]])) == [WANTED[name]]


def test_named_columns_and_numbers(tmp_path: Path) -> None:
    rows = [
        {"q": {"text": " 1+1? "}, "gold": 2},
        {"q": {"text": "1/4?"}, "gold": 0.25},
        {"q": {"text": "?"}, "gold": 3.0},
    ]
    rows.append({"q": {"text": "list?"}, "gold": ["4"]})  # one answer in a list, as OlympiadBench has it
    path = write(tmp_path / "rows.jsonl", rows)
    wanted = [Problem("1+1?", "2"), Problem("1/4?", "0.25"), Problem("?", "3"), Problem("list?", "4")]
    assert everything(path, question="q.text", answer="gold") == wanted
    text = write(tmp_path / "text.jsonl", [{"prompt": "1+1?", "solution": "so #### no #### 2"}])
    assert everything(text) == [Problem("1+1?", "2")]
    assert everything(text, answer_after="") == [Problem("1+1?", "so #### no #### 2")]
    for options, message in (
        ({"question": "q.txt"}, r"no column q.txt; it has q, gold; name the column with --data.question"),
        ({"question": "q.text"}, "no column is a known name of the answer; it has q, gold; .* --data.answer"),
    ):
        for suffix in (".jsonl", ".parquet"):
            file = write(tmp_path / f"again{suffix}", rows[:1])
            with pytest.raises(UserError, match=message) as error:
                everything(file, **options)
            assert file in str(error.value)


GOOD = {"question": "1+1?", "answer": "2"}
BROKEN = [
    ('{"question": "1+1?", ', "not JSON: .* at character 23"),
    ("[1, 2]", "not a JSON object"),
    ('{"question": "1+1?"}', "no column answer"),
    ('{"question": "  ", "answer": "2"}', "column question is empty"),
    ('{"question": "1+1?", "answer": "work ####  "}', "column answer is empty"),
    ('{"question": "1+1?", "answer": null}', "column answer must be text, not None"),
    ('{"question": "1+1?", "answer": ["1", "2"]}', "column answer must be text"),
    ('{"question": "1+1?", "answer": true}', "column answer must be text, not True"),
    ('{"question": "1+1?", "answer": NaN}', "column answer must be text, not nan"),
    ('{"question": "\\ud800", "answer": "2"}', "surrogates not allowed"),
    ('{"question": [], "answer": "2"}', "the last message must be the user's"),
    ('{"question": ["hi"], "answer": "2"}', "a message must be {role, content}"),
    ('{"question": [{"role": "assistant", "content": "x"}], "answer": "2"}', "must be the user's"),
    ("[" * 100_000, "recursion"),
    ('{"question": "1+1?", "answer": ' + "9" * 5000 + "}", "4300"),
    (b'{"question": "\xff", "answer": "2"}', "can't decode"),
]


@pytest.mark.parametrize(("line", "message"), BROKEN)
def test_a_broken_row_is_an_error_with_its_line_or_a_counted_skip(
    line: str | bytes, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "rows.jsonl", [GOOD, "", "BROKEN", GOOD | {"question": "2+2?"}])
    whole, broken = Path(path).read_bytes(), line if isinstance(line, bytes) else line.encode()
    Path(path).write_bytes(whole.replace(b"BROKEN", broken))
    with pytest.raises(UserError, match=rf"rows.jsonl, line 3: .*{message}.*--data.bad-rows skip"):
        everything(path)
    found = data.held_out(Data(evaluation=path, bad_rows="skip"))
    assert [p.question for p in found.kept] == ["1+1?", "2+2?"]
    assert "3 rows; 2 used; 1 broken (e.g. " in str(found) and "line 3: " in str(found)


def test_broken_rows_of_parquet_are_errors_or_skipped(tmp_path: Path) -> None:
    """Values that Python has no room for, in a batch with good ones."""
    for name, bad in (
        ("date", pa.array([2**31 - 1], pa.date32())),
        ("time", pa.array([2**50], pa.timestamp("ms"))),
        ("utf8", pa.array([b"\xff"]).view(pa.string())),
    ):
        good = pa.table({"question": ["1+1?"], "answer": pa.nulls(1, bad.type)})
        if bad.type == pa.string():
            good = pa.table({"question": ["1+1?"], "answer": ["2"]})
        table = pa.concat_tables([good, pa.table({"question": ["2+2?"], "answer": bad})])
        pq.write_table(table, tmp_path / f"{name}.parquet")
        path, kept = str(tmp_path / f"{name}.parquet"), [Problem("1+1?", "2")] if name == "utf8" else []
        with pytest.raises(UserError, match=r"parquet, row \d: .*--data.bad-rows skip"):
            everything(path)
        if kept:
            found = data.held_out(Data(evaluation=path, bad_rows="skip"))
            assert found.kept == kept and "1 broken" in str(found)
        else:
            with pytest.raises(UserError, match="has no row that can be read"):
                everything(path, bad_rows="skip")


def test_long_numbers_and_one_array(tmp_path: Path) -> None:
    long = "9" * 400
    rows = [{"question": "a?", "answer": int(long)}, {"question": "b?", "answer": 3}]
    for text in (json.dumps(rows), " \n" + json.dumps(rows, indent=1)):
        (tmp_path / "rows.json").write_text(text)
        assert everything(str(tmp_path / "rows.json")) == [Problem("a?", long), Problem("b?", "3")]
    (tmp_path / "rows.json").write_text(json.dumps([*rows, 3]))
    with pytest.raises(UserError, match=r"rows.json, object 3: not a JSON object"):
        everything(str(tmp_path / "rows.json"))
    assert len(everything(str(tmp_path / "rows.json"), bad_rows="skip")) == 2


def test_broken_files(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes('{"question": "é", "answer": "2"}'.encode("latin-1"))
    (tmp_path / "junk.parquet").write_text("junk")
    whole = Path(write(tmp_path / "whole.parquet", [GOOD] * 1000)).read_bytes()
    (tmp_path / "torn.parquet").write_bytes(whole[:4] + b"\xff" * 40 + whole[44:])
    for name, message in (
        ("latin.jsonl", "line 1: .*can't decode"),
        ("junk.parquet", "is not a parquet file"),
        ("torn.parquet", "is not a parquet file, or damaged"),
        ("none.jsonl", "no such file"),
        ("rows.csv", r"use arithmetic, a .jsonl, .json or .parquet file, one as published \(NAME:PATH\), or tfds:NAME"),
    ):
        with pytest.raises(UserError, match=message):
            everything(str(tmp_path / name))
    for name, rows in (("empty.jsonl", []), ("blank.jsonl", ["", " "])):
        with pytest.raises(UserError, match="has no row that can be read"):
            everything(write(tmp_path / name, rows))
    with pytest.raises(UserError, match=r"no row that can be read; .*line 1: not JSON"):
        everything(write(tmp_path / "bad.jsonl", ["x"]), bad_rows="skip")
    rows = [GOOD, {"question": None, "answer": "2"}]
    with pytest.raises(UserError, match=r"rows.parquet, row 1: column question must be text"):
        everything(write(tmp_path / "rows.parquet", rows))


def test_training_and_held_out_questions_never_meet(tmp_path: Path) -> None:
    rows = [{"question": f"{n}+1?", "answer": n + 1} for n in range(100)]
    path = write(tmp_path / "rows.jsonl", [*rows, *rows[:7]])
    cfg = Data(source=path, held_out=4)
    train, kept = data.training(cfg), data.held_out(cfg)
    assert not set(train.kept) & set(kept.kept) and len(train.kept) + len(kept.kept) == 100
    assert 10 < len(kept.kept) < 45 and "107 rows" in str(train) and "7 repeated" in str(train)
    whole = replace(cfg, evaluation=write(tmp_path / "test.jsonl", rows[:3]))
    assert len(data.training(whole).kept) == 100 and len(data.held_out(whole).kept) == 3


def test_tfds_reads_array_records(tmp_path: Path) -> None:
    """A prepared data set, written with tfds' own serialiser; no TensorFlow is there to read it."""
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordWriter

    folder = tmp_path / "sums" / "main" / "1.0.0"
    folder.mkdir(parents=True)
    text = tfds.features.Text()
    features = tfds.features.FeaturesDict({"question": text, "meta": {"gold": text}})
    rows = [features.encode_example({"question": f"{n}+1? é", "meta": {"gold": f"{n + 1}"}}) for n in range(5)]
    writer = ArrayRecordWriter(str(folder / "sums-train.array_record-00000-of-00001"), "group_size:1")
    for row in rows:
        writer.write(features.serialize_example(row))
    writer.close()
    template = tfds.core.ShardedFileTemplate(
        data_dir=epath.Path(folder), dataset_name="sums", split="train", filetype_suffix="array_record"
    )
    split = tfds.core.SplitInfo(name="train", shard_lengths=[5], num_bytes=1, filename_template=template)
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder), features=features, split_infos=[split], version="1.0.0", check_data=False
    )
    options = {"data_dir": str(tmp_path), "answer": "meta.gold"}
    for name in ("sums/main:1.0.0", "sums/main"):
        got = everything(f"tfds:{name}", evaluation_split="train", **options)
        assert got == [Problem(f"{n}+1? é", f"{n + 1}") for n in range(5)]
    for name, split_name in (("sums/main", "validation"), ("sums/other", "train"), ("nothing", "train")):
        with pytest.raises(UserError, match=f"tfds:{name}, split {split_name}: .*prepare the data set"):
            everything(f"tfds:{name}", evaluation_split=split_name, **options)


@pytest.fixture
def two_tokenizers(tiny_config: Config, tiny: Model, tmp_path: Path) -> Config:
    """A static run from random weights: a policy and a reward model of different vocabularies, on a verl parquet."""
    qwen = tokenizer_folder(tmp_path / "qwen", "qwen")
    llama = tokenizer_folder(tmp_path / "llama", "llama", pad=False)
    rows = [
        EXAMPLES["verl"]
        | {"prompt": [{"role": "user", "content": f"{n}+{n}?"}], "reward_model": {"ground_truth": f"{2 * n}"}}
        for n in range(40)
    ]
    long = [{"role": "user", "content": "1+1 " * 40}]
    rows += [rows[0] | {"prompt": long}, rows[1] | {"reward_model": {"ground_truth": "about 3"}}]
    return replace(
        tiny_config,
        policy=Trainee(replace(tiny, vocab=384), tokenizer=qwen),
        reward=Trainee(replace(tiny, vocab=336), tokenizer=llama),
        train_reward=False,
        steps=2,
        data=Data(source=write(tmp_path / "verl.parquet", rows), held_out=10),
        prompting=Prompting(),
        rollout=Rollout(prompts=8, group=2, prompt_len=80, completion_len=12),
        scoring=replace(tiny_config.scoring, length=60),
        eval_every=0,
    )


@pytest.mark.slow  # test_proof is its quick sibling
@pytest.mark.usefixtures("one_device")
def test_a_run_on_a_file_with_two_tokenizers(two_tokenizers: Config, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = two_tokenizers
    train(cfg)
    (said,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("training data")]
    assert "verl.parquet (prompt -> reward_model.ground_truth): 42 rows; " in said
    assert "1 with prompts over 80 tokens (raise --rollout.prompt-len to" in said
    assert said.endswith("1 with references that the rule cannot read (e.g. about 3)")
    assert [r["step"] for r in records(cfg.dir)] == [1, 2]
    with machine.machine(cfg, policy=cfg.policy, reward=cfg.reward) as here:
        own, other = here.tokenizers["policy"], here.tokenizers["reward"]
        assert (len(own), len(other)) == (350, 330)
        assert here.sampling(2, 1.0, 1.0).stop == (2, 0)
    # The run keeps copies, and they serve who starts from it.
    for name, trainee in (("policy", cfg.policy), ("reward", cfg.reward)):
        Path(trainee.tokenizer).rename(f"{trainee.tokenizer}-gone")
        copied = start.tokenizer(name, replace(trainee, init=cfg.dir, tokenizer=""), cfg.data.source)
        assert copied.encode_batch([QUESTION]) == (own if name == "policy" else other).encode_batch([QUESTION])
        assert copied.pad_id == (own if name == "policy" else other).pad_id


@pytest.mark.usefixtures("one_device")
def test_mistakes_before_the_first_step(two_tokenizers: Config) -> None:
    cfg = two_tokenizers
    small = replace(cfg.reward, model=replace(cfg.reward.model, vocab=320))
    for wrong, message in (
        (replace(cfg, reward=small), "reward.model.vocab = 320 is smaller than the tokenizer's 330 tokens"),
        (
            replace(cfg, rollout=replace(cfg.rollout, prompt_len=5)),
            "no problem is left of .*42 rows; 0 used.*raise --rollout.prompt-len to",
        ),
        (replace(cfg, scoring=replace(cfg.scoring, length=10)), "no problem is left .*raise --scoring.length to"),
        (
            replace(cfg, prompting=Prompting(template="chat"), policy=replace(cfg.policy, tokenizer="nowhere")),
            "nowhere: no such folder; give a Hugging Face folder",
        ),
        (
            replace(cfg, data=replace(cfg.data, held_out=10**9)),
            "no problem is left .*42 for training; name held-out questions with --data.evaluation, or lower",
        ),
        (
            replace(cfg, policy=replace(cfg.policy, tokenizer="")),
            "no tokenizer lies in init, .* set policy.tokenizer to a",
        ),
    ):
        with pytest.raises(UserError, match=message):
            train(wrong)
    assert not Path(cfg.dir).exists()


PUBLISHED: list[tuple[str, dict[str, Any], Problem]] = [
    ("svamp", {"Body": "A 1.", "Question": "B?", "Answer": 3.0, "Equation": "( 1.0 + 2.0 )"}, Problem("A 1. B?", "3")),
    ("svamp", {"question_concat": "A B?", "Answer": "2.50"}, Problem("A B?", "2.5")),
    ("mawps", {"input": "A?", "target": 43.0}, Problem("A?", "43")),
    ("mawps", {"sQuestion": "A?", "lSolutions": [43.0], "lEquations": ["X=43.0"]}, Problem("A?", "43")),
    ("asdiv", {"body": "A.", "question": "B?", "answer": "9 (apples)", "formula": "7+2=9"}, Problem("A. B?", "9")),
]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize(("name", "row", "wanted"), PUBLISHED)
def test_published_sets_by_name_and_by_columns(
    name: str, row: dict[str, Any], wanted: Problem, suffix: str, tmp_path: Path
) -> None:
    """As training and as held-out sources, without options."""
    path = write(tmp_path / f"rows{suffix}", [row])
    for source, said in ((path, f"{path} ({name}): 1 rows"), (f"{name}:{path}", f"{name}:{path}: 1 rows")):
        assert everything(source) == [wanted]
        found = data.training(Data(source, evaluation=source))
        assert found.kept == [wanted] and said in str(found)


def test_mistakes_with_published_sets(tmp_path: Path) -> None:
    """Each error names file, line, rule and fix."""
    good = {"input": "A?", "target": 2.0}
    path = write(tmp_path / "rows.jsonl", [good, {"input": "Hi", "target": "Salut"}])
    told = r"rows.jsonl, line 2: not a row of mawps: could not convert string to float: 'Salut'"
    with pytest.raises(
        UserError, match=rf"{told}, or, .* name its columns with --data.question and --data.answer; mend"
    ):
        everything(path)
    with pytest.raises(UserError, match=rf"{told}; mend the row, or leave such rows out with --data.bad-rows skip"):
        everything(f"mawps:{path}")
    assert everything(f"mawps:{path}", bad_rows="skip") == [Problem("A?", "2")]
    assert everything(path, question="input", answer="target") == [Problem("A?", "2"), Problem("Hi", "Salut")]
    with pytest.raises(UserError, match=r"line 1: a row of asdiv needs 'answer'; it has input, target"):
        everything(f"asdiv:{path}")
    with pytest.raises(UserError, match=r"has the columns of its format; leave out --data.question and --data.answer"):
        data.training(Data(f"mawps:{path}", question="input"))
    # Columns are of the source that has no name.
    assert data.training(Data(f"mawps:{path}", evaluation=path, question="input", bad_rows="skip")).kept
    for source in ("mawp:rows.jsonl", f"mawp:{tmp_path.name}.jsonl"):
        with pytest.raises(UserError, match=r"no such file; a source as published is NAME:PATH with NAME one of gsm8k"):
            everything(source)
    with pytest.raises(UserError, match=r"no such file$"):
        everything(str(tmp_path / "none.jsonl"))
