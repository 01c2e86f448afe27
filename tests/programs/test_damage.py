"""Damaged files of a run or a Hugging Face folder: whatever program reads them says one thing, and how to mend it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from runs import TOY, one_error, said

from cooper_jax import config
from cooper_jax.config import Config
from cooper_jax.cooper import train

pytestmark = pytest.mark.usefixtures("one_device")

ROW = '{"question": "1+1+1", "reference_answer": "3", "completion": "#3"}\n'
READERS = {
    "run": (
        ["train", TOY],
        ["score", "{run}", "{rows}", "--out", "{new}"],
        ["export", "{run}", "--model", "policy", "--to", "{new}"],
        ["generate", "{run}", "--prompt", "1+1+1"],
    ),
    "policy": (
        ["train", TOY, "--policy.init", "{policy}", "--dir", "{new}"],
        ["sft", TOY, "--sft.init", "{policy}", "--sft.dir", "{new}"],
        ["annotate", TOY, "--policy.init", "{policy}", "--annotate.dir", "{new}"],
        ["evaluate", TOY, "--dir", "{policy}", "--evaluation.out", "{new}"],
        ["generate", "{policy}", "--prompt", "1+1+1"],
    ),
    "reward": (
        ["fit-reward", TOY, "--fit.init", "{reward}", "--fit.dir", "{new}"],
        ["score", "{reward}", "{rows}", "--out", "{new}"],
    ),
}
FILES = {
    "run": ("config.json",),
    "policy": (
        "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "model.safetensors",
        "model.safetensors.index.json",
    ),
    "reward": ("config.json", "tokenizer.json", "model.safetensors"),
}  # fmt: skip
MAY_BE_GONE = ("tokenizer_config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json")


@pytest.fixture(scope="module")
def folders(warm: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A run of one step, both of its models exported, rows to score, and the configuration that made it."""
    out = tmp_path_factory.mktemp("damage")
    with pytest.MonkeyPatch.context() as patch:
        from small import see_one_device

        see_one_device(patch)
        train(replace(warm, dir=str(out / "run"), steps=1, eval_every=0))
        (out / "rows.jsonl").write_text(ROW)
        yield {"run": out / "run", "policy": out / "policy", "reward": out / "reward", "rows": out / "rows.jsonl"}


def damages(content: bytes, name: str) -> dict[str, bytes | None]:
    made: dict[str, bytes | None] = {
        "empty": b"",
        "half": content[: len(content) // 2],
        "an array": b"[1, 2]",
        "no object": b"null",
        "not UTF-8": b'{"a\xff": 1}',
        "too deep": b"[" * 100_000,
    }
    return made if name in MAY_BE_GONE else made | {"gone": None}


@pytest.mark.parametrize("of", READERS)
def test_a_damaged_file_is_one_error(
    of: str,
    folders: dict[str, Path],
    warm: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if of != "run" and not folders[of].is_dir():
        said(capsys, "export", str(folders["run"]), "--model", of, "--to", str(folders[of]))
        (folders[of] / "generation_config.json").write_text('{"eos_token_id": [1]}')
    monkeypatch.setattr(config, "load", lambda _: replace(warm, dir=str(folders["run"])))
    places = {key: str(place) for key, place in folders.items()} | {"new": str(tmp_path / "new")}
    for name in FILES[of]:
        file = folders[of] / name
        kept = file.read_bytes() if file.exists() else b""
        for what, content in damages(kept, name).items():
            file.unlink(missing_ok=True)
            if content is not None:
                file.write_bytes(content)
            # All programs have a folder's config.json read in one place, and the rest of it in others.
            for reader in READERS[of] if name == "config.json" else READERS[of][-1:]:
                shutil.rmtree(places["new"], ignore_errors=True)
                error = one_error(capsys, *(part.format(**places) for part in reader))
                # A folder that has lost its config.json is called no model's.
                assert name.partition(".")[0] in error or str(folders[of]) in error, (name, what, reader, error)
        file.write_bytes(kept) if kept else file.unlink()
