"""Is every problem seen once an epoch, in an order that a resumed run goes on with?"""

import numpy as np

from cooper_jax.config import Data
from cooper_jax.host.text import data
from cooper_jax.host.text.data import Stream

SPLIT = Data(held_out=3)


def test_stream_resumes_where_it_stopped() -> None:
    problems = data.training(Data()).kept[:10]
    shuffled = lambda seed: lambda epoch: np.random.default_rng([seed, epoch])  # noqa: E731
    straight = Stream(problems, shuffled(3)).take(35)
    for cut in (0, 4, 10, 33):
        first, second = Stream(problems, shuffled(3)), Stream(problems, shuffled(3))
        head = first.take(cut)
        second.seek(first.cursor)
        assert head + second.take(35 - cut) == straight
    assert sorted(straight[:10]) == sorted(problems) == sorted(straight[10:20])
    assert straight[:10] != straight[10:20] and Stream(problems, shuffled(4)).take(10) != straight[:10]


def test_held_out_questions_are_all_different() -> None:
    problems = data.sample(data.held_out(SPLIT).kept, 1024, np.random.default_rng(0))
    assert len({p.question for p in problems}) == 1024
    assert not set(problems) & set(data.training(SPLIT).kept)
