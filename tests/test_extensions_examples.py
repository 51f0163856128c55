"""Every example extension: loaded as an extension, used in a run, and its mathematics checked."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from nam_like import extensions
from nam_like.cli.full import main as nam_full
from nam_like.config.component import component
from nam_like.export.quiet_jit import quiet_jit
from nam_like.registry import kinds, registry_of
from tests.conftest import Run

EXAMPLES = Path(__file__).parent.parent / "extensions_examples"


@pytest.fixture(autouse=True, scope="module")
def examples() -> Iterator[None]:
    """Load the examples, and take out again what they registered."""
    before = {kind: set(registry_of(kind).names()) for kind in kinds()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(extensions.VARIABLE, str(EXAMPLES))
        loaded = {item.source: item for item in extensions.load_extensions()}
    for path in EXAMPLES.glob("*.py"):
        assert not loaded[str(path)].problem, loaded[str(path)].details
    yield
    for kind, names in before.items():
        for name in set(registry_of(kind).names()) - names:
            registry_of(kind).unregister(name)


def train(run: Run) -> Path:
    """Run `nam_full`; return the folder of the run."""
    assert nam_full([*run.write(), "--no-show", "--no-plots"]) == 0
    return (run.folder / "out" / "latest").resolve()


def make(kind: str, name: str, **config: Any) -> Any:
    return component(kind, {"name": name, "config": config})


def test_there_is_an_example_for_every_extension_point() -> None:
    owners = {entry.owner for kind in kinds() for entry in registry_of(kind).entries()}
    covered = {
        kind
        for kind in kinds()
        if any(entry.owner.startswith(str(EXAMPLES)) for entry in registry_of(kind).entries())
    }
    assert covered == set(kinds())
    assert {str(path) for path in EXAMPLES.glob("*.py")} <= owners


def test_one_run_with_most_of_them(tiny_run: Run) -> None:
    array = tiny_run.model["net"]["config"]["layers_configs"][0]
    array["activation"] = {"name": "Snake", "a": 2.0}
    tiny_run.model.update(
        loss={"terms": {"log_cosh": {"name": "LogCosh", "config": {"k": 20.0}}}, "val_loss": "log_cosh"},
        metrics=["TotalSNR"],
        optimizer={"name": "Lion", "config": {"lr": 0.001}},
        lr_scheduler={"name": "WarmupCosine", "config": {"warmup": 1, "total": 4}, "interval": "epoch"},
        task={"name": "noisy_regression", "config": {"noise_dbfs": -60}},
    )
    tiny_run.data["joint"] = [{"name": "loud_enough", "config": {"least_peak_dbfs": -40}}]
    log = tiny_run.folder / "metrics.jsonl"
    tiny_run.learning.update(
        export=["torchscript"],
        callbacks=[{"name": "HearProgress", "config": {"every": 2, "seconds": 0.1}}],
        loggers=[{"name": "jsonl", "config": {"file": str(log)}}],
    )
    folder = train(tiny_run)
    assert (folder / "model.ts").is_file()
    heard, rate = soundfile.read(folder / "hear" / "epoch_2.wav")
    assert rate == 48_000
    assert len(heard) == 4801
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    snr, esr = float(rows[-1]["TotalSNR"]), float(rows[-1]["ESR"])
    assert snr == pytest.approx(-10 * math.log10(esr), abs=1e-3)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert any("val_log_cosh" in line for line in lines)
    rates = [line["lr"] for line in lines if "lr" in line]
    assert rates == pytest.approx([0.0005, 0.001])


def test_hammerstein_on_data_without_files(tiny_run: Run) -> None:
    tiny_run.model["net"] = {"name": "Hammerstein", "config": {"taps": 8, "order": 3}}
    tiny_run.data = {
        "train": {"type": "tanh_clipper", "items": 12, "ny": 256},
        "validation": {"type": "tanh_clipper", "items": 2, "ny": 1024},
        "common": {"drive": 3.0},
    }
    tiny_run.learning["trainer"]["max_epochs"] = 3
    folder = train(tiny_run)
    assert json.loads((folder / "run.json").read_text())["best"]["metrics"]["ESR"] < 1.0


def test_hammerstein_is_a_filter_of_a_polynomial() -> None:
    net = make("net", "Hammerstein", taps=3, order=2).build()
    with torch.no_grad():
        net.powers.copy_(torch.tensor([1.0, 0.5]))
        net.filter.weight.copy_(torch.tensor([[[0.25, 0.5, 1.0]]]))
    x = torch.tensor([[1.0, -2.0, 3.0, 0.5]])
    shaped = x + 0.5 * x**2
    expected = np.convolve(shaped[0].numpy(), [1.0, 0.5, 0.25], mode="valid")
    np.testing.assert_allclose(net(x, pad_start=False)[0].detach().numpy(), expected, rtol=1e-6)
    before = net(x).detach()
    net.scale_output(0.25)
    torch.testing.assert_close(net(x).detach(), 0.25 * before)


def test_the_keys_of_a_class_without_a_config_model_are_checked_all_the_same() -> None:
    with pytest.raises(ValueError, match="tabs"):
        make("net", "Hammerstein", tabs=3)


@pytest.fixture
def parametric(tiny_run: Run) -> Run:
    """Two captures of one amp at two settings, described by a CSV."""
    x, rate = soundfile.read(tiny_run.folder / "x.wav")
    rows = ["x_path,y_path,gain,tone"]
    for number, (gain, tone) in enumerate([(0.2, 0.5), (0.9, 0.1)]):
        soundfile.write(
            tiny_run.folder / f"y{number}.wav", np.tanh(gain * 5 * x) * tone, rate, subtype="PCM_24"
        )
        rows.append(f"x.wav,y{number}.wav,{gain},{tone}")
    table = tiny_run.folder / "knobs.csv"
    table.write_text("\n".join(rows), encoding="utf-8")
    split = {"type": "ParametricDataset", "captures": str(table), "ny": 4096}
    tiny_run.data = {"train": dict(split), "validation": dict(split)}
    tiny_run.model["net"] = {"name": "ParametricNAM", "config": {"hidden": 4, "taps": 16}}
    tiny_run.learning["export"] = ["torchscript"]
    return tiny_run


def test_the_parametric_amp_trains(parametric: Run) -> None:
    assert (train(parametric) / "model.ts").is_file()


def test_the_parametric_dataset_gives_each_segment_its_knobs(parametric: Run) -> None:
    from nam_like.data import init_dataset

    dataset = init_dataset(parametric.data, "train", nx=16)
    x, gain, tone, y = dataset[len(dataset) - 1]
    assert (x.shape, y.shape) == ((16 - 1 + 4096,), (4096,))
    assert (float(gain), float(tone)) == pytest.approx((0.9, 0.1))
    torch.testing.assert_close(y, torch.tanh(0.9 * 5 * x[15:]) * 0.1, atol=1e-6, rtol=0)


def test_a_missing_csv_is_the_users_error(parametric: Run, capsys: pytest.CaptureFixture[str]) -> None:
    parametric.data["train"]["captures"] = "gone.csv"
    assert nam_full([*parametric.write(), "-np"]) == 2
    assert "gone.csv" in capsys.readouterr().err


def test_the_hook_refuses_quiet_recordings(tiny_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_run.data["joint"] = [{"name": "loud_enough", "config": {"least_peak_dbfs": -1}}]
    assert nam_full([*tiny_run.write(), "-np"]) == 2
    assert "expected y to peak at -1 dBFS or more" in capsys.readouterr().err


def test_snake_against_its_formula_and_it_cannot_be_a_nam(
    tiny_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    snake = make("activation", "Snake", a=3.0).build()
    x = np.linspace(-2, 2, 101)
    played = snake(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(played, x + np.sin(3 * x) ** 2 / 3, atol=1e-6)
    tiny_run.model["net"]["config"]["layers_configs"][0]["activation"] = "Snake"
    tiny_run.learning["export"] = ["nam"]
    assert nam_full([*tiny_run.write(), "-np"]) == 2
    assert "Snake" in capsys.readouterr().err


def test_log_cosh_against_float64() -> None:
    loss = make("loss", "LogCosh", k=10.0).build()
    error = torch.tensor([[-3.0, -0.01, 0.0, 0.2, 500.0]])
    exact = 10 * error.double().numpy()
    expected = np.mean(np.logaddexp(exact, -exact) - np.log(2)) / 100
    assert float(loss(error, torch.zeros_like(error))) == pytest.approx(float(expected), rel=1e-5)


def test_lion_steps_by_the_sign() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = make("optimizer", "Lion", lr=0.1, weight_decay=0.5).build(params=[weight])
    weight.grad = torch.tensor([3.0, -0.001])
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([0.95 - 0.1, -1.9 + 0.1]))
    # The momentum is now 0.01·g; a small opposite gradient does not turn the step round: 0.9·0.03 > 0.1·0.1.
    weight.grad = torch.tensor([-0.1, 0.0])
    before = weight.detach().clone()
    optimizer.step()
    assert weight.detach()[0] < before[0]


def test_the_impulse_response_of_a_linear_net(tiny_run: Run) -> None:
    tiny_run.model["net"] = {"name": "Linear", "config": {"receptive_field": 32}}
    tiny_run.learning["export"] = [{"name": "impulse_response", "config": {"subtype": "FLOAT"}}, "nam"]
    folder = train(tiny_run)
    response, rate = soundfile.read(folder / "model.wav")
    assert (len(response), rate) == (32, 48_000)
    from nam_like.export.nam_read import load_nam

    x = np.random.default_rng(0).standard_normal(200)
    played = load_nam(folder / "model.nam").process(x)
    silence = load_nam(folder / "model.nam").process(np.zeros(200))
    np.testing.assert_allclose(np.convolve(x, response)[:200], played - silence, atol=1e-5)


def test_the_impulse_response_of_another_net_is_refused(
    tiny_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_run.learning["export"] = ["impulse_response"]
    assert nam_full([*tiny_run.write(), "-np"]) == 2
    assert "expected a Linear net" in capsys.readouterr().err


# -- parts of enhancement nets

STFT = {"fft_length": 62, "hop_length": 16}
TRANSFORMS = {
    "encoder": {"name": "AudioToSpectrogram", "config": STFT},
    "decoder": {"name": "SpectrogramToAudio", "config": STFT},
}
MASKS = {"name": "ConvolutionalMasks", "config": {"num_subbands": 32, "width": 8, "layers": 3}}


def enhancer(name: str, **config: Any) -> Any:
    torch.manual_seed(0)
    return make("net", name, **{**TRANSFORMS, **config}).build()


def masked(**config: Any) -> Any:
    parts = {"mask_estimator": MASKS, "mask_processor": {"name": "PartialMask"}}
    return enhancer("MaskEnhancer", **{**parts, **config})


@pytest.fixture
def speech_run(tmp_path: Path) -> Path:
    """Three pairs of tones and tones in noise, their manifests, and three JSONs without a net."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(3):
        clean = 0.3 * np.sin(2 * np.pi * 300 * (number + 1) * np.arange(4000) / 8000)
        for kind, samples in (("clean", clean), ("noisy", clean + 0.2 * rng.standard_normal(4000))):
            soundfile.write(tmp_path / f"{kind}{number}.wav", samples, 8000)
        pair = {"noisy": f"noisy{number}.wav", "clean": f"clean{number}.wav", "duration": 0.5}
        lines.append(json.dumps(pair))
    (tmp_path / "train.json").write_text("\n".join(lines[:2]))
    (tmp_path / "val.json").write_text(lines[2])
    return tmp_path


