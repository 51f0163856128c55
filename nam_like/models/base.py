"""What a sample-aligned net is: a receptive field, a padded and an unpadded forward pass, and an export.

A subclass implements ``_forward`` on inputs that are long enough; the base adds the padding at the start,
single signals without a batch dimension, and the checks. A plugin may define ``forward(self, x, …)`` instead.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.jit._trace import TracerWarning

from nam_like.errors import HandshakeError
from nam_like.models.audio_net import AudioNet

__all__ = ["BaseNet", "Net", "check_knobs", "forward_in_pieces", "is_tracing"]

Weights = NDArray[np.float32]

#: Longest input that convolutions on Apple's GPU take in one piece (samples).
MPS_LIMIT = 65_536


class Net(AudioNet):
    """Base of the nets whose output is aligned with their input, sample by sample.

    Class attributes:
        architecture: the name that the net's `.nam` file carries; empty when it has none.

    Attributes:
        num_conditions: condition tensors that ``forward`` takes after the audio; None where it varies.
        num_knobs: values per condition tensor.
        condition_sizes: values in each condition tensor of the data, once a run has seen it; an export is
            tried out with as many.
        pad_start_default: whether ``forward`` pads when the caller does not say.
    """

    architecture: ClassVar[str] = ""

    num_conditions: int | None = 0
    num_knobs: int = 0
    condition_sizes: tuple[int, ...] = ()
    pad_start_default: bool = True
    _is_plugin_forward: ClassVar[bool] = False
    _writes_weights: ClassVar[bool] = False

    def __init__(self, sample_rate: float | None = None) -> None:
        super().__init__(sample_rate)
        self._receptive_field: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("forward")
        if own is not None and not _takes(own, "pad_start"):
            # A plugin's plain `forward(x, …)` becomes the core of ours, which pads and crops around it.
            cls._forward = own  # type: ignore[method-assign]
            del cls.forward
            cls._is_plugin_forward = True
            _infer_conditions(cls, own)
        cls._writes_weights = all(_defines(cls, name) for name in ("export_config", "export_weights"))
        if cls._writes_weights and cls.architecture and "exports" not in cls.__dict__:
            cls.exports = cls.exports | {"nam"}

    @property
    def receptive_field(self) -> int:
        """Input samples that one output sample depends on; 1 for a memoryless net."""
        if self._receptive_field is None:
            raise NotImplementedError(f"{type(self).__name__} does not define `receptive_field`")
        return self._receptive_field

    @receptive_field.setter
    def receptive_field(self, samples: int) -> None:
        self._receptive_field = samples

    def forward(self, x: Tensor, *conditions: Tensor, pad_start: bool | None = None) -> Tensor:
        """Play audio through the net.

        Args:
            x: input, shape ``(B, L)`` or ``(L,)``.
            conditions: knob values, each ``(B, K)`` (constant) or ``(B, K, L)`` (aligned with `x`).
            pad_start: put `receptive_field` − 1 zeros before `x`, so that the output is as long as the
                input; None takes ``pad_start_default``. Aligned conditions are padded with their first value.

        Returns:
            ``(B, L)`` when padded, otherwise ``(B, L − receptive_field + 1)``; without B for an input
            ``(L,)``.

        Raises:
            ValueError: wrong shape or number of conditions, or an input shorter than the receptive field.
        """
        single = x.ndim == 1
        if single:
            x = x[None]
        past = self.receptive_field - 1
        if (self.pad_start_default if pad_start is None else pad_start) and past:
            x = F.pad(x, (past, 0))
            conditions = tuple(
                F.pad(c, (past, 0), mode="replicate") if c.ndim == 3 else c for c in conditions
            )
        if not is_tracing():
            self.check_format(x, *conditions)
        y = self._forward_on_device(x, *conditions)
        return y[0] if single else y

    def check_format(self, x: Tensor, *conditions: Tensor) -> None:
        """Refuse inputs whose shape ``_forward`` cannot take.

        Raises:
            ValueError: see :meth:`forward`.
        """
        if x.ndim != 2:
            raise ValueError(f"expected audio of shape (B, L) or (L,), but got {tuple(x.shape)}")
        if x.shape[-1] < self.receptive_field:
            raise ValueError(
                f"expected at least {self.receptive_field} input samples (the receptive field), "
                f"but got {x.shape[-1]}"
            )
        if self.num_conditions is not None and len(conditions) != self.num_conditions:
            raise ValueError(
                f"expected {self.num_conditions} condition tensors after the audio, but got {len(conditions)}"
            )
        for condition in conditions:
            if condition.ndim == 3 and condition.shape[-1] != x.shape[-1]:
                raise ValueError(
                    f"expected aligned conditions as long as the audio ({x.shape[-1]} samples), "
                    f"but got {condition.shape[-1]}"
                )

    def _forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        """The net itself, ``(B, L) → (B, L − receptive_field + 1)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define `_forward`")

    def _forward_on_device(self, x: Tensor, *conditions: Tensor) -> Tensor:
        """``_forward``, in overlapping pieces where the device takes only short ones."""
        if x.device.type == "mps" and x.shape[-1] > MPS_LIMIT and self.receptive_field < MPS_LIMIT:
            return forward_in_pieces(self, x, *conditions, limit=MPS_LIMIT)
        y = self._forward(x, *conditions)
        return self._without_own_padding(x, y) if self._is_plugin_forward else y

    def _without_own_padding(self, x: Tensor, y: Tensor) -> Tensor:
        """Crop the output of a plugin's ``forward`` that returns as many samples as it got."""
        past = self.receptive_field - 1
        with warnings.catch_warnings():
            # Which of both it does is a fact of the net; a traced graph may hold it.
            warnings.filterwarnings("ignore", category=TracerWarning)
            same = bool(y.shape[-1] == x.shape[-1])
        return y[..., past:] if past and same else y

    def reserve(self, batch: int, length: int) -> None:
        """Get the memory of training on ``(batch, length)`` ready, in the background and where that helps.

        Called when a run on the CPU begins, so that the first step need not wait for the system to find
        hundreds of megabytes. A net without memory of its own has nothing to do.
        """

    # -- export ------------------------------------------------------------------------------------

    def scale_output(self, gain: float) -> None:
        """Multiply the output by `gain` for good, by changing weights.

        Raises:
            NotImplementedError: the net has no weights that scale its output.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot scale its output")

    def export_config(self) -> dict[str, Any]:
        """The ``config`` object of the net's `.nam` file."""
        older = getattr(self, "_export_config", None)
        if older is None:
            raise NotImplementedError(f"{type(self).__name__} does not define `export_config`")
        config: dict[str, Any] = older()
        return config

    def export_weights(self) -> Weights:
        """The ``weights`` of the net's `.nam` file, float32, shape ``(N,)``."""
        older = getattr(self, "_export_weights", None)
        if older is None:
            raise NotImplementedError(f"{type(self).__name__} does not define `export_weights`")
        return np.asarray(older(), dtype=np.float32)

    def export_version(self) -> str:
        """The oldest `.nam` file version that can express ``export_config()``."""
        return "0.5.4"

    def import_weights(self, weights: Any) -> int:
        """Read the weights of a `.nam` file (see :meth:`export_weights`); returns how many were taken."""
        raise NotImplementedError(f"{type(self).__name__} cannot import weights")

    def engine_net(self) -> Net:
        """The net that a `.nam` file holds: this one, or one of another form that plays exactly alike."""
        return self

    def export_conditions(self) -> tuple[Tensor, ...]:
        """The conditions at which an exported file plays; empty for nets without knobs."""
        return ()

    def export_obstacles(self, exporter: str) -> list[str]:
        """Why this net cannot be exported by `exporter` so that it plays as it trains; empty when it can."""
        return [] if exporter == "nam" and self._writes_weights else super().export_obstacles(exporter)

    # -- data --------------------------------------------------------------------------------------

    def handshake(self, dataset: Any) -> None:
        """Make sure that the dataset gives what the net takes.

        Raises:
            HandshakeError: another number of conditions per item, or another sample rate.
        """
        offered = getattr(dataset, "num_conditions", None)
        if None not in (offered, self.num_conditions) and offered != self.num_conditions:
            raise HandshakeError(
                f"expected a dataset with {self.num_conditions} conditions for {type(self).__name__}, "
                f"but got {offered}"
            )
        super().handshake(dataset)


