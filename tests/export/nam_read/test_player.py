import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nam_like.errors import NamFileError, UserError
from nam_like.export.nam_read import load_nam, summary

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "golden"
STREAMS = {
    name: load_nam(GOLDEN / name / "model.nam", slim=slim)
    for name, slim in [
        ("wn_film_blended_all", None),
        ("wn_head_kernel", None),
        ("wn_condition_dsp", None),
        ("wn_slimmable", 0.5),
        ("a2_packed", 0.0),
        ("lstm_1x8", None),
        ("convnet_bn", None),
        ("linear_bias", None),
    ]
}
LENGTH = 400
X = np.load(GOLDEN / "inputs" / "pluck.npy")[:LENGTH]
WHOLE = {(name, fast): m.process(X, fast_tanh=fast) for name, m in STREAMS.items() for fast in (False, True)}


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(STREAMS)),
    fast=st.booleans(),
    cuts=st.lists(st.integers(0, LENGTH), max_size=12),
)
def test_blocks_of_any_size_play_as_the_whole(name, fast, cuts):
    player = STREAMS[name].player(fast_tanh=fast)
    bounds = [0, *sorted(cuts), LENGTH]
    blocks = [player.process(X[a:b]) for a, b in pairwise(bounds)]
    # float64 inside, float32 out: at most the last bit may differ.
    np.testing.assert_allclose(np.concatenate(blocks), WHOLE[name, fast], rtol=2e-7, atol=1e-9)


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_single_samples_and_reset(name):
    player = STREAMS[name].player()
    for _ in range(2):
        out = np.concatenate([player.process(X[i : i + 1]) for i in range(40)])
        np.testing.assert_allclose(out, WHOLE[name, False][:40], rtol=2e-7, atol=1e-9)
        player.reset()


def test_players_of_one_model_do_not_disturb_each_other():
    model = STREAMS["lstm_1x8"]
    one, two = model.player(), model.player()
    one.process(X[:100])
    np.testing.assert_array_equal(two.process(X[:100]), WHOLE["lstm_1x8", False][:100])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_output_is_float32_of_the_same_length(dtype):
    out = STREAMS["convnet_bn"].process(X.astype(dtype))
    assert out.dtype == np.float32
    assert out.shape == X.shape
    assert STREAMS["convnet_bn"].process(np.zeros(0, dtype)).shape == (0,)


def test_silence_stays_still_after_prewarming():
    for name, model in STREAMS.items():
        out = model.process(np.zeros(200, np.float32))
        assert np.ptp(out) < (1e-4 if name == "lstm_1x8" else 1e-7), name


@pytest.mark.parametrize("bad", [np.zeros((2, 3)), np.zeros(3, np.int16), [1, 2]])
def test_input_must_be_mono_floats(bad):
    with pytest.raises(UserError, match=r"mono floating-point samples of shape \(L,\), but got"):
        STREAMS["linear_bias"].process(bad)


def load(name):
    return json.loads((GOLDEN / name / "model.nam").read_text("utf-8"))


@pytest.mark.parametrize(
    ("slim", "index"), [(None, 2), (0.0, 0), (0.19, 0), (0.2, 1), (0.69, 1), (0.7, 2), (1.0, 2)]
)
def test_container_chooses_the_first_member_above_the_knob(slim, index):
    members = [load("wn_act_prelu_shared"), load("lstm_1x8"), load("convnet_bn")]
    container = make_container(members, [0.2, 0.7, 1.0])
    out = load_nam(container, slim=slim).process(X)
    np.testing.assert_array_equal(out, load_nam(members[index]).process(X))


def make_container(members, values, **outer):
    submodels = [{"max_value": v, "model": m} for v, m in zip(values, members, strict=True)]
    base = {"version": "0.7.0", "architecture": "SlimmableContainer", "weights": [], "sample_rate": 48000}
    return {**base, "config": {"submodels": submodels}, **outer}


