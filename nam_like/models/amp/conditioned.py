"""ConditionedWaveNet: a WaveNet steered by knobs, whose values stand beside the audio in its condition.

At a fixed setting of the knobs it is a plain WaveNet: constant channels of the condition are biases. That
one is what a `.nam` file can hold (`export_knobs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from nam_like.config.base import Float, PositiveInt
from nam_like.models.amp.wavenet import FilmShape, LayerArray, PostHead, WaveNet, WaveNetConfig
from nam_like.models.amp.wavenet.engine import rebuilt
from nam_like.models.amp.wavenet.layer import Layer
from nam_like.models.base import Net, Weights, check_knobs
from nam_like.models.blocks.film import FiLM
from nam_like.models.blocks.problems import Problem, refuse_all

__all__ = ["ConditionedWaveNet", "ConditionedWaveNetConfig"]


class ConditionedWaveNet(WaveNet):
    """A WaveNet with knobs: ``net(x (B, L), knobs (B, K) or (B, K, L))``.

    Args:
        arrays: layer arrays; their condition has K channels more than a WaveNet's.
        num_knobs: K.
        export_knobs: the setting that a `.nam` file plays at, or None.
        head: applied after scaling, or None.
        head_scale: constant factor of the last array's head.
        condition_dsp: makes the first part of the condition; None takes the audio.
        sample_rate: Hz, or None.
    """

    architecture: ClassVar[str] = "ConditionedWaveNet"

    def __init__(
        self,
        arrays: Sequence[LayerArray],
        num_knobs: int,
        *,
        export_knobs: Sequence[float] | None = None,
        head: PostHead | None = None,
        head_scale: float = 1.0,
        condition_dsp: WaveNet | None = None,
        sample_rate: float | None = None,
    ) -> None:
        super().__init__(arrays, head, head_scale, condition_dsp, sample_rate)
        self.num_knobs = num_knobs
        self.num_conditions = 1
        if export_knobs is None:
            self.exports = self.exports - {"nam"}
        self.export_knobs = None if export_knobs is None else tuple(export_knobs)

    @property
    def condition_size(self) -> int:
        """Channels of the condition, knobs included."""
        return super().condition_size + self.num_knobs

    def check_format(self, x: Tensor, *conditions: Tensor) -> None:
        """Refuse wrong shapes, the number of knobs among them; see :meth:`Net.check_format`."""
        super().check_format(x, *conditions)
        if conditions[0].ndim not in (2, 3) or conditions[0].shape[1] != self.num_knobs:
            raise ValueError(
                f"expected knobs of shape (B, {self.num_knobs}) or (B, {self.num_knobs}, L), "
                f"but got {tuple(conditions[0].shape)}"
            )

    def handshake(self, dataset: Any) -> None:
        """See :meth:`Net.handshake`; the number of knobs must fit, too."""
        super().handshake(dataset)
        check_knobs(self.num_knobs, dataset)

    def make_condition(self, x: Tensor, *conditions: Tensor) -> Tensor:
        """Audio ``(B, 1, L)`` (or what `condition_dsp` makes of it) and knobs, side by side."""
        signal = super().make_condition(x)
        knobs = conditions[0]
        if knobs.ndim == 2:
            knobs = knobs[..., None].expand(-1, -1, signal.shape[-1])
        elif self.condition_dsp is not None:
            knobs = knobs[..., self.condition_dsp.receptive_field - 1 :]
        return torch.cat([signal, knobs.expand(signal.shape[0], -1, -1)], dim=1)

    def frozen(self, knobs: Sequence[float] | Tensor) -> WaveNet:
        """The plain WaveNet that plays as this net at a fixed setting.

        Args:
            knobs: K values.

        Raises:
            ValueError: another number of values, or a net whose knobs cannot become constants.
        """
        values = torch.as_tensor(knobs).to(self.head_scale)
        if values.shape != (self.num_knobs,):
            raise ValueError(f"expected {self.num_knobs} knob values, but got {values.numel()}")
        arrays, condition_dsp = self.layer_arrays(), self.condition_dsp
        with torch.no_grad():
            if self._modulates_condition():
                if condition_dsp is not None:
                    raise ValueError(self._frozen_obstacle())
                condition_dsp = _audio_and_constants(values)
            else:
                arrays = [
                    _without_knobs(array, values) if array.condition_size else array for array in arrays
                ]
        net = WaveNet(arrays, self.head, float(self.head_scale), condition_dsp, self.sample_rate)
        return net.to(self.head_scale).train(self.training)

    def _modulates_condition(self) -> bool:
        """Whether some FiLM changes the condition itself, so that knobs are no constants behind it."""
        return any("input_mixin_pre_film" in array.film for array in self.layer_arrays())

    def _frozen_obstacle(self) -> str:
        return "knobs cannot be frozen in a net with both `input_mixin_pre_film` and `condition_dsp`"

    def engine_net(self) -> Net:
        """The frozen net at `export_knobs`, in the engine's form."""
        return self if self.export_knobs is None else self.frozen(self.export_knobs).engine_net()

    def export_conditions(self) -> tuple[Tensor, ...]:
        """The knobs that the exported file plays at, ``(1, K)``."""
        return () if self.export_knobs is None else (self.head_scale.new_tensor([self.export_knobs]),)

    def export_obstacles(self, exporter: str) -> list[str]:
        """See :meth:`Net.export_obstacles`."""
        reasons = super().export_obstacles(exporter)
        if exporter == "nam" and self.export_knobs is None:
            reasons.append(
                "a .nam file has no knobs: set `export_knobs` to the setting that it shall play, "
                "or export TorchScript only"
            )
        if exporter == "nam" and self._modulates_condition() and self.condition_dsp is not None:
            reasons.append(self._frozen_obstacle())
        return reasons

    def export_config(self) -> dict[str, Any]:
        """Config of the frozen net."""
        return self._frozen_or_refuse().export_config()

    def export_weights(self) -> Weights:
        """Weights of the frozen net."""
        return self._frozen_or_refuse().export_weights()

    def _frozen_or_refuse(self) -> Net:
        if self.export_knobs is None:
            raise NotImplementedError("; ".join(self.export_obstacles("nam")))
        return self.engine_net()


