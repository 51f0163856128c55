"""Generative nets: what they are trained on, and what they make of it when the estimator knows the answer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from harness.closed_form import sig
from pydantic import ValidationError
from torch import Tensor, nn

from nam_like.config.component import component
from nam_like.models.enhancement.generative import GenerativeEnhancer
from nam_like.native import library

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")

FULL = {"fft_length": 510, "hop_length": 128, "magnitude_power": 0.5, "scale": 0.33}
SMALL: dict[str, Any] = {"fft_length": 62, "hop_length": 16, "magnitude_power": 0.5, "scale": 0.33}
SMALL_NET = {
    "in_channels": 2,
    "conditioned_on_time": True,
    "channels": [8, 8, 16, 16, 16],
    "num_res_blocks": 1,
}

#: name of the net, its process, its sampler with few steps
NETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "score": (
        "ScoreBasedEnhancer",
        "OrnsteinUhlenbeckVESDE",
        {"name": "PredictorCorrectorSampler", "config": {"num_steps": 1}},
    ),
    "scaled score": (
        "ScoreBasedEnhancer",
        "OrnsteinUhlenbeckVESDE",
        {"name": "PredictorCorrectorSampler", "config": {"num_steps": 2, "num_corrector_steps": 0}},
    ),
    "flow": (
        "FlowMatchingEnhancer",
        "OptimalTransportFlow",
        {"name": "ConditionalFlowMatchingEulerSampler", "config": {"num_steps": 2}},
    ),
    "sde": (
        "SchroedingerBridgeEnhancer",
        "SBNoiseScheduleVE",
        {"name": "SBSampler", "config": {"num_steps": 2}},
    ),
    "ode": (
        "SchroedingerBridgeEnhancer",
        "SBNoiseScheduleVP",
        {"name": "SBSampler", "config": {"num_steps": 2, "process": "ode"}},
    ),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def described(kind: str, coder: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The net as a model JSON has it."""
    name, process, sampler = NETS[kind]
    coder = SMALL if coder is None else coder
    if kind == "scaled score":
        changes = {"scale_by_sigma": True, **changes}
    config = {
        "encoder": {"name": "AudioToSpectrogram", "config": coder},
        "estimator": {"name": "NCSNpp", "config": SMALL_NET},
        "decoder": {"name": "SpectrogramToAudio", "config": coder},
        "process": process,
        "sampler": copy.deepcopy(sampler),
    }
    return {"name": name, "config": {**config, **changes}}


def make(kind: str, coder: dict[str, Any] | None = None, **changes: Any) -> GenerativeEnhancer:
    torch.manual_seed(0)
    net: GenerativeEnhancer = component("net", described(kind, coder, **changes)).build()
    return net.eval()


def louder(net: GenerativeEnhancer) -> GenerativeEnhancer:
    """With an estimator whose output is not nearly zero, as it is before training."""
    with torch.no_grad():
        for name, parameter in net.estimator.named_parameters():
            if "projection_blocks" in name or "output_block.3" in name:
                parameter.normal_(std=0.1)
    return net


class Told(nn.Module):
    """An estimator that says what it was told to, and remembers what it was asked."""

    out_channels = 1

    def __init__(self, answer: Tensor | float = 0.0) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def forward(self, spectrogram: Tensor, frames: Tensor, time: Tensor) -> Tensor:
        state, condition = spectrogram.chunk(2, dim=1)
        self.asked.append((state, condition, frames, time))
        return torch.zeros_like(state) + self.answer


