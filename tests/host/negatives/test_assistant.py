"""A model behind a server that rewrites, and what is taken off its replies."""

import numpy as np
from fake_server import FakeServer, replies, says

from cooper_jax import config
from cooper_jax.host.negatives.assistant import Request, ServerAssistant, without_chatter
from cooper_jax.host.server import Server
from cooper_jax.host.text.data import Problem


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
            got = helper.rewrite([one] * 3, [np.random.default_rng(0)] * 3)
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
