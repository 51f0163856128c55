"""Which component of ours a ``_target_`` means. Only its last part counts: NeMo moves its modules around.

Nothing is ever imported by a ``_target_``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nam_like.registry import did_you_mean, registry_of

__all__ = ["ALIASES", "Alias", "alias_of", "metric_name"]


@dataclass(frozen=True)
class Alias:
    """A component by NeMo's name for its class.

    Attributes:
        kind: of ours.
        name: of ours.
        drop: arguments that mean nothing here, with the reason.
        fixed: arguments that can only have these values.
    """

    kind: str
    name: str
    drop: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


_FORWARD_STEPS = {"num_steps": "the process is continuous in time"}

#: last part of a ``_target_`` → ours
ALIASES = {
    "AudioToSpectrogram": Alias("transform", "AudioToSpectrogram"),
    "SpectrogramToAudio": Alias("transform", "SpectrogramToAudio"),
    "SpectrogramNoiseConditionalScoreNetworkPlusPlus": Alias("estimator", "NCSNpp"),
    "MaskEstimatorRNN": Alias("estimator", "MaskEstimatorRNN"),
    "MaskEstimatorFlexChannels": Alias("estimator", "MaskEstimatorFlexChannels"),
    "MaskEstimatorGSS": Alias("estimator", "MaskEstimatorGSS"),
    "MaskReferenceChannel": Alias("mask_processor", "MaskReferenceChannel"),
    "MaskBasedBeamformer": Alias(
        "mask_processor",
        "MaskBasedBeamformer",
        {"num_subbands": "only a weighting of subbands needs it"},
        {"ref_hard": (True, 1), "ref_hard_use_grad": (False, 0), "ref_subband_weighting": (False, 0)},
    ),
    "MaskBasedDereverbWPE": Alias("mask_processor", "MaskBasedDereverbWPE"),
    "MixtureConsistencyProjection": Alias("", "MixtureConsistencyProjection"),
    "ChannelAugment": Alias("augmentation", "ChannelAugment"),
    "SSLPretrainWithMaskedPatch": Alias("augmentation", "MaskPatches"),
    "OrnsteinUhlenbeckVarianceExplodingSDE": Alias("process", "OrnsteinUhlenbeckVESDE", _FORWARD_STEPS),
    "OptimalTransportFlow": Alias("process", "OptimalTransportFlow"),
    "SBNoiseScheduleVE": Alias("process", "SBNoiseScheduleVE", _FORWARD_STEPS),
    "SBNoiseScheduleVP": Alias("process", "SBNoiseScheduleVP", _FORWARD_STEPS),
    "PredictorCorrectorSampler": Alias("sampler", "PredictorCorrectorSampler"),
    "ConditionalFlowMatchingEulerSampler": Alias(
        "sampler",
        "ConditionalFlowMatchingEulerSampler",
        {"estimator_target": "the net's own estimator_target holds"},
    ),
    "SBSampler": Alias("sampler", "SBSampler"),
    "MSELoss": Alias("loss", "MSE"),
    "MAELoss": Alias("loss", "MAE"),
    "SDRLoss": Alias("loss", "SDR"),
}

#: what torchmetrics can measure of a pair of signals
_METRICS = (
    "PerceptualEvaluationSpeechQuality",
    "PermutationInvariantTraining",
    "ScaleInvariantSignalDistortionRatio",
    "ScaleInvariantSignalNoiseRatio",
    "ShortTimeObjectiveIntelligibility",
    "SignalDistortionRatio",
    "SignalNoiseRatio",
)


def alias_of(target: str, kind: str) -> Alias:
    """The component of a kind that a ``_target_`` means.

    Args:
        target: such as ``nemo.collections.audio.losses.MSELoss``.
        kind: what is wanted.

    Raises:
        LookupError: there is none; the message says which there are.
    """
    last = target.rpartition(".")[2]
    known = sorted(
        name
        for name, item in ALIASES.items()
        if item.kind == kind and (not kind or item.name in registry_of(kind))
    )
    if last in known:
        return ALIASES[last]
    what = kind.replace("_", " ") or "projection"
    raise LookupError(
        f"expected {'an' if what[0] in 'aeiou' else 'a'} {what} that there is here ({', '.join(known)}), "
        f"but got '{target}'{did_you_mean(last, known)}"
    )


def metric_name(target: str) -> str:
    """The metric that a ``_target_`` means, by its import path.

    Raises:
        LookupError: it is none of torchmetrics' for audio.
    """
    last = target.rpartition(".")[2]
    if last in _METRICS:
        return f"torchmetrics.audio.{last}"
    raise LookupError(
        f"expected a metric of torchmetrics.audio ({', '.join(_METRICS)}), "
        f"but got '{target}'{did_you_mean(last, _METRICS)}"
    )