def test_a_run_of_an_enhancement_net_made_of_examples(speech_run: Path) -> None:
    estimator = {"name": "ConvolutionalMasks", "config": {"num_subbands": 32, "width": 8, "layers": 3}}
    transform = {"filters": 32, "length": 16}
    files = {
        "data": {
            "type": "manifest",
            "common": {"sample_rate": 8000, "input_key": "noisy", "target_key": "clean"},
            "train": {"manifest_filepath": "train.json"},
            "validation": {"manifest_filepath": "val.json"},
        },
        "model": {
            "net": {
                "name": "MaskEnhancer",
                "config": {
                    "encoder": {"name": "LearnedAnalysis", "config": transform},
                    "mask_estimator": estimator,
                    "mask_processor": {"name": "PartialMask", "config": {"attenuation_db": 30}},
                    "decoder": {"name": "LearnedSynthesis", "config": transform},
                    "channel_augment": {"name": "DeadMicrophones", "config": {"probability": 0.5}},
                },
            },
            "optimizer": {"lr": 0.01},
            "loss": {"terms": {"sisdr": {"name": "SDR", "config": {"scale_invariant": True}}}},
        },
        "learning": {"trainer": {"max_epochs": 40, "accelerator": "cpu", "check_val_every_n_epoch": 40}},
    }
    for name, value in files.items():
        (speech_run / f"{name}.json").write_text(json.dumps(value))
    paths = [str(speech_run / f"{name}.json") for name in files]
    assert nam_full([*paths, str(speech_run / "out"), "--no-show", "--no-plots"]) == 0
    folder = speech_run / "out" / "latest"
    assert (folder / "model.ts").is_file()
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file) if row["train_loss"]]
    assert losses[-1] < losses[0] - 3.0  # dB


