"""WaveNets small enough to be computed by hand, and every rule that makes the engine refuse one."""

import copy

import numpy as np
import pytest

from nam_like.errors import NamFileError
from nam_like.export.nam_read import load_nam

LAYER = {
    "input_size": 1,
    "condition_size": 1,
    "channels": 1,
    "head_size": 1,
    "head_bias": False,
    "kernel_size": 1,
    "dilations": [1],
    "activation": "ReLU",
    "gated": False,
}
# rechannel, conv, bias, mixer, layer1x1, bias, head, head_scale
WEIGHTS = [2.0, 3.0, 0.5, 0.25, 1.0, 0.0, 1.0, 1.0]


def document(layer=None, weights=None, drop=(), **config):
    merged = {k: v for k, v in {**LAYER, **(layer or {})}.items() if k not in drop}
    return {
        "version": "0.7.0",
        "architecture": "WaveNet",
        "config": {"layers": [merged], "head": None, "head_scale": 1.0, **config},
        "weights": list(WEIGHTS if weights is None else weights),
        "sample_rate": 48000,
    }


def play(doc, x, **options):
    return load_nam(doc).process(np.asarray(x, dtype=np.float32), **options)


def test_one_layer_by_hand():
    x = np.array([1.0, -1.0, 0.5])
    expected = np.maximum(3.0 * (2.0 * x) + 0.5 + 0.25 * x, 0.0)
    np.testing.assert_allclose(play(document(), x), expected)


@pytest.mark.parametrize(
    "layer",
    [
        {"head": {"out_channels": 1, "kernel_size": 1, "bias": False}},
        {"kernel_sizes": [1], "kernel_size": None},
        {"activation": {"type": "ReLU"}},
        {"activation": ["ReLU"], "gating_mode": ["none"], "secondary_activation": [None]},
        {"gating_mode": "none", "secondary_activation": ""},
        {"bottleneck": 1, "layer1x1": {"active": True, "groups": 1}},
        {"head1x1": {"active": False, "out_channels": 7, "groups": 1}, "conv_pre_film": False},
        {"conv_pre_film": {"active": False, "shift": True, "groups": 1}, "slimmable": None},
        {"groups_input": 1, "groups_input_mixin": 1, "channels": 1.0},
    ],
)
def test_every_spelling_of_the_same_layer(layer):
    x = np.array([1.0, -1.0, 0.5])
    doc = document(layer, drop=[k for k, v in layer.items() if v is None and k == "kernel_size"])
    if layer.get("kernel_size", 0) is None:
        assert "kernel_size" not in doc["config"]["layers"][0]
    np.testing.assert_array_equal(play(doc, x), play(document(), x))