@pytest.mark.parametrize(
    ("values", "outer", "message"),
    [
        ([], {}, "at least one model, but got none"),
        ([0.5, 0.5], {}, r"strictly ascending, but got \[0.5, 0.5\]"),
        ([1.0, 0.5], {}, "strictly ascending"),
        ([0.2, 0.9], {}, "last max_value of `config.submodels` to be at least 1, but got 0.9"),
        ([0.5, 1.0], {"sample_rate": 44100}, "to be the container's 44100, but got 48000"),
        ([0.5, 1.0], {"config": {}}, 'missing required key "config.submodels"'),
    ],
)
def test_container_rules(values, outer, message):
    members = [load("convnet_bn")] * len(values)
    with pytest.raises(NamFileError, match=message):
        load_nam(make_container(members, values, **outer))


def test_a_broken_member_spoils_the_container():
    broken = load("lstm_1x8")
    broken["weights"].pop()
    container = make_container([broken, load("convnet_bn")], [0.5, 1.0])
    with pytest.raises(NamFileError, match=r"config\.submodels\[0\]\.model\.config"):
        load_nam(container)


def test_containers_in_containers_cannot_exhaust_the_stack():
    document = load("linear_bias")
    for _ in range(2000):
        document = make_container([document], [1.0])
    with pytest.raises(NamFileError, match="nested too deeply"):
        load_nam(document)


@pytest.mark.parametrize(
    ("slim", "channels"), [(0, 3), (0.333, 3), (0.334, 6), (0.6666, 6), (0.67, 12), (1, 12)]
)
def test_slimmable_wavenet_takes_the_leading_channels(slim, channels):
    model = load_nam(GOLDEN / "wn_slimmable" / "model.nam", slim=slim)
    assert model.network.arrays[0].channels == channels
    assert model.num_weights < 4203


@pytest.mark.parametrize("slim", [-0.1, 1.1, float("nan"), float("inf")])
def test_slim_is_from_0_to_1(slim):
    with pytest.raises(NamFileError, match="`slim` to be from 0 to 1"):
        load_nam(GOLDEN / "wn_slimmable" / "model.nam", slim=slim)


@pytest.mark.parametrize("name", ["lstm_1x8", "convnet_bn", "linear_bias", "wn_gated"])
def test_slim_needs_a_slimmable_model(name):
    with pytest.raises(NamFileError, match="expected a slimmable model"):
        load_nam(GOLDEN / name / "model.nam", slim=0.5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"allowed_channels": [6, 3, 12]}, "strictly ascending"),
        ({"allowed_channels": [3, 6]}, r"to end with `channels` \(12\), but got 6"),
        ({"allowed_channels": [0, 12]}, "at least 1, but got 0"),
    ],
)
def test_allowed_channels_rules(kwargs, message):
    document = load("wn_slimmable")
    document["config"]["layers"][0]["slimmable"]["kwargs"] = kwargs
    with pytest.raises(NamFileError, match=message):
        load_nam(document)


def test_allowed_channels_default_to_every_width():
    document = load("wn_slimmable")
    del document["config"]["layers"][0]["slimmable"]["kwargs"]
    assert load_nam(document, slim=0.5).network.arrays[0].channels == 7
    assert summary(load_nam(document)).allowed_channels == (tuple(range(1, 13)),)


def test_groups_and_head_kernels_cannot_be_slimmed():
    document = load("wn_head_kernel")
    for layer in document["config"]["layers"]:
        layer["slimmable"] = {"method": "slice_channels_uniform"}
    expected = load_nam(GOLDEN / "wn_head_kernel" / "model.nam").process(X)
    np.testing.assert_array_equal(load_nam(document, slim=1.0).process(X), expected)
    with pytest.raises(NamFileError, match="a head kernel of 1 at a reduced size, but got 5"):
        load_nam(document, slim=0.0)


def test_summary():
    nano = summary(load_nam(GOLDEN / "wn_a1_nano" / "model.nam"))
    assert (nano.architecture, nano.num_weights, nano.receptive_field) == ("WaveNet", 842, 4093)
    assert nano.receptive_field_ms == pytest.approx(1000 * 4093 / 48000)
    assert not nano.has_size_knob
    packed = summary(load_nam(GOLDEN / "a2_packed" / "model.nam"))
    assert packed.has_size_knob
    assert [m.architecture for m in packed.members] == ["WaveNet", "WaveNet"]
    assert packed.members[-1].max_value >= 1.0
    assert packed.num_weights == packed.members[-1].num_weights
    slimmable = summary(load_nam(GOLDEN / "wn_slimmable" / "model.nam"))
    assert slimmable.allowed_channels == ((3, 6, 12),)