def _audio_and_constants(values: Tensor) -> WaveNet:
    """A net whose outputs are the audio and constants: ``(B, 1, L) → (B, 1 + K, L)``."""
    size = 1 + len(values)
    array = LayerArray(
        input_size=1,
        condition_size=0,
        channels=1,
        kernel_sizes=[1],
        dilations=[1],
        activations=[nn.Identity()],
        head_size=size,
        head_bias=True,
    ).to(values)
    for parameter in array.parameters():
        parameter.zero_()
    array.rechannel.weight.fill_(1.0)
    array.stack[0].conv.weight.fill_(1.0)
    array.head_rechannel.weight[0] = 1.0
    cast("Tensor", array.head_rechannel.bias)[1:] = values
    return WaveNet([array])


def _without_knobs(array: LayerArray, values: Tensor) -> LayerArray:
    """The array at constant knobs: their part of each 1×1 of the condition becomes a bias."""
    dense = rebuilt(array)
    size = array.condition_size - len(values)
    film = dict(dense.film)
    takes_constant = next(
        (name for name in ("input_mixin_post_film", "conv_post_film") if name in film), None
    )
    if takes_constant:
        film[takes_constant] = FilmShape(shift=True)
    options = {**dense.options(), "condition_size": size, "film": film, "activations": array.activations}
    new = LayerArray(**options).to(values)
    new.rechannel.load_state_dict(dense.rechannel.state_dict())
    new.head_rechannel.load_state_dict(dense.head_rechannel.state_dict())
    for made, given in zip(new.stack, dense.stack, strict=True):
        _freeze_layer(made, given, values)
    return new


def _freeze_layer(new: Layer, old: Layer, values: Tensor) -> None:
    for name in ("conv", "layer1x1", "head1x1"):
        made, given = getattr(new, name), getattr(old, name)
        if made is not None:
            made.load_state_dict(given.state_dict())
    for position in old.film:
        _freeze_film(new.film_at(position), old.film_at(position), values)
    mixer = cast("nn.Conv1d", old.mixer)
    size = mixer.in_channels - len(values)
    cast("nn.Conv1d", new.mixer).weight.copy_(mixer.weight[:, :size])
    constant = mixer.weight[:, size:, 0] @ values
    if "input_mixin_post_film" in new.film:
        # scale · (mixed + constant) + shift: both scale and shift are linear in the condition.
        film = new.film_at("input_mixin_post_film")
        bias = cast("Tensor", film.conv.bias)
        film.conv.weight[film.dim :] += constant[:, None, None] * film.conv.weight[: film.dim]
        bias[film.dim :] += constant * bias[: film.dim]
    elif "conv_post_film" in new.film:
        film = new.film_at("conv_post_film")
        cast("Tensor", film.conv.bias)[film.dim :] += constant
    else:
        cast("Tensor", new.conv.bias).add_(constant)


def _freeze_film(new: FiLM, old: FiLM, values: Tensor) -> None:
    weight = old.conv.weight
    size, made = weight.shape[1] - len(values), weight.shape[0]
    bias = cast("Tensor", new.conv.bias)
    new.conv.weight.zero_()
    bias.zero_()
    new.conv.weight[:made] = weight[:, :size]
    bias[:made] = cast("Tensor", old.conv.bias) + weight[:, size:, 0] @ values


class ConditionedWaveNetConfig(WaveNetConfig):
    """A WaveNet with knobs; the condition of its arrays is the audio and the knobs."""

    num_knobs: PositiveInt = Field(description="number of knobs")
    export_knobs: list[Float] | None = Field(None, description="knob values at which a .nam file plays")

    @model_validator(mode="after")
    def _knobs(self) -> ConditionedWaveNetConfig:
        if self.export_knobs is not None and len(self.export_knobs) != self.num_knobs:
            message = f"expected {self.num_knobs} values (num_knobs), but got {len(self.export_knobs)}"
            refuse_all("ConditionedWaveNet", [Problem(("export_knobs",), message, self.export_knobs)])
        return self

    def condition_width(self) -> tuple[int, str]:
        """Channels of the condition, and what they are."""
        width, what = super().condition_width()
        return width + self.num_knobs, f"{what} and {self.num_knobs} knobs"

    def build(self) -> ConditionedWaveNet:
        """Make the net."""
        return ConditionedWaveNet(num_knobs=self.num_knobs, export_knobs=self.export_knobs, **self.parts())


ConditionedWaveNet.config_model = ConditionedWaveNetConfig
