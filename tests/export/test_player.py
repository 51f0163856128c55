"""The player against the engine's recordings, the float64 reader and float64 PyTorch, in any blocks."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from harness.net_contract import randomise
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nam_like.config.component import component
from nam_like.errors import UserError
from nam_like.export.nam import NamExporter
from nam_like.export.nam_read import load_nam
from nam_like.export.native_graph import MAX_TAPS
from nam_like.export.player import Player, load
from nam_like.models.base import Net
from nam_like.native import library

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden"
X = np.load(GOLDEN / "inputs" / "pluck.npy").astype(np.float32)
NATIVE = library.load() is not None
needs_kernels = pytest.mark.skipif(not NATIVE, reason=library.status())

Doubles = NDArray[np.float64]


def golden_table() -> ModuleType:
    """The script that knows what stands where in the golden set."""
    spec = importlib.util.spec_from_file_location("golden_of_player", ROOT / "bin" / "golden_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["golden_of_player"] = module
    spec.loader.exec_module(module)
    return module


golden = golden_table()


def recorded(folder: Path | None) -> Iterator[Any]:
    """All recordings of the engine in a set: (folder, model, recording)."""
    for name, status in golden.entries(folder) if folder else ():
        if status != "core_rejects":
            for path in golden.recordings(folder, name):
                yield pytest.param(folder, name, path, id=f"{name}-{path.stem}")


def distance(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Largest difference, relative to a peak above full scale."""
    return float(np.abs(found.astype(np.float64) - wanted).max() / max(1.0, np.abs(wanted).max()))


def check_recording(folder: Path, name: str, path: Path) -> None:
    run = golden._RUN.fullmatch(path.name)
    expected = np.load(path).astype(np.float64)
    x = np.load(folder / "inputs" / f"{run['input']}.npy")[: len(expected)].astype(np.float32)
    model = load_nam(folder / name / "model.nam", slim=float(run["slim"]) if run["slim"] else None)
    player = load(model)
    assert player.is_native == NATIVE, player.describe()
    y = player.process(x)
    # Both are float32 and up to 3e-6 from float64: one real capture with sums far above its output.
    assert distance(y, expected) <= (5e-6 if name.startswith("ex_") else 3e-6)
    assert np.sum((y - expected) ** 2) <= 1e-10 * np.sum(expected**2)
    assert distance(y, model.process(x)) <= 3e-6
    plugin = load(model, fast_tanh=True).process(x)
    assert distance(plugin, model.process(x, fast_tanh=True)) <= 3e-6


@pytest.mark.parametrize(("folder", "name", "path"), [*recorded(golden.SMALL_SET)])
def test_plays_as_the_engine(folder: Path, name: str, path: Path) -> None:
    check_recording(folder, name, path)


@pytest.mark.parametrize(("folder", "name", "path"), [*recorded(golden.large_set())])
def test_plays_the_whole_set_as_the_engine(folder: Path, name: str, path: Path) -> None:
    check_recording(folder, name, path)


@pytest.mark.parametrize("name", ["wn_gated", "wn_film_blended_all", "a2_packed", "lstm_1x8", "linear_bias"])
@pytest.mark.parametrize("isa", [*library.available(library.load()), "off"] if NATIVE else ["off"])  # type: ignore[arg-type]
def test_every_instruction_set_and_none(name: str, isa: str) -> None:
    model = load_nam(GOLDEN / name / "model.nam")
    with library.using(isa):
        player = load(model)
        assert isa in player.describe()
        assert distance(player.process(X[:3000]), model.process(X[:3000])) <= 3e-6


PLAYED = [
    "wn_a1_nano",
    "wn_gated",
    "wn_film_blended_all",
    "wn_condition_dsp",
    "wn_head_kernel",
    "a2_packed",
    "lstm_1x8",
    "convnet_bn",
    "linear_bias",
]


def in_blocks(player: Player, x: NDArray[np.float32], sizes: list[int]) -> NDArray[np.float32]:
    at, parts = 0, []
    for size in itertools.cycle(sizes):
        if at >= len(x):
            return np.concatenate(parts)
        parts.append(player.process(x[at : at + size]))
        at += size
    raise AssertionError


