"""Predictive and mask-based nets as wholes: any length and batch, padding, loudness, scripting, mistakes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from nam_like.config.component import component
from nam_like.errors import HandshakeError
from nam_like.export.quiet_jit import quiet_jit
from nam_like.models.enhancement.enhancer import Enhancer
from nam_like.native import library

STFT = {"fft_length": 62, "hop_length": 16}
COMPRESSED = {**STFT, "magnitude_power": 0.5, "scale": 0.33}


def transform(name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "config": config}


def predictive(**more: Any) -> dict[str, Any]:
    estimator = {"channels": [8, 8, 8], "num_resolutions": 2, "num_res_blocks": 1}
    return {
        "name": "PredictiveEnhancer",
        "config": {
            "encoder": transform("AudioToSpectrogram", COMPRESSED),
            "estimator": transform("NCSNpp", estimator),
            "decoder": transform("SpectrogramToAudio", COMPRESSED),
            **more,
        },
    }


def masked(outputs: int = 1, **more: Any) -> dict[str, Any]:
    estimator = {"num_outputs": outputs, "num_subbands": 32, "num_features": 8, "num_layers": 1}
    return {
        "name": "MaskEnhancer",
        "config": {
            "num_outputs": outputs,
            "encoder": transform("AudioToSpectrogram", STFT),
            "mask_estimator": transform("MaskEstimatorRNN", estimator),
            "mask_processor": transform("MaskReferenceChannel", {}),
            "decoder": transform("SpectrogramToAudio", STFT),
            **more,
        },
    }


def built(config: dict[str, Any]) -> Enhancer:
    torch.manual_seed(0)
    net: Enhancer = component("net", config).build()
    for parameter in net.parameters():
        if parameter.ndim > 1:  # NCSN++ begins with weights that all but silence it
            torch.nn.init.normal_(parameter, std=0.2)
    return net.eval()


NETS = {
    "predictive": predictive(normalize_input=True),
    "masked": masked(normalize_input=True),
    "two outputs": masked(2, mixture_consistency={}),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("samples", [16, 17, 250, 800, 999])
def test_scripted_at_any_length_and_batch(name: str, samples: int) -> None:
    net = built(NETS[name])
    with quiet_jit():
        scripted = torch.jit.script(net)
    for batch in (1, 2):
        x = torch.randn(batch, 1, samples)
        with torch.no_grad():
            wanted = net(x)
            assert wanted.shape == (batch, net.num_outputs, samples)
            assert float((scripted(x) - wanted).abs().max()) <= 1e-5
            assert torch.equal(net(x, torch.full((batch,), samples)), wanted)


@pytest.mark.parametrize("name", ["masked", "two outputs"])
def test_padding_changes_nothing(name: str) -> None:
    net = built(NETS[name])
    x = torch.randn(1, 1, 500)
    padded = torch.cat((torch.nn.functional.pad(x, (0, 300)), torch.randn(1, 1, 800)))
    with torch.no_grad():
        alone = net(x)
        together = net(padded, torch.tensor([500, 800]))
    torch.testing.assert_close(together[:1, :, :500], alone, atol=1e-5, rtol=1e-4)
    assert not together[0, :, 500:].any()


@pytest.mark.parametrize("name", ["predictive", "masked"])
def test_loudness_makes_no_difference_when_normalised(name: str) -> None:
    net = built(NETS[name])
    x = torch.randn(2, 1, 400)
    with torch.no_grad():
        torch.testing.assert_close(net(0.01 * x), 0.01 * net(x), atol=1e-5, rtol=1e-3)


def test_several_answers_add_up_to_the_mixture() -> None:
    net = built(NETS["two outputs"])
    x = torch.randn(1, 1, 480)
    with torch.no_grad():
        torch.testing.assert_close(net(x).sum(dim=1, keepdim=True), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NETS)
def test_the_view_in_time_is_the_answer(name: str) -> None:
    net = built(NETS[name])
    x, lengths = torch.randn(2, 1, 300), torch.tensor([300, 200])
    target = torch.randn(2, net.num_outputs, 300)
    with torch.no_grad():
        views = net.views(x, lengths, target, ("time", "encoded"))
        assert torch.equal(views["time"][0], net(x, lengths))
    assert torch.equal(views["time"][1], target)
    estimate, wanted, frames = views["encoded"]
    assert estimate.shape == wanted.shape
    assert frames.tolist() == [300 // 16 + 1, 200 // 16 + 1]


@pytest.mark.parametrize(
    ("config", "loc", "message"),
    [
        (
            predictive(decoder=transform("SpectrogramToAudio", {**COMPRESSED, "hop_length": 8})),
            ("config", "decoder", "config", "hop_length"),
            "expected the hop_length of the encoder, 16, but got 8",
        ),
        (
            masked(mask_estimator=transform("MaskEstimatorRNN", {"num_outputs": 1, "num_subbands": 33})),
            ("config", "mask_estimator", "config", "num_subbands"),
            "expected num_subbands to be fft_length // 2 + 1 of the encoder, 32, but got 33",
        ),
        (
            masked(mask_estimator=transform("MaskEstimatorGSS", {})),
            ("config", "mask_estimator", "name"),
            "which must be told when who is active",
        ),
        (predictive(estimater={}), ("config", "estimater"), "did you mean 'estimator'"),
        (
            predictive(skip_nan_grad=True),
            ("config", "skip_nan_grad"),
            "expected no `skip_nan_grad`: it is a key of learning.json",
        ),
    ],
)
def test_parts_that_do_not_fit(config: dict[str, Any], loc: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        component("net", config)
    assert [error["loc"] for error in caught.value.errors()] == [loc]
    assert message in caught.value.errors()[0]["msg"]


def test_channels_are_checked() -> None:
    net = built(NETS["predictive"])
    net.check_example(1, 1, "a.wav")
    with pytest.raises(HandshakeError, match=r"a\.wav: expected input_signal to have 1 channels"):
        net.check_example(2, 1, "a.wav")
    with pytest.raises(HandshakeError, match=r"a\.wav: expected target_signal to have 1 channels"):
        net.check_example(1, 2, "a.wav")


def test_the_reference_channel_must_be_there() -> None:
    net = built(masked(mask_processor={"name": "MaskReferenceChannel", "config": {"ref_channel": 2}}))
    net.check_example(3, 1, "a.wav")
    with pytest.raises(HandshakeError, match=r"a\.wav: .* at least 3 channels, .* ref_channel 2, but got 2"):
        net.check_example(2, 1, "a.wav")


def test_what_it_says_of_itself() -> None:
    net = built(NETS["masked"])
    assert net.receptive_field is None
    assert net.export_obstacles("torchscript") == []
    assert net.export_obstacles("nam") == ["a MaskEnhancer cannot be exported as 'nam'"]
    assert net.runs_on("cuda") == "PyTorch on cuda"
    with library.using("off"):
        assert net.runs_on() == "PyTorch on cpu"
    if library.load() is not None:
        assert "for recurrent layers, PyTorch for the rest" in net.runs_on()
        assert "for norms, convolutions and resizing" in built(NETS["predictive"]).runs_on()