BaseNet = Net


def check_knobs(count: int, dataset: Any) -> None:
    """Make sure that a dataset has as many knobs as a net.

    Raises:
        HandshakeError: it has more or fewer.
    """
    names = tuple(getattr(dataset, "condition_names", None) or ())
    if names and len(names) != count:
        raise HandshakeError(
            f"expected a dataset with {count} knobs, but got {len(names)} ({', '.join(names)})"
        )


def is_tracing() -> bool:
    """Whether the forward pass is being recorded by ``torch.jit.trace``."""
    return torch._C._get_tracing_state() is not None


def forward_in_pieces(net: Net, x: Tensor, *conditions: Tensor, limit: int) -> Tensor:
    """``net._forward`` in pieces of at most `limit` input samples that overlap by the receptive field.

    Args:
        net: a net without state from sample to sample other than its receptive field.
        x: shape ``(B, L)``.
        conditions: shapes ``(B, K)`` or ``(B, K, L)``.
        limit: samples.

    Returns:
        shape ``(B, L − receptive_field + 1)``.
    """
    past = net.receptive_field - 1
    pieces = []
    for start in range(0, x.shape[-1] - past, limit - past):
        part = slice(start, start + limit)
        pieces.append(net._forward(x[:, part], *(c[..., part] if c.ndim == 3 else c for c in conditions)))
    return torch.cat(pieces, dim=-1)


def _takes(function: Any, name: str) -> bool:
    parameters = inspect.signature(function).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _infer_conditions(cls: type[Net], function: Any) -> None:
    """Count the arguments after the audio of a plugin's ``forward``; do not count where some are optional."""
    after_audio = list(inspect.signature(function).parameters.values())[2:]
    varies = any(p.kind is p.VAR_POSITIONAL or p.default is not p.empty for p in after_audio)
    if "num_conditions" not in cls.__dict__:
        cls.num_conditions = None if varies else len(after_audio)


def _defines(cls: type[Net], name: str) -> bool:
    """Whether a subclass of :class:`Net` has the method, under its public or its older private name."""
    return any(
        candidate in base.__dict__
        for base in cls.__mro__[: cls.__mro__.index(Net)]
        for candidate in (name, f"_{name}")
    )
