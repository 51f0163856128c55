import numpy as np
import pytest
from scipy.signal import fftconvolve

from nam_like.errors import NamFileError
from nam_like.export.nam_read import load_nam


def lstm(hidden=3, layers=2, seed=0, sample_rate=48000, **config):
    rng = np.random.default_rng(seed)
    sizes = [4 * hidden * ((i > 0) * hidden + (i == 0) + hidden) + 6 * hidden for i in range(layers)]
    document = {
        "version": "0.5.4",
        "architecture": "LSTM",
        "config": {"input_size": 1, "hidden_size": hidden, "num_layers": layers, **config},
        "weights": list(rng.uniform(-0.7, 0.7, sum(sizes) + hidden + 1).astype(np.float32).astype(float)),
    }
    return document if sample_rate is None else {**document, "sample_rate": sample_rate}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def fast_tanh(x):
    a = abs(x)
    upper = 2.45550750702956 + 2.45550750702956 * a + (0.893229853513558 + 0.821226666969744 * a) * x**2
    return x * upper / (2.44506634652299 + (2.44506634652299 + x**2) * abs(x + 0.814642734961073 * x * a))


def reference_lstm(document, x, tanh=np.tanh, gate=sigmoid):
    """The textbook recursion, sample by sample, from the state in the file."""
    hidden, weights = document["config"]["hidden_size"], np.array(document["weights"])
    cells, position = [], 0

    def take(*shape):
        nonlocal position
        count = int(np.prod(shape))
        position += count
        return weights[position - count : position].reshape(shape)

    for i in range(document["config"]["num_layers"]):
        inputs = hidden if i else 1
        cells.append([take(4 * hidden, inputs + hidden), take(4 * hidden), take(hidden), take(hidden)])
    head, bias = take(hidden), take(1)
    out = []
    for sample in x:
        signal = np.array([sample])
        for cell in cells:
            w, b, h, c = cell
            i, f, g, o = np.split(w @ np.concatenate([signal, h]) + b, 4)
            cell[3] = gate(f) * c + gate(i) * tanh(g)
            cell[2] = signal = gate(o) * tanh(cell[3])
        out.append(head @ signal + bias[0])
    return np.array(out)


@pytest.mark.parametrize(("hidden", "layers"), [(1, 1), (3, 2), (4, 3)])
def test_lstm_from_the_state_in_the_file(hidden, layers):
    document = lstm(hidden, layers)
    x = np.random.default_rng(1).uniform(-1, 1, 40).astype(np.float32)
    out = load_nam(document).process(x, prewarm=False)
    np.testing.assert_allclose(out, reference_lstm(document, x), atol=1e-6)


def test_lstm_with_fast_tanh_uses_it_in_every_gate():
    document = lstm(4, 2, seed=2)
    x = np.random.default_rng(1).uniform(-2, 2, 60).astype(np.float32)
    expected = reference_lstm(document, x, fast_tanh, lambda v: 0.5 * (fast_tanh(v / 2) + 1))
    out = load_nam(document).process(x, prewarm=False, fast_tanh=True)
    np.testing.assert_allclose(out, expected, atol=1e-6)
    assert np.abs(out - reference_lstm(document, x)).max() > 1e-5


@pytest.mark.parametrize(("sample_rate", "zeros"), [(1000, 512), (48000, 24000), (None, 64)])
def test_lstm_hears_half_a_second_of_silence_in_whole_blocks(sample_rate, zeros):
    document = lstm(2, 1, seed=3, sample_rate=sample_rate)
    x = np.random.default_rng(1).uniform(-1, 1, 20).astype(np.float32)
    model = load_nam(document)
    cold = model.process(np.concatenate([np.zeros(zeros, np.float32), x]), prewarm=False)
    np.testing.assert_array_equal(model.process(x), cold[zeros:])


