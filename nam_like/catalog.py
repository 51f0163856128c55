"""The map: every built-in name, by kind, with the module it lives in. Nothing is imported here.

To add a component, write its file and add one line below. ``target`` is the class or function, ``config`` its
pydantic model; where ``config`` is empty the model is derived from the signature (third-party classes).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BUILTINS", "Builtin"]


class Builtin(NamedTuple):
    """One built-in component: where it lives, its config model, its family and one line about it."""

    target: str
    config: str = ""
    family: str = ""
    summary: str = ""
    task: str = ""
    measures: tuple[str, ...] = ()


def _in(module: str, name: str, family: str, summary: str, task: str = "") -> Builtin:
    """An entry of ours: class `name` with its model `nameConfig` beside it."""
    return Builtin(f"{module}:{name}", f"{module}:{name}Config", family, summary, task)


def _torch(module: str, summaries: dict[str, str]) -> dict[str, Builtin]:
    """Third-party classes of one module."""
    return {name: Builtin(f"{module}:{name}", summary=summary) for name, summary in summaries.items()}


_AMP = "nam_like.models.amp"
_ENHANCEMENT = "nam_like.models.enhancement"
_ACTIVATIONS = "nam_like.models.blocks.activations"


def _of_speech(module: str, name: str, summary: str, task: str = "") -> Builtin:
    """An entry of the enhancement family."""
    return _in(f"{_ENHANCEMENT}.{module}", name, "enhancement", summary, task)


BUILTINS: dict[str, dict[str, Builtin]] = {
    "net": {
        "WaveNet": _in(
            f"{_AMP}.wavenet",
            "WaveNet",
            "amp",
            "dilated causal convolutions, the realtime engine's main net",
            "regression",
        ),
        "LSTM": _in(
            f"{_AMP}.lstm", "LSTM", "amp", "recurrent net with a learned initial state", "regression"
        ),
        "ConvNet": _in(
            f"{_AMP}.convnet", "ConvNet", "amp", "plain stack of dilated convolutions", "regression"
        ),
        "Linear": _in(
            f"{_AMP}.linear", "Linear", "amp", "one FIR filter (an impulse response)", "regression"
        ),
        "Sequential": _in(
            f"{_AMP}.sequential", "Sequential", "amp", "nets one after the other", "regression"
        ),
        "ConditionedWaveNet": _in(
            f"{_AMP}.conditioned", "ConditionedWaveNet", "amp", "WaveNet steered by knob values", "regression"
        ),
        "PredictiveEnhancer": _of_speech(
            "predictive",
            "PredictiveEnhancer",
            "from the noisy spectrogram straight to the clean one",
            "enhancement",
        ),
        "MaskEnhancer": _of_speech(
            "masked",
            "MaskEnhancer",
            "masks of the noisy spectrogram, for one or several microphones",
            "enhancement",
        ),
        "ScoreBasedEnhancer": _of_speech(
            "score_based",
            "ScoreBasedEnhancer",
            "generates clean spectrograms by reversed diffusion",
            "enhancement",
        ),
        "FlowMatchingEnhancer": _of_speech(
            "flow_matching",
            "FlowMatchingEnhancer",
            "generates clean spectrograms along a flow from noise",
            "enhancement",
        ),
        "SchroedingerBridgeEnhancer": _of_speech(
            "schroedinger_bridge",
            "SchroedingerBridgeEnhancer",
            "generates clean spectrograms over a bridge from noisy ones",
            "enhancement",
        ),
    },
    "dataset": {
        "paired": _in("nam_like.data.paired", "PairedDataset", "amp", "a dry and a wet recording"),
        "parametric": _in(
            "nam_like.data.parametric",
            "ParametricDataset",
            "amp",
            "dry, wet and the knob values they were taken at",
        ),
        "manifest": _in(
            "nam_like.data.manifest",
            "ManifestDataset",
            "enhancement",
            "recordings that JSON lines list: noisy and clean, with references or embeddings",
        ),
        "cuts": _in(
            "nam_like.data.cuts",
            "CutsDataset",
            "enhancement",
            "Lhotse cuts, augmented online; Shar, mixtures",
        ),
    },
    "hook": {
        "normalize_output": _in(
            "nam_like.data.hooks",
            "NormalizeOutput",
            "amp",
            "level the wet signal to a target RMS; undone on export",
        ),
        "normalize_joint_dataset_output": _in(
            "nam_like.data.hooks", "NormalizeOutput", "amp", "normalize_output, by its name elsewhere"
        ),
    },
    "loss": {
        "MSE": _in("nam_like.losses.time", "MSE", "", "mean squared error"),
        "MAE": _in("nam_like.losses.time", "MAE", "", "mean absolute error"),
        "SDR": _in("nam_like.losses.distortion", "SDR", "", "negative signal-to-distortion ratio (dB)"),
        "ESR": _in("nam_like.losses.time", "ESR", "", "error-to-signal ratio"),
        "DC": _in("nam_like.losses.time", "DC", "", "squared error of the means"),
        "Fourier": _in("nam_like.losses.spectral", "Fourier", "", "squared error of the whole spectrum"),
        "MRSTFT": _in("nam_like.losses.spectral", "MRSTFT", "", "multi-resolution STFT distance"),
    },
    "metric": {
        "ESR": _in("nam_like.metrics.esr", "ESR", "", "error-to-signal ratio, energy-weighted over files"),
        "MSE": _in("nam_like.metrics.esr", "MSE", "", "mean squared error"),
        **{
            name: _in("nam_like.metrics.ratios", cls, "", summary)
            for names, cls, summary in (
                (("SNR", "SignalNoiseRatio"), "SNR", "signal-to-noise ratio (dB)"),
                (("SISDR", "ScaleInvariantSignalDistortionRatio"), "SISDR", "scale-invariant SDR (dB)"),
                (("SISNR", "ScaleInvariantSignalNoiseRatio"), "SISNR", "SI-SDR without the means (dB)"),
                (("SDR", "SignalDistortionRatio"), "SDR", "signal-to-distortion ratio (dB)"),
            )
            for name in names
        },
        **{
            name: _in("nam_like.metrics.perceptual", cls, "enhancement", summary)
            for names, cls, summary in (
                (("PESQ", "PerceptualEvaluationSpeechQuality"), "PESQ", "speech quality, 1 to 4.6"),
                (("STOI", "ShortTimeObjectiveIntelligibility"), "STOI", "intelligibility, 0 to 1"),
            )
            for name in names
        },
        "PermutationInvariantTraining": _in(
            "nam_like.metrics.speech",
            "PermutationInvariantTraining",
            "enhancement",
            "the best of a metric over all assignments of sources",
        ),
        "PerExample": _in(
            "nam_like.metrics.speech", "PerExample", "", "any metric of torchmetrics, averaged over examples"
        ),
    },
    "task": {
        "regression": _in(
            "nam_like.train.tasks.regression", "Regression", "", "net(x) is fitted to y"
        )._replace(measures=("mse", "esr")),
        "enhancement": _in(
            "nam_like.train.tasks.enhancement", "Enhancement", "enhancement", "noisy audio is made clean"
        ),
    },
    "exporter": {
        "nam": _in("nam_like.export.nam", "NamExporter", "amp", ".nam for the realtime plugins"),
        "torchscript": _in(
            "nam_like.export.torchscript", "TorchScriptExporter", "", "TorchScript, any length"
        ),
        "onnx": _in("nam_like.export.onnx", "OnnxExporter", "", "ONNX (extra: nam_like[onnx])"),
    },
    "optimizer": {
        **_torch(
            "torch.optim",
            {
                "Adam": "the default",
                "AdamW": "Adam with decoupled weight decay",
                "Adamax": "",
                "NAdam": "Adam with Nesterov momentum",
                "RAdam": "rectified Adam",
                "Adagrad": "",
                "Adadelta": "",
                "Adafactor": "",
                "ASGD": "averaged SGD",
                "RMSprop": "",
                "Rprop": "",
                "SGD": "",
            },
        ),
        "Adan": _in("nam_like.optim.adan", "Adan", "", "Adam with reformulated Nesterov momentum"),
        "Muon": _in("nam_like.optim.muon", "Muon", "", "orthogonalised momentum for matrices, else AdamW"),
        "SOAP": _in("nam_like.optim.soap", "SOAP", "", "Adam in Shampoo's eigenbasis"),
        "NovoGrad": _in(
            "nam_like.optim.novograd", "NovoGrad", "", "momentum of gradients normalised per tensor"
        ),
        "ScheduleFreeAdamW": _in(
            "nam_like.optim.schedule_free",
            "ScheduleFreeAdamW",
            "",
            "AdamW that averages instead of following a schedule",
        ),
    },
    "lr_scheduler": {
        **_torch(
            "torch.optim.lr_scheduler",
            {
                "ExponentialLR": "lr · gamma^epoch, the default of amp captures",
                "ReduceLROnPlateau": "lower the rate when the monitored metric stalls",
                "StepLR": "",
                "MultiStepLR": "",
                "ConstantLR": "",
                "LinearLR": "",
                "PolynomialLR": "",
                "CosineAnnealingLR": "",
                "CosineAnnealingWarmRestarts": "",
                "CyclicLR": "",
                "OneCycleLR": "needs interval: step",
            },
        ),
        **{
            name: Builtin(
                f"nam_like.optim.schedules:{name}",
                f"nam_like.optim.schedule_configs:{name}Config",
                summary=f"per step: {summary}",
            )
            for name, summary in {
                "CosineAnnealing": "warm-up, half a cosine down to min_lr",
                "InverseSquareRootAnnealing": "warm-up, then with the inverse root of the step",
                "NoamAnnealing": "warm-up, then with the inverse root of the step; scaled by d_model",
                "PolynomialDecayAnnealing": "warm-up, then down as a power",
                "PolynomialHoldDecayAnnealing": "warm-up, hold, then down as a power",
                "SquareAnnealing": "warm-up, then down as a square",
                "SquareRootAnnealing": "warm-up, then down as a root",
                "WarmupAnnealing": "warm-up, then down in a straight line",
                "WarmupHoldPolicy": "warm-up, then constant",
                "WarmupPolicy": "warm-up, then constant",
            }.items()
        },
    },
    "callback": _torch(
        "pytorch_lightning.callbacks",
        {
            "EarlyStopping": "stop when the monitored metric stalls or reaches a threshold",
            "LearningRateMonitor": "",
            "StochasticWeightAveraging": "",
            "EMAWeightAveraging": "",
            "GradientAccumulationScheduler": "",
            "Timer": "stop after a given time",
            "DeviceStatsMonitor": "",
            "ModelCheckpoint": "",
        },
    ),
    "logger": {
        "csv": Builtin("pytorch_lightning.loggers:CSVLogger", summary="metrics.csv (always on)"),
        "tensorboard": Builtin(
            "pytorch_lightning.loggers:TensorBoardLogger", summary="TensorBoard (always on)"
        ),
        "wandb": Builtin("pytorch_lightning.loggers:WandbLogger", summary="Weights & Biases"),
        "mlflow": Builtin("pytorch_lightning.loggers:MLFlowLogger", summary="MLflow"),
    },
    "transform": {
        "AudioToSpectrogram": _of_speech(
            "spectrogram", "AudioToSpectrogram", "STFT with compressed magnitudes"
        ),
        "SpectrogramToAudio": _of_speech("spectrogram", "SpectrogramToAudio", "its inverse"),
    },
    "estimator": {
        "NCSNpp": _of_speech(
            "ncsnpp.model",
            "NCSNpp",
            "U-net of residual blocks with an image pyramid, from spectrogram to spectrogram",
        ),
        "MaskEstimatorRNN": _of_speech(
            "mask_rnn", "MaskEstimatorRNN", "masks from a stack of recurrent layers"
        ),
        "MaskEstimatorFlexChannels": _of_speech(
            "flex_channels",
            "MaskEstimatorFlexChannels",
            "masks from any number of microphones in any order, by Conformers",
        ),
        "MaskEstimatorGSS": _of_speech(
            "gss",
            "MaskEstimatorGSS",
            "masks of talkers whose activity is known, from their directions; not trained",
        ),
    },
    "mask_processor": {
        "MaskReferenceChannel": _of_speech("masking", "MaskReferenceChannel", "each mask times one channel"),
        "MaskBasedBeamformer": _of_speech(
            "beamformer", "MaskBasedBeamformer", "MVDR or Wiener filter over microphones, steered by masks"
        ),
        "MaskBasedDereverbWPE": _of_speech(
            "wpe", "MaskBasedDereverbWPE", "late reverberation is predicted from the past and taken away"
        ),
    },
    "process": {
        "OrnsteinUhlenbeckVESDE": _of_speech(
            "processes.ouve", "OrnsteinUhlenbeckVESDE", "diffusion from clean to noisy"
        ),
        "OptimalTransportFlow": _of_speech(
            "processes.flow", "OptimalTransportFlow", "straight paths from noise to clean"
        ),
        "SBNoiseScheduleVE": _of_speech(
            "processes.bridge",
            "SBNoiseScheduleVE",
            "bridge from clean to noisy, with exponentially growing noise",
        ),
        "SBNoiseScheduleVP": _of_speech(
            "processes.bridge", "SBNoiseScheduleVP", "bridge from clean to noisy, of a reference that shrinks"
        ),
    },
    "sampler": {
        "PredictorCorrectorSampler": _of_speech(
            "samplers.predictor_corrector",
            "PredictorCorrectorSampler",
            "back through a diffusion, with corrections by Langevin dynamics",
        ),
        "ConditionalFlowMatchingEulerSampler": _of_speech(
            "samplers.euler", "ConditionalFlowMatchingEulerSampler", "along a flow in equal steps"
        ),
        "SBSampler": _of_speech("samplers.bridge", "SBSampler", "back over a bridge"),
    },
    "augmentation": {
        "ChannelAugment": _of_speech(
            "channel_augment", "ChannelAugment", "random microphones in random order, while training"
        ),
        "MaskPatches": _of_speech(
            "mask_patches", "MaskPatches", "hides patches of frames that a net is to fill in"
        ),
    },
    "activation": {
        **_torch(
            "torch.nn",
            {
                "Tanh": "",
                "Hardtanh": "clamped to [min_val, max_val]",
                "ReLU": "",
                "LeakyReLU": "slope negative_slope (0.01) below 0",
                "Sigmoid": "",
                "SiLU": "x · sigmoid(x)",
                "Hardswish": "",
                "Softsign": "x / (1 + |x|)",
                "Identity": "",
                "ReLU6": "",
                "RReLU": "random slope in training",
                "CELU": "not playable by the realtime engine",
                "ELU": "not playable by the realtime engine",
                "GELU": "not playable by the realtime engine",
                "Hardshrink": "not playable by the realtime engine",
                "Hardsigmoid": "not playable by the realtime engine",
                "LogSigmoid": "not playable by the realtime engine",
                "Mish": "not playable by the realtime engine",
                "SELU": "not playable by the realtime engine",
                "Softplus": "not playable by the realtime engine",
                "Softshrink": "not playable by the realtime engine",
                "Tanhshrink": "not playable by the realtime engine",
                "Threshold": "not playable by the realtime engine",
            },
        ),
        "PReLU": Builtin("torch.nn:PReLU", f"{_ACTIVATIONS}:PReLUConfig", "", "learned slope below 0"),
        "Fasttanh": _in(_ACTIVATIONS, "Fasttanh", "", "the plugins' rational tanh"),
        "LeakyHardtanh": _in(_ACTIVATIONS, "LeakyHardtanh", "", "two limits with slopes beyond them"),
        "LeakyHardTanh": _in(_ACTIVATIONS, "LeakyHardtanh", "", "another spelling of LeakyHardtanh"),
        "Softsigmoid": _in(_ACTIVATIONS, "Softsigmoid", "", "not playable by the realtime engine"),
        "PairMultiply": _in(_ACTIVATIONS, "PairMultiply", "", "a gate: primary(x1) · secondary(x2)"),
        "PairBlend": _in(_ACTIVATIONS, "PairBlend", "", "s · primary(x1) + (1 − s) · x1, s = secondary(x2)"),
    },
}