@needs_kernels
@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(PLAYED),
    st.lists(st.integers(0, 300), min_size=1, max_size=8).filter(any),
    st.booleans(),
)
def test_blocks_of_any_size_give_the_same_samples(name: str, sizes: list[int], fast: bool) -> None:
    player = load(GOLDEN / name / "model.nam", fast_tanh=fast)
    whole = player.process(X[:2000])
    player.reset()
    np.testing.assert_array_equal(in_blocks(player, X[:2000], sizes), whole)


@pytest.mark.parametrize("native", ["auto", "off"])
@pytest.mark.parametrize("name", ["wn_a1_nano", "lstm_1x8"])
def test_prewarm_and_reset(name: str, native: str) -> None:
    with library.using(native):
        model = load_nam(GOLDEN / name / "model.nam")
        warm, cold = load(model), load(model, prewarm=False)
        first = warm.process(X[:500])
        assert distance(first, model.process(X[:500])) <= 3e-6
        assert distance(cold.process(X[:500]), model.process(X[:500], prewarm=False)) <= 3e-6
        if name != "lstm_1x8":  # whose state in the file has settled already
            assert np.abs(model.process(X[:9]) - model.process(X[:9], prewarm=False)).max() > 1e-5
        assert not np.array_equal(warm.process(X[:500]), first)
        warm.reset()
        np.testing.assert_array_equal(warm.process(X[:500]), first)


