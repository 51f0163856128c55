"""Masks from a recurrent net."""

from typing import Final, Literal, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from typing_extensions import Self

from nam_like.config.base import Bool, Config, Float, PositiveInt
from nam_like.config.lines import refusal
from nam_like.models.blocks.native import fits, is_hooked
from nam_like.models.enhancement.features import SpectrogramFeatures
from nam_like.models.enhancement.lengths import mask_frames
from nam_like.native import lstm_layer

__all__ = ["MaskEstimatorRNN", "MaskEstimatorRNNConfig"]


class MaskEstimatorRNN(nn.Module):
    """One mask per output from the magnitudes, by a stack of recurrent layers.

        x = dense(features);  masks = sigmoid(dense(x + norm(dense(recurrent(x)))))

    Weights have the names of NeMo's class of the same name, so that its checkpoints load.

    Args:
        num_outputs: masks.
        num_subbands: frequencies F.
        num_features: width of the dense layers.
        num_layers: recurrent layers.
        num_hidden_features: width of a recurrent layer and direction; None takes `num_features`.
        num_input_channels: see :class:`SpectrogramFeatures`.
        dropout: between the recurrent layers.
        bidirectional: whether the future is heard, too; a net that is not can run on a stream.
        rnn_type: ``lstm`` or ``gru``.
        mag_reduction: see :class:`SpectrogramFeatures`.
        use_ipd: see :class:`SpectrogramFeatures`.

    Attributes:
        causal: whether :meth:`stream_frames` can be used.

    Raises:
        ValueError: an unknown `rnn_type` or `mag_reduction`, or features per channel of unknown channels.
    """

    is_lstm: Final[bool]

    def __init__(
        self,
        *,
        num_outputs: int,
        num_subbands: int,
        num_features: int = 1024,
        num_layers: int = 3,
        num_hidden_features: int | None = None,
        num_input_channels: int | None = None,
        dropout: float = 0.0,
        bidirectional: bool = True,
        rnn_type: str = "lstm",
        mag_reduction: str | None = "rms",
        use_ipd: bool = False,
    ) -> None:
        super().__init__()
        if rnn_type not in ("lstm", "gru"):
            raise ValueError(f"expected rnn_type lstm or gru, but got {rnn_type}")
        hidden = num_features if num_hidden_features is None else num_hidden_features
        self.num_outputs = num_outputs
        self.causal = not bidirectional
        self.is_lstm = rnn_type == "lstm"
        self.features = SpectrogramFeatures(
            num_subbands=num_subbands,
            num_input_channels=num_input_channels,
            mag_reduction=mag_reduction,
            use_ipd=use_ipd,
        )
        if self.features.num_channels == 0:
            raise ValueError(
                "expected num_input_channels, because features are kept per channel (mag_reduction null or "
                "use_ipd), but got null"
            )
        self.input_projection = nn.Linear(
            self.features.num_features * self.features.num_channels, num_features
        )
        make = nn.LSTM if rnn_type == "lstm" else nn.GRU
        self.rnn = make(
            num_features,
            hidden,
            num_layers,
            batch_first=True,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        self.fc = nn.Linear(hidden * (2 if bidirectional else 1), num_features)
        self.norm = nn.LayerNorm(num_features)
        self.output_projections = nn.ModuleList(
            nn.Linear(num_features, num_subbands) for _ in range(num_outputs)
        )

    def forward(self, spectrogram: Tensor, frames: Tensor) -> Tensor:
        """Estimate masks.

        Args:
            spectrogram: complex, ``(B, C, F, N)``.
            frames: valid frames per item, ``(B,)``.

        Returns:
            ``(B, num_outputs, F, N)`` from 0 to 1; zero behind the valid frames.
        """
        x = self._projected(spectrogram, frames)
        return mask_frames(self._masks(x, self._heard(x, frames)), frames)

    @torch.jit.export
    def stream_frames(self, spectrogram: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Estimate the masks of the next frames of a stream, which are those of the whole in one go.

        Args:
            spectrogram: the next frames, complex, ``(B, C, F, N)``.
            state: what the call before gave; empty at the start.

        Returns:
            The masks ``(B, num_outputs, F, N)``, and the state for the next call.

        Raises:
            ValueError: the net hears the future.
        """
        if not self.causal:
            raise ValueError("expected a net that is not bidirectional, but this one hears the future")
        batch, count = spectrogram.shape[0], spectrogram.shape[-1]
        frames = torch.full((batch,), count, dtype=torch.long, device=spectrogram.device)
        x = self._projected(spectrogram, frames)
        if self.is_lstm:
            before = (state[0], state[1]) if len(state) == 2 else None
            heard, (hidden, cell) = self.rnn(x, before)
            return self._masks(x, heard), [hidden, cell]
        else:  # noqa: RET505 - TorchScript compiles the branch that is_lstm chooses, and only that
            heard, hidden = self.rnn(x, state[0] if len(state) == 1 else None)
            return self._masks(x, heard), [hidden]

    def _projected(self, spectrogram: Tensor, frames: Tensor) -> Tensor:
        """The features through the first dense layer: ``(B, N, num_features)``."""
        features = self.features(spectrogram, frames)
        batch, channels, width, count = features.shape
        projected: Tensor = self.input_projection(
            features.reshape(batch, channels * width, count).transpose(1, 2)
        )
        return projected

    def _heard(self, x: Tensor, frames: Tensor) -> Tensor:
        """What the recurrent layers make of ``(B, N, num_features)``."""
        if not is_scripting():  # noqa: SIM102 - TorchScript leaves out what is behind this condition alone
            if self._is_native(x):
                return lstm_layer.play(cast("nn.LSTM", self.rnn), x, frames)
        lengths = frames.cpu()
        if int(lengths.min()) >= x.shape[1]:
            whole: Tensor = self.rnn(x)[0]
            return whole
        # Packed, so that what a backward direction hears begins at the end of each item.
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        heard, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=x.shape[1])
        return heard

    @torch.jit.unused
    def kernel_parts(self) -> str:
        """What the native kernels play of it, for logs; empty where they play nothing."""
        return "recurrent layers" if self._is_native(self.input_projection.weight) else ""

    @torch.jit.unused
    def _is_native(self, x: Tensor) -> bool:
        """Whether the kernels play the recurrent layers."""
        rnn = self.rnn
        return (
            isinstance(rnn, nn.LSTM) and fits(x) and not is_hooked([rnn]) and not lstm_layer.obstacle(rnn, x)
        )

    def _masks(self, x: Tensor, heard: Tensor) -> Tensor:
        """What the dense layers make of what the recurrent ones heard: ``(B, num_outputs, F, N)``."""
        x = x + self.norm(self.fc(heard))
        masks = [torch.sigmoid(project(x)) for project in self.output_projections]
        return torch.stack(masks, dim=1).transpose(2, 3)


class MaskEstimatorRNNConfig(Config):
    """Config of :class:`MaskEstimatorRNN`."""

    num_outputs: PositiveInt = Field(description="masks")
    num_subbands: PositiveInt = Field(description="frequencies, fft_length / 2 + 1")
    num_features: PositiveInt = Field(1024, description="width of the dense layers")
    num_layers: PositiveInt = Field(3, description="recurrent layers")
    num_hidden_features: PositiveInt | None = Field(
        None, description="width of a recurrent layer and direction; null takes num_features"
    )
    num_input_channels: PositiveInt | None = Field(
        None, description="channels of the input; only needed with mag_reduction null or use_ipd"
    )
    dropout: Float = Field(0.0, ge=0, lt=1, description="between the recurrent layers, in training")
    bidirectional: Bool = Field(
        True, description="whether the future is heard, too; a net that is not can run on a stream"
    )
    rnn_type: Literal["lstm", "gru"] = Field("lstm", description="kind of the recurrent layers")
    mag_reduction: Literal["abs_mean", "mean_abs", "rms"] | None = Field(
        "rms",
        description="one magnitude of all channels: of their mean (abs_mean), the mean of theirs (mean_abs), "
        "or their root mean square (rms); null keeps one per channel",
    )
    use_ipd: Bool = Field(False, description="add the phase of each channel against their mean")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dropout and self.num_layers == 1:
            raise refusal(
                f"expected 0 with a single layer (it acts between layers), but got {self.dropout:g}",
                ("dropout",),
                self.dropout,
            )
        if (self.mag_reduction is None or self.use_ipd) and self.num_input_channels is None:
            why = "mag_reduction is null" if self.mag_reduction is None else "use_ipd is true"
            raise refusal(f"expected a number where {why}, but got null", ("num_input_channels",), None)
        return self

    def build(self) -> MaskEstimatorRNN:
        """Make the net."""
        return MaskEstimatorRNN(**self.model_dump())
