"""WaveNet: layer arrays on the audio, conditioned on the audio itself or on what another net makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import torch
import torch.distributed
from torch import Tensor, nn

from nam_like.models.amp.wavenet import native
from nam_like.models.amp.wavenet.array import LayerArray
from nam_like.models.amp.wavenet.head import PostHead
from nam_like.models.base import Net, Weights, is_tracing
from nam_like.models.blocks.weights import WeightSource, conv_tensors, flat

__all__ = ["WaveNet"]


class WaveNet(Net):
    """A WaveNet as the realtime engine knows it.

    Args:
        arrays: layer arrays; the residual of each feeds the next, and so does its head.
        head: applied after scaling, or None.
        head_scale: constant factor of the last array's head.
        condition_dsp: a net that turns the audio into the condition of all arrays; None takes the audio
            itself.
        sample_rate: Hz, or None.

    Raises:
        ValueError: the widths do not fit.
    """

    architecture: ClassVar[str] = "WaveNet"
    exports: frozenset[str] = frozenset({"nam", "torchscript", "onnx"})

    def __init__(
        self,
        arrays: Sequence[LayerArray],
        head: PostHead | None = None,
        head_scale: float = 1.0,
        condition_dsp: WaveNet | None = None,
        sample_rate: float | None = None,
    ) -> None:
        super().__init__(sample_rate)
        self.arrays = nn.ModuleList(arrays)
        self.head = head
        self.register_buffer("head_scale", torch.tensor(head_scale, dtype=torch.float32))
        self.head_scale: Tensor
        self.condition_dsp = condition_dsp
        check_widths(arrays, head)
        self.receptive_field = 1 + self._past()

    def layer_arrays(self) -> list[LayerArray]:
        """The layer arrays, in order."""
        return [cast("LayerArray", array) for array in self.arrays]

    def _past(self) -> int:
        """Past samples of all arrays, heads and the condition's net.

        With head kernels longer than 1 before the last array this is an upper bound, as in the realtime
        engine.
        """
        past = sum(array.history for array in self.layer_arrays())
        past += self.head.history if self.head else 0
        return past + (self.condition_dsp.receptive_field - 1 if self.condition_dsp else 0)

    @property
    def out_channels(self) -> int:
        """Channels of the output: 1, except for the condition of another net."""
        return self.head.out_channels if self.head else self.layer_arrays()[-1].head_size

    @property
    def condition_size(self) -> int:
        """Channels of the condition."""
        return self.condition_dsp.out_channels if self.condition_dsp else 1

    def _forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        return self.process(x[:, None], *conditions)[:, 0]

    def process(self, x: Tensor, *conditions: Tensor) -> Tensor:
        """``(B, 1, L) → (B, out_channels, L − receptive_field + 1)``."""
        condition = self.make_condition(x, *conditions)
        if self.condition_dsp is not None:
            x = x[..., self.condition_dsp.receptive_field - 1 :]
        y = native.process(self, x, condition)
        if y is None:
            y = self._process(x, condition)
        y = y if self.head is None else self.head(y)
        return self._touch_idle(y)

    def _process(self, x: Tensor, condition: Tensor) -> Tensor:
        """The layer arrays on plain PyTorch; see :func:`native.process`."""
        residual: Tensor | None = x
        head: Tensor | None = None
        lag, last = 0, len(self.arrays) - 1
        for index, array in enumerate(self.layer_arrays()):
            given = condition if array.condition_size else None
            residual, head = array(residual, given, head, lag, index < last)
            condition = condition[..., array.shrink :]
            lag += array.head_kernel_size - 1
        return cast("Tensor", head) * self.head_scale

    def make_condition(self, x: Tensor, *conditions: Tensor) -> Tensor:
        """The condition of all arrays: ``(B, 1, L) → (B, condition_size, L − its receptive field + 1)``."""
        return x if self.condition_dsp is None else self.condition_dsp.process(x)

    def _touch_idle(self, y: Tensor) -> Tensor:
        """Give the last residual's weights, which nothing reads, a zero gradient where ranks wait for one."""
        if is_tracing() or not (self.training and _distributed()):
            return y
        idle = self.layer_arrays()[-1].stack[-1].residual_tensors()
        return y + 0.0 * torch.stack([tensor.sum() for tensor in idle]).sum() if idle else y

    def runs_on(self, device: torch.device | str = "cpu") -> str:
        """See :meth:`Net.runs_on`."""
        return native.report(self, device)

    def reserve(self, batch: int, length: int) -> None:
        """See :meth:`Net.reserve`."""
        if self.condition_dsp is None:  # whose memory is small beside that of the net
            native.reserve(self, batch, length)

    # -- export ------------------------------------------------------------------------------------

    def scale_output(self, gain: float) -> None:
        """Multiply the output by `gain`: `head_scale`, or the last convolution of a post-stack head."""
        with torch.no_grad():
            if self.head is None:
                self.head_scale.mul_(gain)
                return
            for tensor in conv_tensors(self.head.conv_list()[-1]):
                tensor.mul_(gain)

    def file_tensors(self) -> Iterator[Tensor]:
        """All weights in the order of a `.nam` file; those of `condition_dsp` stand in its own envelope."""
        for array in self.layer_arrays():
            yield from array.file_tensors()
        if self.head is not None:
            yield from self.head.file_tensors()
        yield self.head_scale

    def engine_net(self) -> Net:
        """This net, or one with other widths that plays alike and that the realtime engine loads."""
        from nam_like.models.amp.wavenet.engine import engine_form

        return engine_form(self)

    def export_obstacles(self, exporter: str) -> list[str]:
        """See :meth:`Net.export_obstacles`."""
        from nam_like.models.amp.wavenet.engine import obstacles

        return super().export_obstacles(exporter) + (obstacles(self) if exporter == "nam" else [])

    def export_config(self) -> dict[str, Any]:
        """The config in the oldest spelling that expresses :meth:`engine_net`."""
        from nam_like.models.amp.wavenet.engine import engine_form
        from nam_like.models.amp.wavenet.spelling import spell

        return spell(engine_form(self))

    def export_weights(self) -> Weights:
        """Weights of :meth:`engine_net`; the last one is `head_scale`."""
        from nam_like.models.amp.wavenet.engine import engine_form

        return flat(engine_form(self).file_tensors())

    def export_version(self) -> str:
        """0.5.4, 0.6.0 or 0.7.0, whatever the config needs."""
        from nam_like.models.amp.wavenet.spelling import version_of

        return version_of(self.export_config())

    def import_weights(self, weights: Any) -> int:
        """Read weights in file order, `head_scale` included; see :meth:`Net.import_weights`.

        Raises:
            NamFileError: another number of weights than the net has.
        """
        source = WeightSource(weights)
        source.fill(*self.file_tensors())
        return source.finish()


def check_widths(arrays: Sequence[LayerArray], head: PostHead | None) -> None:
    """Refuse arrays whose channels do not fit each other.

    Raises:
        ValueError: which width, what was expected and what it is.
    """
    if not arrays:
        raise ValueError("expected at least one layer array, but got none")
    for index in range(1, len(arrays)):
        before, after = arrays[index - 1], arrays[index]
        if after.input_size != before.channels:
            raise ValueError(
                f"expected `input_size` of array {index} to be {before.channels} (the channels of array "
                f"{index - 1}), but got {after.input_size}"
            )
        if after.skip_size != before.head_size:
            raise ValueError(
                f"expected the skip path of array {index} to have {before.head_size} channels (the head "
                f"output of array {index - 1}), but got {after.skip_size}"
            )
    if head is not None and head.in_channels != arrays[-1].head_size:
        raise ValueError(
            f"expected `in_channels` of the head to be {arrays[-1].head_size} (the head output of the last "
            f"array), but got {head.in_channels}"
        )


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