@pytest.mark.parametrize("change", [-1, 2])
def test_lstm_with_a_wrong_weight_count_is_refused_although_the_engine_plays_it(change):
    document = lstm()
    document["weights"] = document["weights"][:change] if change < 0 else document["weights"] + [0.0] * change
    with pytest.raises(NamFileError, match="weight count mismatch"):
        load_nam(document)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"input_size": 2}, r"input_size` to be 1 \(mono\), but got 2"),
        ({"num_layers": 0}, "num_layers` to be at least 1, but got 0"),
        ({"hidden_size": 10**6}, "at most 1024, but got 1000000"),
        ({"hidden_size": "8"}, "hidden_size` to be an integer, but got '8'"),
    ],
)
def test_lstm_configs_that_are_refused(config, message):
    with pytest.raises(NamFileError, match=message):
        load_nam(lstm() | {"config": lstm()["config"] | config})


def convnet(batchnorm, activation="Tanh", dilations=(1, 2, 4), channels=2):
    rng = np.random.default_rng(4)
    weights = []
    for i, _ in enumerate(dilations):
        weights.append(rng.normal(size=channels * (channels if i else 1) * 2))
        if batchnorm:
            weights += [
                rng.normal(size=channels),
                rng.uniform(0.5, 2, channels),
                rng.normal(size=2 * channels),
                [1e-5],
            ]
        else:
            weights.append(rng.normal(size=channels))
    weights.append(rng.normal(size=channels + 1))
    config = {
        "channels": channels,
        "dilations": list(dilations),
        "batchnorm": batchnorm,
        "activation": activation,
    }
    flat = np.concatenate(weights).astype(np.float32)
    return {"version": "0.5.0", "architecture": "ConvNet", "config": config, "weights": flat}


def test_convnet_with_batch_normalisation_by_hand():
    document = convnet(True, "ReLU", dilations=[2], channels=1)
    w0, w1, mean, var, gamma, beta, eps, head, bias = document["weights"].astype(float)
    x = np.array([0.3, -0.2, 0.9, 0.1, -0.7])
    delayed = np.concatenate([[0.0, 0.0], x[:-2]])
    z = gamma * (w0 * delayed + w1 * x - mean) / np.sqrt(var + eps) + beta
    model = load_nam(document)
    np.testing.assert_allclose(model.process(x), head * np.maximum(z, 0) + bias, rtol=1e-5)
    assert model.receptive_field == 3


def test_convnet_activation_objects_keep_their_parameters():
    plain = load_nam(convnet(False, "LeakyReLU"))
    steep = load_nam(convnet(False, {"type": "LeakyReLU", "negative_slope": 0.01}))
    x = np.random.default_rng(1).normal(size=50)
    np.testing.assert_array_equal(plain.process(x), steep.process(x))
    other = load_nam(convnet(False, {"type": "LeakyReLU", "negative_slope": 0.5}))
    assert np.abs(plain.process(x) - other.process(x)).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 2}, "divisible by its 2 groups"),
        ({"dilations": []}, "at least one dilation"),
        ({"batchnorm": None}, "batchnorm` to be true or false"),
        ({"out_channels": 2}, "out_channels` to be 1"),
        ({"channels": 3}, "weight count mismatch"),
        ({"dilations": [2**31 - 1, 1, 1]}, "receptive field of at most 16777216 samples"),
    ],
)
def test_convnet_configs_that_are_refused(change, message):
    document = convnet(False)
    document["config"] |= change
    with pytest.raises(NamFileError, match=message):
        load_nam(document)


@pytest.mark.parametrize("taps", [1, 2, 63, 1000])
def test_linear_is_convolution(taps):
    rng = np.random.default_rng(5)
    response, x = rng.normal(size=taps).astype(np.float32), rng.normal(size=5000).astype(np.float32)
    document = {
        "version": "0.5.0",
        "architecture": "Linear",
        "config": {"receptive_field": taps, "bias": True},
        "weights": np.append(response, np.float32(0.25)),
    }
    model = load_nam(document)
    expected = fftconvolve(x.astype(float), response.astype(float))[: len(x)] + 0.25
    np.testing.assert_allclose(model.process(x), expected, rtol=1e-6, atol=1e-5)
    assert model.num_weights == taps + 1