@pytest.mark.parametrize("samples", [16, 100, 1001])
def test_enhancers_of_examples_as_torchscript(samples: int) -> None:
    ncsn = {"in_channels": 2, "channels": [4, 4], "num_res_blocks": 1, "num_resolutions": 1}
    ncsn |= {"conditioned_on_time": True}
    nets = [
        masked(),
        enhancer(
            "FlowMatchingEnhancer",
            estimator={"name": "NCSNpp", "config": ncsn},
            process={"name": "OptimalTransportFlow"},
            sampler={"name": "SlowStartEuler", "config": {"num_steps": 2}},
        ),
        enhancer(
            "SchroedingerBridgeEnhancer",
            estimator={"name": "NCSNpp", "config": ncsn},
            process={"name": "BrownianBridge"},
            sampler={"name": "SBSampler", "config": {"num_steps": 2}},
        ),
    ]
    x = torch.randn(2, 1, samples)
    for net in nets:
        with quiet_jit():
            scripted = torch.jit.script(net.eval())
        torch.manual_seed(1)
        ours = net(x)
        torch.manual_seed(1)
        torch.testing.assert_close(scripted(x), ours)
        assert ours.shape == x.shape


def test_padding_changes_no_mask() -> None:
    net = masked().eval()
    x = torch.randn(1, 1, 700)
    padded = torch.nn.functional.pad(x, (0, 500))
    torch.testing.assert_close(net(padded, torch.tensor([700]))[..., :700], net(x), atol=1e-6, rtol=1e-5)