def pair(samples: int = 1600) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy audio, its lengths, and clean audio."""
    noisy, clean = sig(2, 1, samples, 0), 0.5 * sig(2, 1, samples, 4)
    lengths = torch.tensor([samples, samples - 500])
    for signal in (noisy, clean):
        signal[1, :, lengths[1] :] = 0
    return noisy, lengths, clean


def check_audio(found: Tensor, expected: Tensor, lengths: Tensor, tolerance: float) -> None:
    """Equality, but for the end of an item that is padded, where the frames behind it are missing."""
    for item, wanted, length in zip(found, expected, lengths.tolist(), strict=True):
        inside = length if length == found.shape[-1] else length - SMALL["fft_length"]
        torch.testing.assert_close(item[:, :inside], wanted[:, :inside], rtol=0, atol=tolerance)
        assert not item[:, length:].any()


@pytest.mark.parametrize("kind", NETS)
def test_scripted_nets_take_any_length_and_batch(kind: str) -> None:
    hide = {"ssl_pretrain_masking": "MaskPatches"} if kind == "flow" else {}
    net = louder(make(kind, FULL, normalize_input=True, **hide))
    scripted = torch.jit.script(net)
    for samples in (128, 8000, 8001, 16000, 128 * 15):
        for batch in (1, 2):
            x = sig(batch, 1, samples, 0)
            lengths = torch.full((batch,), samples - 100) if batch == 2 else None
            torch.manual_seed(1)
            with library.using("off"):  # scripts run on PyTorch, and sampling amplifies what rounding leaves
                expected = net(x, lengths)
            torch.manual_seed(1)
            torch.testing.assert_close(scripted(x, lengths), expected, rtol=0, atol=1e-5)
            assert expected.shape == x.shape
            assert torch.isfinite(expected).all()
            assert expected.any()
            assert batch == 1 or not expected[..., samples - 100 :].any()


@pytest.mark.parametrize("kind", NETS)
def test_a_seed_makes_the_answer_repeatable(kind: str) -> None:
    net = louder(make(kind))
    x = sig(1, 1, 1000, 0)
    answers = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        answers.append(net(x))
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2]) == (kind == "ode")  # nothing random about it
    assert not answers[0].requires_grad


@pytest.mark.parametrize("kind", NETS)
def test_normalised_input_makes_the_level_irrelevant(kind: str) -> None:
    x = sig(2, 1, 1000, 0)
    gain = torch.tensor([0.01, 7.0]).reshape(2, 1, 1)
    for normalize in (True, False):
        net = louder(make(kind, normalize_input=normalize))
        torch.manual_seed(1)
        plain = net(x)
        torch.manual_seed(1)
        found = net(gain * x)
        off = ((found - gain * plain).abs().amax(dim=2) / (gain * plain).abs().amax(dim=2)).max()
        assert (float(off) < 1e-3) == normalize


@pytest.mark.parametrize("kind", NETS)
def test_every_weight_learns_and_the_loss_falls(kind: str) -> None:
    net = make(kind, normalize_input=True).train()
    noisy, lengths, clean = pair(800)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for step in range(25):
        torch.manual_seed(step % 2)
        estimate, target, frames = net.views(noisy, lengths, clean, ("encoded",))["encoded"]
        assert frames.tolist() == [51, 19]
        loss = (estimate - target).abs().square().mean()
        optimizer.zero_grad()
        loss.backward()
        for name, parameter in net.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, name
                assert torch.isfinite(parameter.grad).all(), name
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


@pytest.mark.parametrize(("normalize", "scale"), [(False, False), (True, False), (True, True)])
def test_what_a_score_is_trained_on(normalize: bool, scale: bool) -> None:
    net = make("score", normalize_input=normalize, scale_by_sigma=scale)
    net.estimator = Told(2.0)
    noisy, lengths, clean = pair()
    peak = noisy.abs().amax(dim=(1, 2), keepdim=True) if normalize else torch.ones(2, 1, 1)
    estimate, target, frames = net.views(noisy, lengths, clean, ("encoded",))["encoded"]
    state, condition, asked, time = net.estimator.asked[0]
    clean_spectrogram, valid = net.encoder(clean / peak, lengths)
    noisy_spectrogram, _ = net.encoder(noisy / peak, lengths)
    assert frames.tolist() == asked.tolist() == valid.tolist()
    torch.testing.assert_close(condition, noisy_spectrogram, rtol=1e-5, atol=1e-5)
    std = net.process.std(time).reshape(2, 1, 1, 1)
    said = torch.full_like(std, 2.0) if scale else 2.0 * std
    torch.testing.assert_close(estimate, said.expand_as(estimate).to(estimate.dtype))
    mean = net.process.mean(clean_spectrogram, noisy_spectrogram, time)
    torch.testing.assert_close(state, mean - std * target, rtol=1e-4, atol=1e-5)
    assert float(target.abs().square().mean()) == pytest.approx(1.0, rel=0.1)
    assert ((time > 0.03) & (time <= 1.0)).all()


@pytest.mark.parametrize("estimator_target", ["conditional_vector_field", "data"])
def test_what_a_flow_is_trained_on(estimator_target: str) -> None:
    net = make("flow", estimator_target=estimator_target)
    net.estimator = Told()
    noisy, lengths, clean = pair()
    _, target, frames = net.views(noisy, lengths, clean, ("encoded",))["encoded"]
    state, condition, _, time = net.estimator.asked[0]
    clean_spectrogram, valid = net.encoder(clean, lengths)
    assert frames.tolist() == valid.tolist()
    assert torch.equal(condition, net.encoder(noisy, lengths)[0])
    if estimator_target == "data":
        assert torch.equal(target, clean_spectrogram)
    # On the straight path, the speed is what leads from the state to the end in the time that is left.
    left = (1.0 - time).reshape(2, 1, 1, 1)
    speed = target if estimator_target != "data" else (clean_spectrogram - state) / left
    torch.testing.assert_close(state + left * speed, clean_spectrogram, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("kind", ["sde", "ode"])
def test_what_a_bridge_is_trained_on(kind: str, normalize: bool) -> None:
    net = make(kind, normalize_input=normalize)
    noisy, lengths, clean = pair()
    peak = noisy.abs().amax(dim=(1, 2), keepdim=True) if normalize else torch.ones(2, 1, 1)
    clean_spectrogram, _ = net.encoder(clean / peak, lengths)
    net.estimator = Told(clean_spectrogram)
    views = net.views(noisy, lengths, clean, ("encoded", "time"))
    state, condition, _, time = net.estimator.asked[0]
    estimate, target, _ = views["encoded"]
    torch.testing.assert_close(estimate, target, rtol=1e-4, atol=1e-5)
    estimate, target, valid = views["time"]
    torch.testing.assert_close(target, clean / peak)
    check_audio(estimate, target, lengths, 1e-4)
    assert valid.tolist() == lengths.tolist()
    off = state - net.process.mean(clean_spectrogram, condition, time)
    std = net.process.std(time)
    assert (off.abs().square().mean(dim=(1, 2, 3)).sqrt() / std - 1).abs().max() < 0.1
    assert set(net.views(noisy, lengths, clean, ("encoded",))) == {"encoded"}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("sde", {"sampler": {"name": "SBSampler", "config": {"num_steps": 5, "time_min": 0}}}),
        (
            "ode",
            {"sampler": {"name": "SBSampler", "config": {"num_steps": 5, "time_min": 0, "process": "ode"}}},
        ),
        (
            "flow",
            {
                "estimator_target": "data",
                "process": {"name": "OptimalTransportFlow", "config": {"sigma_end": 0}},
            },
        ),
    ],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_an_estimator_that_knows_the_clean_spectrogram_makes_a_net_that_answers_with_the_clean_audio(
    kind: str, changes: dict[str, Any], normalize: bool
) -> None:
    net = make(kind, normalize_input=normalize, **changes)
    noisy, lengths, clean = pair(1603)
    peak = noisy.abs().amax(dim=(1, 2), keepdim=True) if normalize else torch.ones(2, 1, 1)
    net.estimator = Told(net.encoder(clean / peak, lengths)[0])
    check_audio(net(noisy, lengths), clean, lengths, 1e-3)


def test_a_score_that_knows_the_clean_spectrogram_leads_near_the_clean_audio() -> None:
    net = make("score", sampler={"name": "PredictorCorrectorSampler", "config": {"num_steps": 60}})
    noisy, lengths, clean = pair()
    found, _ = net.encoder(clean, lengths)

    class Score(nn.Module):
        def forward(self, spectrogram: Tensor, frames: Tensor, time: Tensor) -> Tensor:
            state, condition = spectrogram.chunk(2, dim=1)
            std = net.process.std(time).reshape(2, 1, 1, 1)
            made: Tensor = -(state - net.process.mean(found, condition, time)) / std**2
            return made

    net.estimator = Score()
    torch.manual_seed(0)
    made, _ = net.encoder(net(noisy, lengths), lengths)
    off = (made - found)[0].abs().square().mean().sqrt()
    before = (net.encoder(noisy, lengths)[0] - found)[0].abs().square().mean().sqrt()
    assert float(off) < 0.2 * float(before)


def test_conditions_are_left_out_in_training_as_often_as_asked() -> None:
    net = make("flow", p_cond=0.3)
    noisy = torch.ones(2000, 1, 1, 4, dtype=torch.complex64)
    frames = torch.full((2000,), 4)
    torch.manual_seed(0)
    told = net.train().training_condition(noisy, frames)
    assert ((told == 1) | (told == 0)).all()
    assert (told == told[..., :1]).all()
    assert float(told.real.mean()) == pytest.approx(0.3, abs=0.04)
    assert torch.equal(net.eval().training_condition(noisy, frames), noisy)


def test_a_flow_that_is_never_told_its_input_ignores_it() -> None:
    net = louder(make("flow", p_cond=0))
    answers = []
    for seed in (0, 3):
        torch.manual_seed(1)
        answers.append(net(sig(1, 1, 1000, seed)))
    assert torch.equal(*answers)
    net.estimator = Told()
    net.views(*pair(), ("encoded",))
    assert not net.estimator.asked[0][1].any()


def test_training_in_advance_needs_clean_speech_only_and_hides_patches_of_it() -> None:
    hide = {"name": "MaskPatches", "config": {"patch_size": 5, "mask_fraction": 0.6}}
    net = make("flow", estimator_target="data", ssl_pretrain_masking=hide)
    net.estimator = Told()
    speech, lengths, _ = pair()
    whole, frames = net.encoder(speech, lengths)
    for training in (True, False):
        net.train(training)
        _, target, _ = net.views(speech, lengths, None, ("encoded",))["encoded"]
        assert torch.equal(target, whole)
        condition = net.estimator.asked[-1][1]
        hidden = (condition == 0).all(dim=2)[:, 0]
        for row, length in zip(hidden, frames.tolist(), strict=True):
            assert float(row[:length].float().mean()) == pytest.approx(0.6, abs=0.07)
        shown = ~hidden[:, None, None, :].expand_as(whole)
        assert torch.equal(condition[shown], whole[shown])
    assert not net.needs_target
    net.validation_answer(speech, lengths)
    assert torch.equal(net.estimator.asked[-1][1], condition)  # validations score what it fills in
    net(speech, lengths)
    assert torch.equal(net.estimator.asked[-1][1], whole)  # in use, nothing is hidden


@pytest.mark.parametrize(
    ("kind", "domain", "message"),
    [
        ("score", "time", "expected a loss of the domain encoded for this ScoreBasedEnhancer, but got time"),
        ("flow", "time", "expected a loss of the domain encoded for this FlowMatchingEnhancer, but got time"),
        ("sde", "mel", "the domain encoded or time for this SchroedingerBridgeEnhancer, but got mel"),
    ],
)
def test_views_that_there_are_none_of(kind: str, domain: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(kind).views(*pair(), (domain,))


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "score",
            {"process": "SBNoiseScheduleVE"},
            "to be a OrnsteinUhlenbeckVESDE, but got SBNoiseScheduleVE",
        ),
        ("score", {"sampler": "SBSampler"}, "to be a PredictorCorrectorSampler, but got SBSampler"),
        ("flow", {"process": "OrnsteinUhlenbeckVESDE"}, "to be a OptimalTransportFlow"),
        ("flow", {"estimator_target": "noise"}, "'conditional_vector_field' or 'data'"),
        ("flow", {"p_cond": 1.5}, "less than or equal to 1"),
        ("sde", {"sampler": "PredictorCorrectorSampler"}, "to be a SBSampler"),
        ("sde", {"process": "OptimalTransportFlow"}, "to be a NoiseSchedule"),
        ("sde", {"estimator_output": "score"}, "data_prediction"),
        (
            "sde",
            {"estimator": {"name": "NCSNpp", "config": {"conditioned_on_time": True}}},
            r"expected in_channels to be twice out_channels \(1\), .* but got 1",
        ),
        (
            "sde",
            {"estimator": {"name": "NCSNpp", "config": {"in_channels": 2}}},
            "expected conditioned_on_time to be true, .* but got false",
        ),
        (
            "sde",
            {"decoder": {"name": "SpectrogramToAudio", "config": FULL}},
            "expected the fft_length of the encoder, 62, but got 510",
        ),
    ],
)
def test_parts_that_do_not_fit(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        component("net", described(kind, **changes))


def test_weights_have_the_names_of_the_original() -> None:
    names = list(make("sde").state_dict())
    assert {name.split(".")[0] for name in names} == {"estimator"}
    assert "estimator.ncsnpp.time_embedding.1.weight" in names
