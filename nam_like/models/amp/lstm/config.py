"""What a model JSON says about an LSTM."""

from __future__ import annotations

from pydantic import Field, model_validator

from nam_like.config.base import Bool, Config, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from nam_like.models.amp.lstm.model import LSTM
from nam_like.models.blocks.problems import Problem, refuse_all

__all__ = ["LSTMConfig"]


class LSTMConfig(Config):
    """An LSTM."""

    hidden_size: PositiveInt = Field(description="width of each layer")
    num_layers: PositiveInt = Field(1, description="number of layers")
    input_size: PositiveInt = Field(1, description="inputs per sample: 1, plus one per knob")
    train_burn_in: NonNegativeInt | None = Field(
        0, description="samples at the start of a training segment that only bring the state up"
    )
    train_truncate: NonNegativeInt | None = Field(
        None, description="samples that a gradient reaches back at most; null or 0 = the whole segment"
    )
    dropout: NonNegativeFloat = Field(0.0, description="dropout between layers, in training", lt=1)
    bias: Bool = Field(True, description="whether the layers have biases")
    batch_first: Bool | None = Field(None, description="not to be set: the batch always comes first")
    bidirectional: Bool = Field(False, description="only false: a realtime net cannot see the future")
    proj_size: NonNegativeInt = Field(
        0, description="only 0: neither the output nor .nam files have projections"
    )
    export_silence: NonNegativeFloat = Field(
        1.0, description="silence between the learned and the exported initial state (seconds)"
    )
    export_knobs: list[float] | None = Field(None, description="knob values at which a .nam file plays")
    sample_rate: PositiveFloat | None = Field(
        None, description="sample rate (Hz); the data's where it is left out"
    )

    @model_validator(mode="after")
    def _possible(self) -> LSTMConfig:
        problems = []
        if self.batch_first is not None:
            problems.append(Problem(("batch_first",), "expected no `batch_first`: audio is always (B, L)"))
        if self.bidirectional:
            problems.append(
                Problem(("bidirectional",), "expected false (the net must be causal), but got true")
            )
        if self.proj_size:
            problems.append(Problem(("proj_size",), f"expected 0 (no projection), but got {self.proj_size}"))
        if self.dropout and self.num_layers == 1:
            problems.append(
                Problem(
                    ("dropout",),
                    f"expected 0 with a single layer (it acts between layers), but got {self.dropout:g}",
                )
            )
        knobs = self.input_size - 1
        if self.export_knobs is not None and (len(self.export_knobs) != knobs or not knobs):
            problems.append(
                Problem(
                    ("export_knobs",),
                    f"expected {knobs} values (input_size − 1), but got {len(self.export_knobs)}",
                )
            )
        refuse_all("LSTM", problems)
        return self

    def build(self) -> LSTM:
        """Make the net."""
        return LSTM(
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            input_size=self.input_size,
            train_burn_in=self.train_burn_in or 0,
            train_truncate=self.train_truncate or 0,
            dropout=self.dropout,
            bias=self.bias,
            export_silence=self.export_silence,
            export_knobs=None if self.export_knobs is None else tuple(self.export_knobs),
            sample_rate=self.sample_rate,
        )


LSTM.config_model = LSTMConfig