def test_a_partial_mask_leaves_what_it_says() -> None:
    processor = make("mask_processor", "PartialMask", attenuation_db=20).build()
    spectrogram = torch.randn(1, 2, 3, 4, dtype=torch.complex64)
    frames = torch.tensor([4])
    nothing = processor(spectrogram, frames, torch.zeros(1, 1, 3, 4))
    torch.testing.assert_close(nothing, 0.1 * spectrogram[:, :1])
    everything = processor(spectrogram, frames, torch.ones(1, 1, 3, 4))
    torch.testing.assert_close(everything, spectrogram[:, :1])


def test_dead_microphones_die_as_often_as_they_should() -> None:
    augmentation = make("augmentation", "DeadMicrophones", probability=0.25).build()
    torch.manual_seed(0)
    heard = augmentation(torch.ones(2000, 3, 2))
    assert (heard[:, 0] == 1).all()
    assert heard[:, 1:].mean() == pytest.approx(0.75, abs=0.03)
    assert (heard[..., 0] == heard[..., 1]).all()
    assert (augmentation.eval()(torch.ones(9, 3, 2)) == 1).all()


def test_the_brownian_bridge_against_its_closed_form() -> None:
    bridge = make("process", "BrownianBridge", c=0.5).build()
    time = torch.tensor([0.0, 0.2, 0.5, 1.0])
    variance = bridge.std(time) ** 2  # whose root magnifies the rounding near its ends
    torch.testing.assert_close(variance, 0.5 * time * (1 - time), atol=1e-6, rtol=1e-5)
    clean, noisy = torch.full((4, 1), 2.0), torch.full((4, 1), 6.0)
    torch.testing.assert_close(bridge.mean(clean, noisy, time)[:, 0], 2.0 + 4.0 * time)


def test_slow_start_steps_end_where_the_flow_does() -> None:
    process = make("process", "OptimalTransportFlow").build()
    sampler = make("sampler", "SlowStartEuler", num_steps=4, power=2).build(process)
    assert [sampler.time(index) for index in range(5)] == pytest.approx(
        [0, 1 / 16, 1 / 4, 9 / 16, 1], abs=1e-7
    )
    state = torch.zeros(1, 1, 1, 1)
    for index in range(4):
        state = sampler.update(index, state, torch.full_like(state, 3.0), state)
    assert float(state) == pytest.approx(3.0, rel=1e-5)  # a constant field, followed from 0 to 1


def test_learned_filters_at_any_length() -> None:
    encoder = make("transform", "LearnedAnalysis", filters=6, length=8).build()
    decoder = make("transform", "LearnedSynthesis", filters=6, length=8).build()
    x = torch.randn(2, 1, 50)
    with torch.no_grad():
        found, frames = encoder(x, torch.tensor([50, 21]))
    assert frames.tolist() == [13, 6]
    assert (found[1, :, :, 6:] == 0).all()
    # Frame n covers the hop before sample 4 n and the one behind it, as convolution in NumPy has it.
    taps = encoder.filters.weight[2, 0].detach().numpy()
    window = x[0, 0, 8 - 4 : 8 + 4].numpy()
    assert float(found[0, 0, 2, 2]) == pytest.approx(max(0.0, float(window @ taps)), rel=1e-4, abs=1e-6)
    audio, samples = decoder(found, frames, 50)
    assert (audio.shape, samples.tolist()) == ((2, 1, 50), [48, 20])
