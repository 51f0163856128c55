"""What the parts of a net must agree on: the encoder, the decoder, and what lies between them."""

from nam_like.config.component import Component
from nam_like.config.lines import refusal

__all__ = ["check_pair", "check_subbands", "subbands_of"]

_SHARED = ("fft_length", "hop_length", "magnitude_power", "scale")


def check_pair(encoder: Component, decoder: Component) -> None:
    """Make sure that the decoder undoes what the encoder does.

    Raises:
        ValidationError: they differ in a setting that both have.
    """
    for key in _SHARED:
        ours, theirs = getattr(encoder.config, key, None), getattr(decoder.config, key, None)
        if ours is not None and theirs is not None and ours != theirs:
            raise refusal(
                f"expected the {key} of the encoder, {ours:g}, but got {theirs:g}",
                ("decoder", *decoder.config_at, key),
                theirs,
            )


def subbands_of(encoder: Component) -> int | None:
    """Frequencies of an encoder's spectrograms; None where its config does not say."""
    length = getattr(encoder.config, "fft_length", None)
    return None if length is None else int(length) // 2 + 1


def check_subbands(encoder: Component, part: Component, key: str) -> None:
    """Make sure that a part that counts frequencies counts those of the encoder.

    Args:
        encoder: of the net.
        part: another part of it; its ``num_subbands`` is looked at, where it has one.
        key: the part's name in the net's config.

    Raises:
        ValidationError: the numbers differ.
    """
    wanted, given = subbands_of(encoder), getattr(part.config, "num_subbands", None)
    if wanted is not None and given is not None and given != wanted:
        raise refusal(
            f"expected num_subbands to be fft_length // 2 + 1 of the encoder, {wanted}, but got {given}",
            (key, *part.config_at, "num_subbands"),
            given,
        )
