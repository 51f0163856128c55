"""What nets that generate the clean spectrogram have in common.

A process leads from clean to noisy spectrograms, or from noise to clean ones. The estimator learns something
about the states on the way; a sampler asks it again and again until the clean spectrogram is there.
"""

from typing import Annotated, Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Bool, PositiveFloat
from nam_like.config.component import Component, Of
from nam_like.config.lines import refusal
from nam_like.errors import UserError
from nam_like.models.enhancement.encoded import EnhancerConfig, check_pair
from nam_like.models.enhancement.enhancer import Enhancer, full_lengths, peak_of
from nam_like.models.enhancement.lengths import mask_frames

__all__ = ["GenerativeConfig", "GenerativeEnhancer", "check_domains", "check_part"]


def check_domains(domains: Any, known: tuple[str, ...], net: str) -> None:
    """Refuse views that a net does not have.

    Args:
        domains: asked for.
        known: those that the net has.
        net: its name.

    Raises:
        UserError: one is unknown.
    """
    for domain in domains:
        if domain not in known:
            raise UserError(
                f"expected a loss of the domain {' or '.join(known)} for this {net}, but got {domain}"
                " (`domain` of the loss)"
            )


class GenerativeEnhancer(Enhancer):
    """``decoder(sampler(estimator, encoder(x)))``.

    What is random is drawn from torch's own generator, so that ``torch.manual_seed`` makes it repeatable.

    Args:
        encoder: from audio to complex spectrograms.
        estimator: called with the state and the noisy spectrogram, ``(B, 2 C, F, N)``, the valid frames
            ``(B,)`` and the time ``(B,)``.
        decoder: from spectrograms to audio.
        process: what the estimator is trained on; see :mod:`nam_like.models.enhancement.processes`.
        sampler: see :mod:`nam_like.models.enhancement.samplers.base`.
        normalize_input: divide each item by its peak before the net hears it, and multiply the answer again.
        sample_rate: Hz.
    """

    answers_in_views = False

    def __init__(
        self,
        *,
        encoder: nn.Module,
        estimator: nn.Module,
        decoder: nn.Module,
        process: nn.Module,
        sampler: nn.Module,
        normalize_input: bool = False,
        sample_rate: float | None = None,
    ) -> None:
        channels: Any = getattr(estimator, "out_channels", 1)
        super().__init__(int(channels), int(channels), sample_rate)
        self.encoder = encoder
        self.estimator = estimator
        self.decoder = decoder
        self.process: Any = process
        self.sampler: Any = sampler
        self.normalize_input = normalize_input

    def enhance(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """See :class:`Enhancer`."""
        return self.answer(audio, lengths, False)

    def answer(self, audio: Tensor, lengths: Tensor, hide: bool) -> Tensor:
        """The same; `hide` says whether what training hides of the input is hidden here, too."""
        peak = peak_of(audio, self.normalize_input)
        noisy, frames = self.encoder(audio / peak, lengths)
        with torch.no_grad():
            clean = self.generate(noisy, self.condition(noisy, frames, hide), frames)
        made: Tensor = self.decoder(clean, frames, audio.shape[-1])[0]
        return made * peak

    def condition(self, noisy: Tensor, frames: Tensor, hide: bool) -> Tensor:
        """What the estimator is told of noisy spectrograms ``(B, C, F, N)`` beside the state.

        Args:
            noisy: the spectrograms.
            frames: valid frames, ``(B,)``.
            hide: whether what training hides of them is to be hidden.
        """
        return noisy

    def estimate(self, state: Tensor, condition: Tensor, frames: Tensor, time: Tensor) -> Tensor:
        """What the estimator makes of states ``(B, C, F, N)`` with `frames` valid ones, at times ``(B,)``."""
        made: Tensor = self.estimator(torch.cat((state, condition), dim=1), frames, time)
        return made

    def generate(self, noisy: Tensor, condition: Tensor, frames: Tensor) -> Tensor:
        """Go through all steps of the sampler.

        Args:
            noisy: spectrograms, ``(B, C, F, N)``.
            condition: what the estimator is told of them, like them.
            frames: valid frames, ``(B,)``.

        Returns:
            Clean spectrograms, like them; zero behind the valid frames.
        """
        state = mask_frames(self.sampler.start(noisy), frames)
        for index in range(self.sampler.evaluations):
            time = torch.full((noisy.shape[0],), float(self.sampler.time(index)), device=noisy.device)
            estimate = self.estimate(state, condition, frames, time)
            state = mask_frames(self.sampler.update(index, state, estimate, noisy), frames)
        return state

    @torch.jit.unused
    def encode_pair(
        self, input_signal: Tensor, input_length: Tensor | None, target_signal: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What training begins with.

        Args:
            input_signal: ``(B, C, T)``.
            input_length: valid samples, ``(B,)``; None when all are.
            target_signal: ``(B, C, T)``.

        Returns:
            The noisy and the clean spectrograms, both ``(B, C, F, N)``; their valid frames ``(B,)``; and what
            both signals were divided by, ``(B, 1, 1)``.
        """
        lengths = full_lengths(input_signal, input_length)
        peak = peak_of(input_signal, self.normalize_input)
        noisy, frames = self.encoder(input_signal / peak, lengths)
        return noisy, self.encoder(target_signal / peak, lengths)[0], frames, peak


def check_part(part: Component, bases: tuple[type, ...], key: str, net: str) -> None:
    """Make sure that a part is of a class that the net can use.

    Raises:
        ValidationError: it is not.
    """
    made = part.entry.load()
    if not (isinstance(made, type) and issubclass(made, bases)):
        names = " or ".join(base.__name__ for base in bases)
        raise refusal(
            f"expected the {key} of a {net} to be a {names}, but got {part.name}",
            (key, *part.name_at),
            part.name,
        )


class GenerativeConfig(EnhancerConfig):
    """What configs of these nets have in common."""

    encoder: Annotated[Component, Of("transform")] = Field(description="from audio to spectrograms")
    estimator: Annotated[Component, Of("estimator")] = Field(
        description="told the state, the noisy spectrogram and the time"
    )
    decoder: Annotated[Component, Of("transform")] = Field(description="from spectrograms to audio")
    normalize_input: Bool = Field(
        False, description="divide each item by its peak before the net hears it; undone in its answer"
    )
    sample_rate: PositiveFloat | None = Field(
        None, description="rate of the audio (Hz); null takes that of the data"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_pair(self.encoder, self.decoder)
        given = self.estimator.config
        at = ("estimator", *self.estimator.config_at)
        inputs, outputs = getattr(given, "in_channels", None), getattr(given, "out_channels", None)
        if inputs is not None and outputs is not None and inputs != 2 * outputs:
            raise refusal(
                f"expected in_channels to be twice out_channels ({outputs}), for the state and the noisy "
                f"spectrogram, but got {inputs}",
                (*at, "in_channels"),
                inputs,
            )
        if getattr(given, "conditioned_on_time", True) is not True:
            raise refusal(
                "expected conditioned_on_time to be true, since the net generates step by step, "
                "but got false",
                (*at, "conditioned_on_time"),
                False,
            )
        return self

    def parts(self) -> dict[str, Any]:
        """Those parts and values that all of these nets take."""
        return {
            "encoder": self.encoder.build(),
            "estimator": self.estimator.build(),
            "decoder": self.decoder.build(),
            "normalize_input": self.normalize_input,
            "sample_rate": self.sample_rate,
        }
