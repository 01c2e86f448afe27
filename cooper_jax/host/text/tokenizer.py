"""Tokenizers in Hugging Face folders: how a text, a chat and a completion become token ids, and back.

`transformers` reads the folder; ids come from its `tokenizers` backend, so that no option of the folder (truncation,
padding, cleaning up of spaces) changes a text. Nothing is fetched and no code of the folder is run, but for its chat
template, in a process apart.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cooper_jax.config import UserError, path, require
from cooper_jax.config.paths import copy_files, folder_here, read_object
from cooper_jax.host.text.rendering import Refused, Renderer

_VOCABULARY = ("tokenizer.json", "tokenizer.model", "vocab.json")
FILES = (
    *_VOCABULARY,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
)
"""What a tokenizer's folder may hold."""
_DATE = "26 Jul 2024"
"""Llama 3.2's chat template names the day; today's would make tomorrow's continuation another run."""


def is_folder(place: str) -> bool:
    """Whether `place` is a folder with a tokenizer's files."""
    return any((path(place) / name).is_file() for name in _VOCABULARY)


class Tokenizer:
    """`encode.Tokenizer` on the files in `folder`.

    Raises UserError: no such files, files that cannot be read, code of its own, or no stop token.
    """

    def __init__(self, folder: str) -> None:
        require(
            is_folder(folder),
            f"{folder} holds no tokenizer: none of {', '.join(_VOCABULARY)}; give a Hugging Face folder with them",
        )
        self._folder = path(folder)
        self._hf: Any = _read(self._folder)
        self._backend: Any = self._hf.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self._size = max(self._backend.get_vocab(with_added_tokens=True).values()) + 1
        self.stop_ids = self._stop_ids()
        pad = self._hf.pad_token_id
        # Any id will do, since masks tell what is real; the vocabulary never grows.
        self.pad_id: int = self.stop_ids[0] if pad is None else pad
        before = self._backend.encode("", add_special_tokens=True).ids
        self.start_ids = tuple(i for i in before[:1] if i == self._hf.bos_token_id)
        self.chats = self._hf.chat_template is not None
        self._render: Renderer | None = None

    def __len__(self) -> int:
        return self._size

    def prompts(self, chats: Sequence[Sequence[tuple[str, str]]], template: str) -> list[list[int]]:
        """Token ids of chats of (role, content), ready to be continued.

        "chat" renders the folder's chat template, whose own bos is the only one; "plain" joins the contents by blank
        lines behind `start_ids`. Raises UserError where there is no chat template or it refuses a chat.
        """
        if template == "plain":
            texts = ["\n\n".join(content for _, content in chat) for chat in chats]
            return [[*self.start_ids, *row] for row in self.encode_batch(texts)]
        require(
            self.chats,
            f"the tokenizer in {self._folder} has no chat template; use --prompting.template plain, or the tokenizer "
            "of an instruction-tuned model",
        )
        return _ids(self._backend, self._rendered(chats), special=True)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text alone: no bos, and what looks like a special token is spelt out."""
        return _ids(self._backend, texts, special=False)

    def decode_batch(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Text of each row, special tokens and ids outside the vocabulary left out."""
        return self._backend.decode_batch([list(row) for row in rows], skip_special_tokens=True)

    def save(self, folder: Path) -> None:
        """Copy the tokenizer's files into `folder`."""
        if folder.resolve() == self._folder.resolve():
            return
        copy_files(self._folder, folder, FILES)

    def _rendered(self, chats: Sequence[Sequence[tuple[str, str]]]) -> list[str]:
        """The chats by the folder's template."""
        try:
            self._render = self._render or Renderer(
                self._hf.get_chat_template(), {**self._hf.special_tokens_map, "date_string": _DATE}
            )
        except ValueError as error:  # several templates, and none is the default
            raise UserError(f"the chat template of {self._folder}: {error}") from None
        found = self._render([[{"role": role, "content": content} for role, content in chat] for chat in chats])
        if isinstance(found, Refused):
            roles = ", ".join(role for role, _ in chats[found.place])
            raise UserError(
                f"the chat template of {self._folder} refuses the messages ({roles}): {found.reason}; change "
                "prompting.system or the data, or use --prompting.template plain"
            )
        return found

    def _stop_ids(self) -> tuple[int, ...]:
        """The tokenizer's eos first, since it ends a turn, then those of generation_config.json."""
        file = self._folder / "generation_config.json"
        found = read_object(file, "fetch or save it again, or remove it") if file.is_file() else {}
        stated = found.get("eos_token_id")
        also = stated if isinstance(stated, list) else [stated]
        ids = tuple(dict.fromkeys(i for i in (self._hf.eos_token_id, *also) if i is not None))
        require(
            len(ids) > 0,
            f"the tokenizer in {self._folder} names no stop token; set eos_token in its tokenizer_config.json",
        )
        outside = [i for i in ids if not (isinstance(i, int) and 0 <= i < self._size)]
        require(
            not outside, f"{file}: eos_token_id {outside} is not among the tokenizer's {self._size} tokens; mend it"
        )
        return ids


def _read(folder: Path) -> Any:
    # Without PyTorch, transformers says on import that models will be missing; none is wanted.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    # Seconds, with PyTorch: only for those who have such a folder.
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    about = folder / "tokenizer_config.json"
    require(
        not (about.is_file() and b'"auto_map"' in about.read_bytes()),
        f"the tokenizer in {folder} contains custom code (auto_map), which is never run; use one without",
    )
    # AutoTokenizer would go by the model's family, and rebuild what tokenizer.json says otherwise.
    kind = PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() else AutoTokenizer
    try:
        with folder_here(folder, (*FILES, "config.json")) as local:
            tokenizer = kind.from_pretrained(str(local), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # The files are the user's: whatever is raised is wrong with them.
        first = f"{error}".strip().partition("\n")[0][:300]
        raise UserError(f"the tokenizer in {folder} cannot be read: {type(error).__name__}: {first}") from None
    require(
        tokenizer.is_fast,
        f"the tokenizer in {folder} is Python code alone; only what has, or converts to, a tokenizer.json is used",
    )
    return tokenizer


def _ids(backend: Any, texts: Sequence[str], special: bool) -> list[list[int]]:
    backend.encode_special_tokens = not special
    return [row.ids for row in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
