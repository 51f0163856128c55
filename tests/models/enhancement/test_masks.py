"""Mask estimators and beamformers against recorded outputs of the original."""

from __future__ import annotations

import ast
from typing import Any

import pytest
import torch
from harness.closed_form import fill, scalars, sig
from torch import Tensor

from nam_like.models.enhancement.beamformer import MaskBasedBeamformer
from nam_like.models.enhancement.features import SpectrogramFeatures
from nam_like.models.enhancement.mask_rnn import MaskEstimatorRNN
from nam_like.models.enhancement.masking import MaskReferenceChannel, MixtureConsistencyProjection
from nam_like.models.enhancement.spectrogram import AudioToSpectrogram

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")

BIN = (0, 0, 50, 10)


def spectrogram() -> tuple[Tensor, Tensor]:
    encoder = AudioToSpectrogram(fft_length=512, hop_length=256)
    made: tuple[Tensor, Tensor] = encoder(sig(2, 3, 8000, 0), torch.tensor([8000, 6000]))
    return made


def estimator() -> MaskEstimatorRNN:
    net = MaskEstimatorRNN(num_outputs=2, num_subbands=257, num_features=16, num_layers=2)
    fill(net)
    return net


def recorded(prefix: str) -> list[Any]:
    """Recorded settings and results whose names begin so."""
    return [
        pytest.param(ast.literal_eval(name[len(prefix) :]), value, id=name[len(prefix) :])
        for name, value in scalars().items()
        if name.startswith(prefix)
    ]


@pytest.mark.parametrize(("config", "expected"), recorded("feat_"))
def test_recorded_features(config: dict[str, Any], expected: dict[str, Any]) -> None:
    x, frames = spectrogram()
    ipd = config.pop("use_ipd", False)
    found = SpectrogramFeatures(use_ipd=ipd, **config)(x, frames)
    assert list(found.shape) == expected["shape"]
    assert float(found[BIN]) == pytest.approx(expected["v"], abs=1e-5)
    # A phase difference of half a turn has two values, and rounding chooses.
    assert float(found.mean()) == pytest.approx(expected["mean"], abs=1e-3 if ipd else 1e-6)


def test_recorded_masks() -> None:
    expected, net = scalars()["mask_rnn"], estimator()
    assert sum(parameter.numel() for parameter in net.parameters()) == expected["params"]
    assert list(net.state_dict()) == expected["keys"]
    x, frames = spectrogram()
    assert frames.tolist() == expected["len"]
    with torch.no_grad():
        found = net(x, frames)
    assert list(found.shape) == expected["shape"]
    assert float(found[0, 1, 50, 10]) == pytest.approx(expected["v"], abs=1e-5)
    assert float(found.mean()) == pytest.approx(expected["mean"], abs=1e-6)


def test_the_published_estimator_has_as_many_parameters() -> None:
    with torch.device("meta"):
        net = MaskEstimatorRNN(num_outputs=1, num_subbands=257, num_features=256, num_layers=5)
    assert sum(parameter.numel() for parameter in net.parameters()) == scalars()["mask_rnn_config_params"]


def test_what_is_behind_an_item_changes_nothing() -> None:
    net = estimator()
    x, _ = spectrogram()
    frames = torch.tensor([20, 24])  # no item is as long as the batch
    with torch.no_grad():
        together = net(x, frames)
        alone = net(x[:1, ..., :20], frames[:1])
    torch.testing.assert_close(together[:1, ..., :20], alone)
    assert not together[0, ..., 20:].any()


