"""Does text of others reach the terminal without steering it?"""

import json
from pathlib import Path

import pytest
from fake_server import FakeServer, status

from cooper_jax import config
from cooper_jax.config import Data, UserError, visible
from cooper_jax.host.server import Chat, Server
from cooper_jax.host.text import data

HOSTILE = "\x1b[2J\x9b31m\u202egnp.exe\u2069\r\x07\u2028\ud800\nerror: forged"


def tame(said: str) -> bool:
    return all(c.isprintable() for c in said) and "\\x1b" in said and "\\u202e" in said


def test_what_is_hidden_is_written_out() -> None:
    assert visible(HOSTILE) == (r"\x1b[2J\x9b31m\u202egnp.exe\u2069\r\x07\u2028\ud800\nerror: forged")
    assert visible("a\n\tb\x1b", keep="\n\t") == "a\n\tb\\x1b"
    plain = "Größe … ≤ 3 \\frac12 数学 [/x]"
    assert visible(plain) == plain == visible(visible(plain)) and visible(visible(HOSTILE)) == visible(HOSTILE)


def test_errors_that_quote_data_or_a_server(tmp_path: Path) -> None:
    hostile = HOSTILE.replace("\ud800", "")
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({hostile: 1}))
    with pytest.raises(UserError) as error:
        data.training(Data(str(file)))
    assert tame(str(error.value))
    found = data.Problems("rows.jsonl", 1, [data.Problem("1+1?", hostile)])
    found.drop("that cannot be read", [True], lambda problem: problem.reference)
    assert tame(str(found))
    with FakeServer(status(400, hostile)) as fake, Server(config.Server(url=fake.url, model="m")) as server:
        with pytest.raises(UserError) as error:
            server.ask([Chat("1+1?")])
        assert tame(str(error.value))
