"""Do the kernels compute the same attention, and does each platform get its own? In interpret mode, by lowering for a
GPU and by compiling for a TPU that need not be there."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from collectives import instructions
from jax.sharding import AbstractDevice, AbstractMesh, AxisType
from jaxprs import equations, makers

from cooper_jax import config
from cooper_jax.config import Model
from cooper_jax.device import jits
from cooper_jax.device.state import Prompts
from cooper_jax.mesh import sharding
from cooper_jax.model import attention, transformer, weights
from cooper_jax.model.sample import Sampling

ROWS, HEADS, KV_HEADS = 2, 4, 2
DEPRECATED = "ignore:.*(gpu.attention|Triton backend).*deprecated:DeprecationWarning"
"""JAX 0.11 says so of its Pallas kernels for GPU, which it still has."""


def texts(rng: np.random.Generator, slots: int) -> np.ndarray:
    """Segments of packed rows: padding at both ends, texts of uneven length between."""
    segment_BT = np.sort(rng.integers(1, 4, (ROWS, slots)), axis=1)
    segment_BT[:, :3] = segment_BT[:, -5:] = 0
    return segment_BT.astype(np.int32)


def inputs(rng: np.random.Generator, slots: int, head_dim: int, dtype: str = "float32") -> tuple[jax.Array, ...]:
    draw = lambda heads: jnp.asarray(rng.normal(size=(ROWS, slots, heads, head_dim)), dtype)  # noqa: E731
    return draw(HEADS), draw(KV_HEADS), draw(KV_HEADS)


def by_hand(q_BTNH: np.ndarray, k_BSKH: np.ndarray, v_BSKH: np.ndarray, segment_BT: np.ndarray) -> np.ndarray:
    out_BTNH = np.zeros_like(q_BTNH)
    for b, t, n in np.ndindex(q_BTNH.shape[:3]):
        seen = [s for s in range(t + 1) if segment_BT[b, s] == segment_BT[b, t]]
        k = n * k_BSKH.shape[2] // q_BTNH.shape[2]
        logit_S = k_BSKH[b, seen, k] @ q_BTNH[b, t, n] / np.sqrt(q_BTNH.shape[3])
        weight_S = np.exp(logit_S - logit_S.max())
        out_BTNH[b, t, n] = weight_S @ v_BSKH[b, seen, k] / weight_S.sum()
    return out_BTNH


def value_and_gradients(kernel: Callable[..., jax.Array], qkv: tuple[jax.Array, ...], segment_BT: np.ndarray) -> list:
    """The output, and gradients of a weighted sum of it over real tokens."""
    weight_BT11 = (segment_BT > 0)[:, :, None, None] * np.cos(np.arange(segment_BT.size)).reshape(
        *segment_BT.shape, 1, 1
    )

    def loss(qkv: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        out_BTNH = kernel(*qkv, jnp.asarray(segment_BT)).astype(jnp.float32)
        return jnp.sum(out_BTNH * weight_BT11.astype(np.float32)), out_BTNH * (weight_BT11 != 0)

    gradients, out_BTNH = jax.jit(jax.grad(loss, has_aux=True))(qkv)
    return [np.asarray(x, np.float32) for x in (out_BTNH, *gradients)]


@pytest.mark.parametrize("packed", (True, False), ids=("texts", "padded-left"))
def test_attention_is_the_equation(packed: bool, rng: np.random.Generator) -> None:
    q, k, v = inputs(rng, 14, 8)
    segment_BT = texts(rng, 14) if packed else np.arange(14)[None] >= np.array([[4], [0]])
    out_BTNH = attention.attend(q, k, v, jnp.asarray(segment_BT))
    wanted_BTNH = by_hand(np.asarray(q), np.asarray(k), np.asarray(v), segment_BT)
    np.testing.assert_allclose(out_BTNH, wanted_BTNH, atol=1e-6)


def test_gradients_are_those_of_autodiff(rng: np.random.Generator) -> None:
    """Of `xla`, whose backward pass is its own, beside JAX's attention of the same mask."""
    qkv, segment_BT = inputs(rng, 14, 8), texts(rng, 14)
    seen_BTS = np.tril(np.ones((14, 14), bool)) & (segment_BT[:, :, None] == segment_BT[:, None, :])
    plain = lambda q, k, v, _: jax.nn.dot_product_attention(q, k, v, mask=seen_BTS[:, None])  # noqa: E731
    for got, want in zip(*(value_and_gradients(f, qkv, segment_BT) for f in (attention.xla, plain)), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-6)