@pytest.mark.parametrize("rnn_type", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_scripted_estimators_take_any_length(rnn_type: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    net = MaskEstimatorRNN(
        num_outputs=1,
        num_subbands=9,
        num_features=8,
        num_hidden_features=6,
        num_layers=1,
        rnn_type=rnn_type,
        bidirectional=bidirectional,
    )
    scripted = torch.jit.script(net)
    for batch, count in ((1, 1), (2, 7), (3, 20)):
        x = torch.randn(batch, 2, 9, count, dtype=torch.complex64)
        frames = torch.randint(1, count + 1, (batch,))
        with torch.no_grad():
            torch.testing.assert_close(scripted(x, frames), net(x, frames))


def test_one_that_hears_no_future_is_causal() -> None:
    torch.manual_seed(0)
    net = MaskEstimatorRNN(num_outputs=1, num_subbands=9, num_features=8, bidirectional=False)
    x = torch.randn(1, 1, 9, 12, dtype=torch.complex64)
    changed = x.clone()
    changed[..., 7:] = 0
    with torch.no_grad():
        whole, cut = net(x, torch.tensor([12])), net(changed, torch.tensor([12]))
    torch.testing.assert_close(whole[..., :7], cut[..., :7])
    assert (whole[..., 7:] != cut[..., 7:]).any()


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize("rnn_type", ["lstm", "gru"])
def test_a_stream_of_frames_gives_the_masks_of_the_whole(rnn_type: str, scripted: bool) -> None:
    torch.manual_seed(0)
    net: Any = MaskEstimatorRNN(
        num_outputs=2, num_subbands=9, num_features=8, num_layers=2, rnn_type=rnn_type, bidirectional=False
    )
    if scripted:
        net = torch.jit.script(net)
    x = torch.randn(2, 3, 9, 12, dtype=torch.complex64)
    state: list[Tensor] = []
    with torch.no_grad():
        whole = net(x, torch.tensor([12, 12]))
        pieces = []
        for first, last in ((0, 1), (1, 6), (6, 12)):
            masks, state = net.stream_frames(x[..., first:last], state)
            pieces.append(masks)
    torch.testing.assert_close(torch.cat(pieces, dim=-1), whole)


def test_one_that_hears_the_future_has_no_stream() -> None:
    net = MaskEstimatorRNN(num_outputs=1, num_subbands=9, num_features=8)
    with pytest.raises(ValueError, match="expected a net that is not bidirectional"):
        net.stream_frames(torch.zeros(1, 1, 9, 2, dtype=torch.complex64), [])


def test_recorded_reference_channel() -> None:
    x, frames = spectrogram()
    expected = scalars()["mask_ref"]
    with torch.no_grad():
        found = MaskReferenceChannel(ref_channel=1)(x, frames, estimator()(x, frames))
    assert list(found.shape) == expected["shape"]
    assert complex(found[0, 1, 50, 10]) == pytest.approx(complex(*expected["v"]), abs=1e-6)


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize(("config", "expected"), recorded("bf_"))
def test_recorded_beamformers(config: dict[str, Any], expected: dict[str, Any], scripted: bool) -> None:
    x, frames = spectrogram()
    config.pop("ref_hard", None)  # the only way there is
    beamformer: Any = MaskBasedBeamformer(**config)
    with torch.no_grad():
        masks = estimator()(x, frames)
        found = (torch.jit.script(beamformer) if scripted else beamformer)(x, frames, masks)
    assert list(found.shape) == expected["shape"]
    assert complex(found[BIN]) == pytest.approx(complex(*expected["v"]), abs=1e-6)
    assert float(found.abs().mean()) == pytest.approx(expected["mean"], rel=1e-6)


def test_a_beamformer_finds_a_source_that_it_is_told_where_to_hear() -> None:
    """One source and one interferer, each with a direction of its own, and masks that tell them apart."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(1, 1, 5, 400, dtype=torch.complex64, generator=generator)
    other = torch.randn(1, 1, 5, 400, dtype=torch.complex64, generator=generator)
    source[..., 200:] = 0
    other[..., :200] = 0
    directions = torch.randn(2, 1, 4, 5, 1, dtype=torch.complex64, generator=generator)
    directions = directions / directions[:, :, :1]
    noise = 1e-3 * torch.randn(1, 4, 5, 400, dtype=torch.complex64, generator=generator)
    x = directions[0] * source + directions[1] * other + noise
    mask = torch.zeros(1, 1, 5, 400)
    mask[..., :200] = 1.0
    found = MaskBasedBeamformer()(x, torch.tensor([400]), mask)
    torch.testing.assert_close(found[..., :200], source[..., :200], rtol=0.02, atol=0.02)
    assert float(found[..., 200:].abs().mean()) < 0.01 * float(other[..., 200:].abs().mean())


@pytest.mark.parametrize(
    "config",
    [{}, {"filter_type": "pmwf", "filter_beta": 1.0, "filter_rank": "full"}, {"ref_channel": "max_snr"}],
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_what_is_behind_an_item_changes_nothing_in_a_beamformer(config: dict[str, Any], outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, 30, dtype=torch.complex64, generator=generator)
    masks = torch.rand(2, outputs, 5, 30, generator=generator)
    x[0, ..., 20:] = masks[0, ..., 20:] = 0  # as encoders and estimators leave it
    beamformer = MaskBasedBeamformer(**config)
    together = beamformer(x, torch.tensor([20, 30]), masks)
    alone = beamformer(x[:1, ..., :20], torch.tensor([20]), masks[:1, ..., :20])
    torch.testing.assert_close(together[:1, ..., :20], alone)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"filter_type": "gev"}, "Unknown filter type gev"),
        ({"filter_type": "pmwf", "filter_rank": "full"}, "Rank full is not compatible with beta 0.0"),
        ({"filter_postfilter": "x"}, "Postfilter x is not supported"),
        ({"mask_min_db": 0.0}, "Lower bound for the mask 0.0dB must be smaller than the upper bound 0.0dB"),
        ({"ref_channel": "best"}, "expected ref_channel to be a channel, max_snr or null, but got best"),
    ],
)
def test_beamformers_that_are_none(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MaskBasedBeamformer(**config)


@pytest.mark.parametrize("weighting", [None, "power"])
def test_consistent_estimates_add_up_to_the_mixture(weighting: str | None) -> None:
    x, frames = spectrogram()
    with torch.no_grad():
        estimates = MaskReferenceChannel()(x, frames, estimator()(x, frames))
    made = MixtureConsistencyProjection(weighting=weighting, eps=0.0 if weighting is None else 1e-30)(
        x[:, :1], estimates
    )
    valid = estimates.abs().sum(dim=1, keepdim=True) > 1e-6
    torch.testing.assert_close(made.sum(dim=1, keepdim=True)[valid], x[:, :1][valid], rtol=1e-4, atol=1e-5)


def test_unknown_weightings_reductions_and_cells() -> None:
    with pytest.raises(ValueError, match="Weighting mode loud not implemented"):
        MixtureConsistencyProjection(weighting="loud")
    with pytest.raises(ValueError, match="Unexpected magnitude reduction loud"):
        SpectrogramFeatures(num_subbands=9, mag_reduction="loud")
    with pytest.raises(ValueError, match="Unknown magnitude normalization loud"):
        SpectrogramFeatures(num_subbands=9, mag_normalization="loud")
    with pytest.raises(ValueError, match="lstm or gru, but got rnn"):
        MaskEstimatorRNN(num_outputs=1, num_subbands=9, rnn_type="rnn")