def test_taps_stand_oldest_first():
    layer = {"kernel_size": 2, "dilations": [3]}
    weights = [1.0, 10.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    x = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(play(document(layer, weights), x), [1, 0, 0, 10, 0])


@pytest.mark.parametrize(
    ("layer", "formula"),
    [
        ({"gated": True, "activation": "Tanh"}, lambda a, b: np.tanh(a) / (1 + np.exp(-b))),
        ({"gating_mode": "gated", "activation": "ReLU"}, lambda a, b: np.maximum(a, 0) / (1 + np.exp(-b))),
        (
            {"gating_mode": "gated", "activation": "Tanh", "secondary_activation": "Hardtanh"},
            lambda a, b: np.tanh(a) * np.clip(b, -1, 1),
        ),
        (
            {"gating_mode": "blended", "activation": "Tanh", "secondary_activation": {"type": "Sigmoid"}},
            lambda a, b: np.tanh(a) / (1 + np.exp(-b)) + a / (1 + np.exp(b)),
        ),
    ],
)
def test_pairs(layer, formula):
    weights = [1.0, 2.0, -3.0, 0.1, 0.2, 0.5, 0.25, 1.0, 0.0, 1.0, 1.0]
    x = np.linspace(-2, 2, 9)
    expected = formula(2.5 * x + 0.1, -2.75 * x + 0.2)
    np.testing.assert_allclose(play(document(layer, weights), x), expected, atol=1e-6)


ACTIVATIONS = [
    ("Tanh", np.tanh),
    ("Hardtanh", lambda x: np.clip(x, -1, 1)),
    ({"type": "Hardtanh", "min_val": -3, "max_val": 3}, lambda x: np.clip(x, -1, 1)),
    ("ReLU", lambda x: np.maximum(x, 0)),
    ("LeakyReLU", lambda x: np.where(x > 0, x, 0.01 * x)),
    ({"type": "LeakyReLU", "negative_slope": 0.3}, lambda x: np.where(x > 0, x, 0.3 * x)),
    ("PReLU", lambda x: np.where(x > 0, x, 0.01 * x)),
    ({"type": "PReLU", "negative_slopes": [0.4]}, lambda x: np.where(x > 0, x, 0.4 * x)),
    ("Sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    ("SiLU", lambda x: x / (1 + np.exp(-x))),
    ("Hardswish", lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6),
    ("Softsign", lambda x: x / (1 + abs(x))),
    ({"type": "Softsign", "alpha": 1.0}, lambda x: x / (1 + abs(x))),
    (
        "LeakyHardTanh",
        lambda x: np.where(x < -1, -1 + 0.01 * (x + 1), np.where(x > 1, 1 + 0.01 * (x - 1), x)),
    ),
    (
        {"type": "LeakyHardtanh", "min_val": -2, "max_val": 1, "min_slope": 0.5, "max_slope": 0.0},
        lambda x: np.where(x < -2, -2 + 0.5 * (x + 2), np.minimum(x, 1)),
    ),
]


@pytest.mark.parametrize(("activation", "formula"), ACTIVATIONS, ids=[str(name) for name, _ in ACTIVATIONS])
def test_activations(activation, formula):
    weights = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    x = np.linspace(-6, 6, 97)
    np.testing.assert_allclose(play(document({"activation": activation}, weights), x), formula(x), atol=1e-6)


def fast_tanh(x):
    a = abs(x)
    upper = 2.45550750702956 + 2.45550750702956 * a + (0.893229853513558 + 0.821226666969744 * a) * x**2
    return x * upper / (2.44506634652299 + (2.44506634652299 + x**2) * abs(x + 0.814642734961073 * x * a))


def test_fast_tanh_changes_tanh_only():
    weights = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    x = np.linspace(-6, 6, 97)
    for name in ("Tanh", "Fasttanh"):
        out = play(document({"activation": name}, weights), x, fast_tanh=True)
        np.testing.assert_allclose(out, fast_tanh(x), atol=1e-6)
        assert 1e-5 < np.abs(out - np.tanh(x)).max() < 5e-3
    np.testing.assert_allclose(
        play(document({"activation": "Fasttanh"}, weights), x), fast_tanh(x), atol=1e-6
    )
    for name in ("Sigmoid", "SiLU"):
        doc = document({"activation": name}, weights)
        np.testing.assert_array_equal(play(doc, x, fast_tanh=True), play(doc, x))


def test_film_scales_and_shifts():
    layer = {"activation_post_film": {"active": True, "shift": True, "groups": 1}}
    weights = [*WEIGHTS[:6], 2.0, 3.0, 0.5, 0.25, *WEIGHTS[6:]]  # scale 2c + 0.5, shift 3c + 0.25
    x = np.array([1.0, -1.0, 0.5])
    a = np.maximum(6.25 * x + 0.5, 0.0)
    expected = a * (2 * x + 0.5) + 3 * x + 0.25
    np.testing.assert_allclose(play(document(layer, weights), x), expected)


def test_films_default_to_active_with_shift():
    weights = [*WEIGHTS[:6], 2.0, 3.0, 0.5, 0.25, *WEIGHTS[6:]]
    full = {"activation_post_film": {"active": True, "shift": True, "groups": 1}}
    x = np.array([1.0, -1.0, 0.5])
    short = play(document({"activation_post_film": {}}, weights), x)
    np.testing.assert_array_equal(short, play(document(full, weights), x))


def test_groups_are_block_diagonal():
    layer = {"channels": 2, "groups_input": 2, "head_size": 1, "activation": "LeakyReLU"}
    grouped = [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    dense = [*grouped[:2], 3.0, 0.0, 0.0, 4.0, *grouped[4:]]
    x = np.linspace(-1, 1, 5)
    out = play(document(layer, grouped), x)
    np.testing.assert_array_equal(out, play(document({**layer, "groups_input": 1}, dense), x))
    np.testing.assert_allclose(out, np.where(x > 0, 11 * x, 0.11 * x), rtol=1e-6)


def test_head_dilation_and_post_head():
    head = {"out_channels": 1, "kernel_size": 2, "head_dilation": 2, "bias": True}
    post = {"channels": 4, "out_channels": 1, "kernel_sizes": [2], "activation": "ReLU"}
    weights = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 10.0, 1.0, 0.0, 100.0, 1.0, 0.0, 2.0]
    model = load_nam(document({"head": head}, weights, head=post))
    assert model.receptive_field == 4
    out = model.process(np.array([1.0, 0.0, 0.0, 0.0], dtype=np.float32))
    np.testing.assert_allclose(out, [2, 200, 20, 2000])


def condition_document(outputs=2):
    inner = document({"head_size": outputs}, [*WEIGHTS[:6], *([1.0] * outputs), 1.0])
    layer = {"condition_size": 2}
    weights = [2.0, 3.0, 0.5, 0.25, 0.5, 1.0, 0.0, 1.0, 1.0]
    return document(layer, weights, condition_dsp=inner)


def test_condition_dsp():
    x = np.array([1.0, 0.5])
    condition = np.maximum(6.25 * x + 0.5, 0.0)
    model = load_nam(condition_document())
    np.testing.assert_allclose(model.process(x), np.maximum(6 * x + 0.5 + 0.75 * condition, 0.0))
    assert model.num_weights == 9 + 9


def two_arrays():
    first, second = copy.deepcopy(LAYER), copy.deepcopy(LAYER)
    first.update(channels=2, head_size=3)
    second.update(channels=3, input_size=2)
    doc = document(weights=np.ones(17 + 6 + 4 + 18 - 2 + 1))
    doc["config"]["layers"] = [first, second]
    return doc


@pytest.mark.parametrize(
    ("layer", "config", "message"),
    [
        ({"channels": 0}, {}, r"config\.layers\[0\]\.channels` to be at least 1, but got 0"),
        ({"channels": 2000}, {}, "1 to 1024 outputs, but got 2000"),
        ({"input_size": 2}, {}, r"input_size to be the channels that come in \(1\), but got 2"),
        ({"condition_size": 2}, {}, r"condition_size to be the channels of the condition \(1\), but got 2"),
        ({"dilations": []}, {}, "at least one dilation"),
        ({"dilations": [0]}, {}, r"dilations\[0\]` to be at least 1"),
        ({"dilations": [2**31 - 1], "kernel_size": 3}, {}, "receptive field of at most|weight count"),
        ({"kernel_sizes": [1]}, {}, "`kernel_size` or `kernel_sizes`, but got both"),
        ({"activation": ["ReLU", "ReLU"]}, {}, r"one entry per dilation \(1\), but got 2"),
        ({"activation": "_ReLU"}, {}, "unknown activation"),
        ({"activation": {"name": "ReLU"}}, {}, 'missing required key "config.layers\\[0\\].activation.type"'),
        ({"activation": None}, {}, "an activation name or object, but got null"),
        ({"activation": {"type": "PReLU", "negative_slopes": [1, 2]}}, {}, "1 negative_slopes.* but got 2"),
        ({"activation": {"type": "PReLU", "negative_slopes": []}}, {}, "an empty list"),
        ({"activation": {"type": "Softsign", "alpha": 2}}, {}, "alpha` to be 1, but got 2"),
        ({"gating_mode": "maybe"}, {}, "one of none, gated, blended, but got 'maybe'"),
        ({"gating_mode": ["none", "none"]}, {}, "one entry per dilation"),
        ({"gating_mode": "gated", "secondary_activation": None}, {}, "secondary_activation.* but got null"),
        ({"gated": 1}, {}, "gated` to be true or false, but got 1"),
        ({"head": {"out_channels": 1, "bias": True}}, {}, "head.kernel_size"),
        ({"head": {"out_channels": 1, "kernel_size": 0, "bias": True}}, {}, "at least 1, but got 0"),
        ({"bottleneck": 2, "layer1x1": {"active": False, "groups": 1}}, {}, "because layer1x1 is inactive"),
        (
            {"layer1x1": {"active": False, "groups": 1}, "layer1x1_post_film": {"active": True}},
            {},
            "layer1x1_post_film` is active, but layer1x1 is not",
        ),
        ({"head1x1_post_film": {"active": True}}, {}, "head1x1_post_film` is active, but head1x1 is not"),
        ({"conv_pre_film": None}, {}, "conv_pre_film` to be an object, but got null"),
        ({"conv_pre_film": True}, {}, "conv_pre_film` to be an object, but got true"),
        ({"layer1x1": {"active": True}}, {}, "layer1x1.groups"),
        ({"groups_input": 2}, {}, "the 1 inputs of `layers.0.0.conv` to be divisible by its 2 groups"),
        ({}, {"layers": []}, "at least one layer array"),
        ({}, {"layers": {}}, "`config.layers` to be a list"),
        ({}, {"head_scale": None}, "head_scale` to be a number, but got null"),
        ({}, {"in_channels": 2}, "in_channels` to be 1"),
        (
            {},
            {"head": {"channels": 1, "out_channels": 1, "activation": "ReLU", "kernel_sizes": []}},
            "at least one",
        ),
        (
            {},
            {
                "head": {
                    "in_channels": 2,
                    "channels": 1,
                    "out_channels": 1,
                    "activation": "ReLU",
                    "kernel_sizes": [1],
                }
            },
            "head size 1, but got 2",
        ),
        (
            {},
            {"head": {"channels": 1, "out_channels": 2, "activation": "ReLU", "kernel_sizes": [1]}},
            "weight count|one output channel",
        ),
        ({"slimmable": {"method": "magic"}}, {}, "slice_channels_uniform\", but got 'magic'"),
    ],
)
def test_configs_the_engine_refuses(layer, config, message):
    with pytest.raises(NamFileError, match=message):
        load_nam(document(layer, **config))


def test_missing_keys_of_a_layer_array():
    for key in (
        "input_size",
        "condition_size",
        "channels",
        "dilations",
        "activation",
        "kernel_size",
        "head_size",
    ):
        with pytest.raises(NamFileError, match=key):
            load_nam(document(drop=[key]))


def test_array_widths_must_follow_each_other():
    doc = two_arrays()
    doc["config"]["layers"][1]["channels"] = 2
    with pytest.raises(NamFileError, match=r"layers\[1\]`: channels to be the head size .* \(3\), but got 2"):
        load_nam(doc)
    doc = two_arrays()
    doc["config"]["layers"][1]["input_size"] = 1
    with pytest.raises(NamFileError, match=r"input_size to be the channels that come in \(2\), but got 1"):
        load_nam(doc)
    doc = two_arrays()
    doc["config"]["layers"][1]["bottleneck"] = 2
    with pytest.raises(
        NamFileError, match=r"head path to be the head size of the array before \(3\), but got 2"
    ):
        load_nam(doc)


def test_condition_rules():
    doc = condition_document()
    doc["config"]["condition_dsp"]["sample_rate"] = 44100
    with pytest.raises(NamFileError, match=r"condition_dsp\.sample_rate` to be that of the model"):
        load_nam(doc)
    with pytest.raises(
        NamFileError, match=r"condition_size to be the channels of the condition \(1\), but got 2"
    ):
        load_nam(condition_document(outputs=1))
    doc = condition_document()
    doc["config"]["condition_dsp"]["weights"].pop()
    with pytest.raises(NamFileError, match=r"expected 9 weights for `config.condition_dsp.config`, but .* 8"):
        load_nam(doc)


@pytest.mark.parametrize("change", [-1, 1])
def test_weight_count(change):
    weights = WEIGHTS[:change] if change < 0 else [*WEIGHTS, 0.0]
    with pytest.raises(
        NamFileError, match=f"expected 8 weights for `config`, but the file holds {8 + change}"
    ):
        load_nam(document(weights=weights))


def test_more_than_one_output_is_refused():
    with pytest.raises(NamFileError, match="one output channel, but got 2"):
        load_nam(document({"head_size": 2}, [*WEIGHTS[:6], 1.0, 1.0, 1.0]))


def test_a_shared_slope_inside_a_pair_is_refused():
    layer = {"channels": 2, "gating_mode": "gated", "activation": "PReLU"}
    with pytest.raises(NamFileError, match="2 negative_slopes, one per channel, but got 1"):
        load_nam(document(layer))