@pytest.mark.filterwarnings(DEPRECATED)
@pytest.mark.parametrize("kernel", (attention.splash, attention.triton), ids=lambda kernel: kernel.__name__)
@pytest.mark.parametrize(
    ("slots", "head_dim", "dtype", "error"), ((384, 64, "bfloat16", 0.02), (128, 128, "float32", 1e-5))
)
def test_kernels_agree(
    kernel: Callable[..., jax.Array], slots: int, head_dim: int, dtype: str, error: float, rng: np.random.Generator
) -> None:
    """Output, dq, dk and dv, for real tokens; several blocks, grouped heads, texts across blocks."""
    qkv, segment_BT = inputs(rng, slots, head_dim, dtype), texts(rng, slots)
    wanted = value_and_gradients(attention.xla, qkv, segment_BT)
    got = value_and_gradients(partial(kernel, interpret=True), qkv, segment_BT)
    for ours, plain in zip(got, wanted, strict=True):
        assert np.max(np.abs(ours - plain)) <= error * np.max(np.abs(plain))


@pytest.mark.filterwarnings(DEPRECATED)
@pytest.mark.parametrize(
    "kernel", (attention.xla, attention.splash, attention.triton), ids=lambda kernel: kernel.__name__
)
def test_padding_alone_stays_finite(kernel: Callable[..., jax.Array], rng: np.random.Generator) -> None:
    """A row that holds nothing, its segments given as booleans: numbers, and no gradient."""
    kernel = kernel if kernel is attention.xla else partial(kernel, interpret=True)
    real_BT = np.stack([np.zeros(128, bool), np.arange(128) >= 100])
    out, *gradients = value_and_gradients(kernel, inputs(rng, 128, 64), real_BT.astype(np.int32))
    assert np.all(np.isfinite(out)) and all(np.all(np.isfinite(x)) and not np.any(x[0]) for x in gradients)