@needs_kernels
def test_a_block_is_played_without_allocating() -> None:
    player = load(GOLDEN / "wn_a1_nano" / "model.nam")
    block, out = X[:4096].copy(), np.empty(4096, np.float32)
    expected = load(player.model).process(block)
    player.process_into(block, out)
    np.testing.assert_array_equal(out, expected)
    tracemalloc.start()
    try:
        for _ in range(10):
            player.process_into(block, out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4096, "a block has 16384 bytes"


def test_players_of_one_model_do_not_share_their_state() -> None:
    model = load_nam(GOLDEN / "wn_a1_nano" / "model.nam")
    first, second = load(model), load(model)
    expected = first.process(X[:300])
    second.process(X[300:600])
    np.testing.assert_array_equal(np.concatenate([load(model).process(X[:300])]), expected)
    assert np.array_equal(second.process(X[:0]), X[:0])
    assert (first.sample_rate, first.receptive_field) == (48000.0, 4093)


def array(**changes: Any) -> dict[str, Any]:
    return {
        "input_size": 1,
        "condition_size": 1,
        "channels": 4,
        "kernel_size": 3,
        "dilations": [1, 2, 5],
        "activation": "Tanh",
        "head": {"out_channels": 1, "kernel_size": 1, "bias": True},
        **changes,
    }


A2 = {
    "kernel_sizes": [6] * 4 + [15, 15] + [6] * 2,
    "dilations": [1, 3, 7, 17, 1, 13, 1, 3],
    "activation": {"name": "LeakyReLU", "negative_slope": 0.01},
    "head": {"out_channels": 1, "kernel_size": 16, "bias": True},
}
NETS: dict[str, tuple[str, dict[str, Any]]] = {
    "a1": (
        "WaveNet",
        {
            "layers_configs": [
                array(channels=16, head={"out_channels": 8, "kernel_size": 1, "bias": False}),
                array(input_size=16, channels=8),
            ],
            "head_scale": 0.02,
        },
    ),
    "a2-full": (
        "WaveNet",
        {"layers_configs": [array(**{**A2, "kernel_size": None}, channels=8)], "head_scale": 0.01},
    ),
    "a2-lite": (
        "WaveNet",
        {"layers_configs": [array(**{**A2, "kernel_size": None}, channels=3)], "head_scale": 0.01},
    ),
    "lstm": (
        "LSTM",
        {"num_layers": 2, "hidden_size": 16, "train_burn_in": 64, "train_truncate": 32},
    ),
    "convnet": (
        "ConvNet",
        {"channels": 8, "dilations": [1, 2, 4], "batchnorm": True, "activation": "Tanh"},
    ),
    "linear": ("Linear", {"receptive_field": 70, "bias": True}),
}


@pytest.mark.parametrize("name", NETS)
def test_plays_as_the_net_in_float64(name: str, tmp_path: Path) -> None:
    kind, config = NETS[name]
    config = copy.deepcopy(config)
    for layers in config.get("layers_configs", ()):
        if layers["kernel_size"] is None:
            del layers["kernel_size"]
    net: Net = randomise(component("net", {"name": kind, "config": config}).build()).eval()
    net.sample_rate = 48000.0
    NamExporter().write(net, tmp_path / "model.nam", {})
    player = load(tmp_path / "model.nam")
    assert player.is_native == NATIVE
    # An LSTM has heard 48000 zeros before it was written, and 24000 more when it is loaded.
    past = 72_000 if kind == "LSTM" else 0
    x = torch.cat([torch.zeros(past), torch.from_numpy(X[:1500])]).double()
    with torch.no_grad():
        expected = net.double()(x[None], pad_start=True)[0, past:].numpy()
    y = player.process(X[:1500])
    assert distance(y, expected) <= 3e-6
    assert np.abs(expected).max() > 1e-3


def test_the_plugins_tanh_is_that_of_the_net_with_it(tmp_path: Path) -> None:
    exact = randomise(
        component(
            "net", {"name": "WaveNet", "config": {"layers_configs": [array()], "head_scale": 0.5}}
        ).build()
    ).eval()
    config = {"layers_configs": [array(activation="Fasttanh")], "head_scale": 0.5}
    approximate = component("net", {"name": "WaveNet", "config": config}).build().eval()
    approximate.load_state_dict(exact.state_dict())
    NamExporter().write(exact, tmp_path / "model.nam", {})
    x = torch.from_numpy(X[:1500]).double()[None]
    with torch.no_grad():
        tanh, plugin = (net.double()(x, pad_start=True)[0].numpy() for net in (exact, approximate))
    assert distance(load(tmp_path / "model.nam").process(X[:1500]), tanh) <= 3e-6
    assert distance(load(tmp_path / "model.nam", fast_tanh=True).process(X[:1500]), plugin) <= 3e-6
    assert distance(tanh, plugin) > 1e-5


def linear(taps: int) -> dict[str, Any]:
    weights = np.zeros(taps)
    weights[[0, -1]] = 1.0, 0.5
    return {
        "version": "0.5.4",
        "architecture": "Linear",
        "config": {"receptive_field": taps, "bias": False},
        "weights": weights,
        "sample_rate": 48000,
    }


def test_what_is_not_covered_is_played_by_the_reader_with_a_reason() -> None:
    player = load(linear(MAX_TAPS + 1))
    assert not player.is_native
    if NATIVE:
        reason = f"an impulse response of more than {MAX_TAPS} taps: {MAX_TAPS + 1}"
        assert player.describe() == f"NumPy reader (the native player does not play {reason})"
    x = X[:100].copy()
    out = np.empty_like(x)
    player.process_into(x, out)
    np.testing.assert_allclose(out, x, atol=1e-6)
    player.reset()
    np.testing.assert_array_equal(player.process(x), out)


def test_switched_off_the_reader_plays_and_says_why() -> None:
    with library.using("off"):
        player = load(linear(3))
    assert player.describe() == "NumPy reader (native kernels: off ($NAM_LIKE_NATIVE))"


@pytest.mark.parametrize("native", ["auto", "off"])
@pytest.mark.parametrize(
    "block", [np.zeros((2, 2)), np.zeros(4, dtype=int), 0.0, [[0.5]]], ids=["stereo", "int", "number", "list"]
)
def test_wrong_blocks_are_refused(block: Any, native: str) -> None:
    with library.using(native), pytest.raises(UserError, match=r"expected mono floating-point samples"):
        load(linear(3)).process(block)


@pytest.mark.parametrize("native", ["auto", "off"])
def test_wrong_outputs_are_refused(native: str) -> None:
    with library.using(native), pytest.raises(UserError, match=r"contiguous float32 arrays of one shape"):
        load(linear(3)).process_into(np.zeros(4, np.float32), np.zeros(5, np.float32))


def test_float64_and_strided_blocks_are_taken_as_float32() -> None:
    player = load(linear(3))
    x = X[:200].astype(np.float64)
    expected = player.process(x[::2].astype(np.float32))
    player.reset()
    np.testing.assert_array_equal(player.process(x[::2]), expected)
    assert expected.dtype == np.float32
