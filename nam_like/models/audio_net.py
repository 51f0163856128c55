"""What nets of all families have in common: their description, their exports, and the data they take."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn
from typing_extensions import Self

from nam_like.config.base import Config
from nam_like.errors import HandshakeError

__all__ = ["AudioNet"]


class AudioNet(nn.Module):
    """Base of the nets of all families.

    Class attributes:
        causal: whether an output depends on present and past input only.
        config_model: the pydantic model that describes it.

    Attributes:
        exports: names of the exporters that can serve the net; an instance may serve fewer than its class.
        sample_rate: the rate that it was trained at (Hz), or None.
    """

    causal: ClassVar[bool] = True
    config_model: ClassVar[type[Config] | None] = None

    exports: frozenset[str] = frozenset({"torchscript"})

    def __init__(self, sample_rate: float | None = None) -> None:
        super().__init__()
        self.sample_rate = sample_rate

    @property
    def receptive_field(self) -> int | None:
        """Input samples that one output sample depends on; None where that may be the whole input."""
        return None

    @classmethod
    def init_from_config(cls, config: dict[str, Any]) -> Self:
        """Make the net from a plain dict, through its config model where it has one.

        Raises:
            pydantic.ValidationError: the config is not what the model asks for.
        """
        if cls.config_model is None:
            return cls(**config)
        built: Self = cls.config_model.model_validate(config).build()  # type: ignore[attr-defined]
        return built

    def runs_on(self, device: torch.device | str = "cpu") -> str:
        """One line for logs: what plays this net on a device, and why no kernels do where there are some."""
        return f"PyTorch on {device} (there are no kernels for a {type(self).__name__})"

    def export_obstacles(self, exporter: str) -> list[str]:
        """Why this net cannot be exported by `exporter` so that it plays as it trains; empty when it can."""
        if exporter in type(self).exports:
            return []
        return [f"a {type(self).__name__} cannot be exported as '{exporter}'"]

    def handshake(self, dataset: Any) -> None:
        """Make sure that the dataset gives what the net takes.

        Raises:
            HandshakeError: another sample rate.
        """
        rate = getattr(dataset, "sample_rate", None)
        if rate is not None and self.sample_rate is not None and float(rate) != float(self.sample_rate):
            raise HandshakeError(
                f"expected audio at the net's sample rate {self.sample_rate:g} Hz, but got {rate:g} Hz"
            )