@pytest.mark.filterwarnings(DEPRECATED)
@pytest.mark.parametrize("kernel", (attention.splash, attention.triton), ids=lambda kernel: kernel.__name__)
@pytest.mark.parametrize("tensor", [2, 4])
def test_a_kernel_on_a_mesh(
    kernel: Callable[..., jax.Array], tensor: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each device computes its rows and heads, and gets their gradients, with copies of key/value heads too."""
    qkv, segment_BT = inputs(rng, 128, 64), texts(rng, 128)
    wanted = value_and_gradients(attention.attend, qkv, segment_BT)
    monkeypatch.setattr(attention, "choose", lambda *_: partial(kernel, interpret=True))
    one_each = transformer.of_each_device
    with jax.set_mesh(sharding.make_mesh(config.Mesh(data=1, fsdp=2, tensor=tensor), jax.devices()[: 2 * tensor])):
        got = value_and_gradients(
            lambda q, k, v, segment_BT: attention.attend(q, one_each(k), one_each(v), segment_BT), qkv, segment_BT
        )
    for ours, plain in zip(got, wanted, strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-5)


def test_the_choice() -> None:
    """By platform, length, size of a head and type."""
    like = lambda slots, head_dim, dtype="bfloat16": jnp.zeros((1, slots, 1, head_dim), dtype)  # noqa: E731
    named = lambda platform, *shape: attention.choose(platform, like(*shape)).__name__  # noqa: E731
    assert [named("tpu", 4096, h) for h in (64, 128)] == [named("tpu", 128, 128, "float32"), "splash"] == ["splash"] * 2
    assert [named("gpu", 4096, h) for h in (64, 128)] == ["triton"] * 2
    assert [named("gpu", 128, 80), named("gpu", 128, 128, "float32")] == ["xla"] * 2
    assert {named(platform, 4095, 128) for platform in ("tpu", "gpu", "cpu")} == {named("cpu", 4096, 128)} == {"xla"}


def traced(mesh: jax.sharding.Mesh | AbstractMesh) -> jax.stages.Traced:
    """Forward and backward pass of `attend` in a scan with rematerialised body, as training runs it, of 1.5B shape."""

    def loss(q: jax.Array, k: jax.Array, v: jax.Array, segment_BT: jax.Array) -> jax.Array:
        body = jax.checkpoint(lambda q, _: (attention.attend(q, k, v, segment_BT), None))
        return jnp.sum(jax.lax.scan(body, q, None, length=2)[0].astype(jnp.float32))

    def shape(letters: str, *sizes: int, dtype: str = "bfloat16") -> jax.ShapeDtypeStruct:
        where = jax.sharding.NamedSharding(mesh, sharding.spec(letters, sizes, mesh, sharding.ACTIVATION_RULES))
        return jax.ShapeDtypeStruct(sizes, dtype, sharding=where)

    kv = shape("BSKH", 2, 1024, 2, 128)
    args = (shape("BTNH", 2, 1024, 12, 128), kv, kv, shape("BT", 2, 1024, dtype="int32"))
    return jax.jit(jax.grad(loss, (0, 1, 2))).trace(*args)


def kernels(found: jax.stages.Traced) -> int:
    """How many of Pallas' kernels it calls."""
    return sum(equation.primitive.name == "pallas_call" for equation in equations(found.jaxpr))


@pytest.mark.filterwarnings(DEPRECATED)
def test_a_gpu_gets_its_kernel() -> None:
    """Lowered for a GPU that is not there: forward, forward again for the backward pass, and two that go backward."""
    device = AbstractDevice("NVIDIA H100 80GB HBM3", 132, "gpu")
    mesh = AbstractMesh((1, 1, 1), sharding.AXES, axis_types=(AxisType.Auto,) * 3, abstract_device=device)
    with jax.sharding.use_abstract_mesh(mesh):
        found = traced(mesh)
        assert kernels(found) == 4
        found.lower(lowering_platforms=("cuda",))


@pytest.mark.usefixtures("nothing_kept")
def test_a_tpu_gets_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled for four chips of v5e by the TPU's own compiler, without a TPU."""
    pytest.importorskip("libtpu")
    from jax.experimental import topologies

    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # No chip is taken, so others may compile at the same time.
    chips = topologies.get_topology_desc("v5e:2x2", "tpu").devices
    mesh = sharding.make_mesh(config.Mesh(data=1, fsdp=2, tensor=2), chips)
    with jax.set_mesh(mesh):
        found = traced(mesh)
        compiled = found.lower().compile()
    assert kernels(found) == 4
    memory, weights = compiled.memory_analysis(), 6 * 1024 * 1024 * 4
    assert memory and memory.temp_size_in_bytes < weights, "somewhere there is a [T, S] array"


@pytest.mark.slow  # test_sample asks the same of a CPU
@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("int8", [False, True])
def test_a_tpu_turns_no_cache_around(int8: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled for v5e: no layer's cache is copied into another layout to be read, neither in the loop over a chip's
    128 rows nor in that over the last 16.

    This reads the compiler's text, by kinds of instruction and numbers of elements alone: the memory it reserves is the
    same with and without such copies.
    """
    pytest.importorskip("libtpu")
    from jax.experimental import topologies

    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    model = Model(512, 256, 2, 4, 2, 128, 512)
    how = Sampling(8, 1025, 1.0, 1.0, 0, (2,), 0, int8)
    mesh = sharding.make_mesh(config.Mesh(), topologies.get_topology_desc("v5e:2x2", "tpu").devices)
    whole, split = sharding.replicated(mesh), sharding.by_rows(mesh)
    prompts = Prompts(*(jax.ShapeDtypeStruct((64, 256), kind, sharding=split) for kind in (jnp.int32, bool)))
    key = jax.ShapeDtypeStruct((2,), jnp.uint32, sharding=whole)
    with jax.set_mesh(mesh):
        params = weights.abstract(model, False, mesh)
        text = jits.make_rollout(model, how, mesh).lower(params, prompts, key).compile().as_text() or ""
    kind = "s8" if int8 else "bf16"
    in_loops = "\n".join(one.line for one in instructions(text) if one.loop)
    for size, opcodes in makers(in_loops, kind, tuple(rows * 2 * 128 * 1024 for rows in (128, 16))).items():
        assert opcodes and not [name for name in opcodes if name.startswith(("copy", "transpose"))], (size, opcodes)
