"""Sequential: nets one after the other, such as an amp and its cabinet.

The realtime engine has no such thing; what can be merged into one net exactly is exported as that: filters
after each other, and a WaveNet or ConvNet with a filter behind it (which goes into its last convolution).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from nam_like.config.base import Config, PositiveFloat
from nam_like.config.component import Component, Of
from nam_like.models.amp.convnet import ConvNet, as_wavenet
from nam_like.models.amp.linear import Linear
from nam_like.models.amp.wavenet import LayerArray, PostHead, WaveNet
from nam_like.models.amp.wavenet.engine import rebuilt
from nam_like.models.base import Net, Weights
from nam_like.models.blocks.problems import Problem, refuse_all

__all__ = ["Sequential", "SequentialConfig", "merged"]


class Sequential(Net):
    """Nets one after the other.

    Args:
        models: nets without knobs.
        sample_rate: Hz, or None.

    Raises:
        ValueError: no nets, or one that takes knobs.
    """

    exports: frozenset[str] = frozenset({"nam", "torchscript", "onnx"})

    def __init__(self, models: Sequence[Net], *, sample_rate: float | None = None) -> None:
        super().__init__(sample_rate)
        if not models:
            raise ValueError("expected at least one net, but got none")
        for model in models:
            if model.num_conditions:
                raise ValueError(
                    f"expected nets without conditions, but got a {type(model).__name__} with some"
                )
        self.models = nn.ModuleList(models)
        self.receptive_field = 1 + sum(model.receptive_field - 1 for model in models)

    def nets(self) -> list[Net]:
        """The nets in order, those of inner Sequentials among them."""
        flat: list[Net] = []
        for model in self.models:
            flat += model.nets() if isinstance(model, Sequential) else [cast("Net", model)]
        return flat

    def _forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        for model in self.models:
            x = cast("Net", model)(x, pad_start=False)
        return x

    def runs_on(self, device: torch.device | str = "cpu") -> str:
        """What plays each of the nets."""
        lines = [f"{type(net).__name__}: {net.runs_on(device)}" for net in self.nets()]
        return "; ".join(dict.fromkeys(lines))

    def scale_output(self, gain: float) -> None:
        """Multiply the output by `gain`: the last net does."""
        self.nets()[-1].scale_output(gain)

    def engine_net(self) -> Net:
        """All nets in one, where that is possible."""
        one = merged(self.nets())
        if one is None:
            return self
        one.sample_rate = self.sample_rate
        return one.engine_net()

    def export_obstacles(self, exporter: str) -> list[str]:
        """See :meth:`Net.export_obstacles`."""
        reasons = super().export_obstacles(exporter)
        for index, net in enumerate(self.nets()):
            reasons += [f"models[{index}]: {reason}" for reason in net.export_obstacles(exporter)]
        if exporter == "nam" and not reasons and merged(self.nets()) is None:
            names = ", ".join(type(net).__name__ for net in self.nets())
            reasons.append(
                "the realtime engine has no Sequential, and only Linears can be merged into the net before "
                f"them: expected one net with Linears behind it, but got {names}"
            )
        return reasons

    def export_config(self) -> dict[str, Any]:
        """Config of the merged net."""
        return self._merged_or_refuse().export_config()

    def export_weights(self) -> Weights:
        """Weights of the merged net."""
        return self._merged_or_refuse().export_weights()

    def _merged_or_refuse(self) -> Net:
        one = self.engine_net()
        if one is self:
            raise NotImplementedError("; ".join(self.export_obstacles("nam")))
        return one


def merged(nets: Sequence[Net]) -> Net | None:
    """One net that plays as `nets` do after each other; None when there is no such net."""
    one = nets[0]
    with torch.no_grad():
        for net in nets[1:]:
            if not isinstance(net, Linear):
                return None
            if isinstance(one, ConvNet):
                one = as_wavenet(one)
            if isinstance(one, Linear):
                one = _filtered_linear(one, net)
            elif type(one) is WaveNet:
                one = _filtered_wavenet(one, net)
            else:
                return None
    return one


def _bias(conv: nn.Conv1d) -> Tensor:
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias


def _filtered(conv: nn.Conv1d, taps: Tensor, new: nn.Conv1d, constant: Tensor) -> None:
    """Make `new` = `conv` with the filter `taps` ``(K,)`` behind it, plus a constant."""
    # conv1d correlates; correlating the padded weight with the flipped taps convolves both.
    weight = F.pad(conv.weight.double().transpose(0, 1), (len(taps) - 1,) * 2)
    made = F.conv1d(weight, taps.double().flip(0)[None, None]).transpose(0, 1)
    new.weight.copy_(made.to(new.weight))
    if new.bias is not None:
        new.bias.copy_(_bias(conv) * taps.sum() + constant)


def _filtered_linear(first: Linear, second: Linear) -> Linear:
    bias = first.conv.bias is not None or second.conv.bias is not None
    field = first.receptive_field + second.receptive_field - 1
    new = Linear(field, bias=bias, sample_rate=first.sample_rate).to(first.conv.weight)
    _filtered(first.conv, second.conv.weight[0, 0], new.conv, _bias(second.conv))
    return new


def _filtered_wavenet(net: WaveNet, behind: Linear) -> WaveNet:
    taps, constant = behind.conv.weight[0, 0], _bias(behind.conv)
    arrays: list[LayerArray] = list(net.layer_arrays())
    head, scale = net.head, float(net.head_scale)
    if head is not None:
        kernels = [*head.kernel_sizes[:-1], head.kernel_sizes[-1] + len(taps) - 1]
        filtered = PostHead(head.in_channels, head.channels, head.out_channels, kernels, head.activation)
        filtered = filtered.to(net.head_scale)
        old, new = head.conv_list(), filtered.conv_list()
        for given, made in zip(old[:-1], new[:-1], strict=True):
            made.load_state_dict(given.state_dict())
        _filtered(old[-1], taps, new[-1], constant)
        head = filtered
    else:
        last = arrays[-1]
        arrays[-1] = rebuilt(
            last,
            head_kernel_size=last.head_kernel_size + len(taps) - 1,
            head_bias=last.head_bias or behind.conv.bias is not None,
        )
        # The engine scales after the head: a scale of 0 silences the net, and only the constant is left.
        _filtered(last.head_rechannel, taps * scale, arrays[-1].head_rechannel, constant)
        scale = 1.0
    return (
        WaveNet(arrays, head, scale, net.condition_dsp, net.sample_rate)
        .to(net.head_scale)
        .train(net.training)
    )


class SequentialConfig(Config):
    """A Sequential."""

    models: list[Annotated[Component, Of("net")]] = Field(description="the nets, in order", min_length=1)
    sample_rate: PositiveFloat | None = Field(None, description="sample rate (Hz); by default the data's")

    @model_validator(mode="after")
    def _fit(self) -> SequentialConfig:
        problems = []
        rates = [self.sample_rate]
        for index, model in enumerate(self.models):
            config = model.config
            knobs = getattr(config, "num_knobs", 0) or getattr(config, "input_size", 1) - 1
            if knobs:
                message = f"expected nets without knobs, but got '{model.name}' with {knobs}"
                problems.append(Problem(("models", index), message))
            rate = getattr(config, "sample_rate", None)
            known = [other for other in rates if other is not None]
            if rate is not None and known and rate != known[0]:
                loc = ("models", index, "config", "sample_rate")
                problems.append(Problem(loc, f"expected {known[0]:g} (the others'), but got {rate:g}", rate))
            rates.append(rate)
        refuse_all("Sequential", problems)
        return self

    def build(self) -> Sequential:
        """Make the net."""
        rates = [self.sample_rate, *(getattr(model.config, "sample_rate", None) for model in self.models)]
        rate = next((rate for rate in rates if rate is not None), None)
        return Sequential([model.build() for model in self.models], sample_rate=rate)


Sequential.config_model = SequentialConfig
