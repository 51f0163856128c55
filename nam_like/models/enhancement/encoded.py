"""What the parts of a net must agree on: the encoder, the decoder, and what lies between them."""

from typing import Any

from pydantic_core import InitErrorDetails

from nam_like.config.base import Config
from nam_like.config.component import Component
from nam_like.config.lines import line, refusal

__all__ = ["EnhancerConfig", "check_pair", "check_subbands", "subbands_of"]

#: What people know as keys of the model, and where it is said here.
_ELSEWHERE = {
    "skip_nan_grad": "is a key of learning.json",
    "max_utts_evaluation_metrics": "is `max_metric_examples` of the task `enhancement` in model.json",
    "optim": "is `optimizer` (and its `sched` is `lr_scheduler`), beside `net` in model.json",
    "sched": "is `lr_scheduler`, beside `net` in model.json",
    **dict.fromkeys(
        ("loss", "metrics", "optimizer", "lr_scheduler", "task"), "stands beside `net` in model.json"
    ),
    **dict.fromkeys(("train_ds", "validation_ds", "test_ds"), "is what data.json says"),
    **dict.fromkeys(
        ("init_from_nemo_model", "init_from_pretrained_model", "init_from_ptl_ckpt", "trainer"),
        "is a key of learning.json",
    ),
}
_SHARED = ("fft_length", "hop_length", "magnitude_power", "scale")


class EnhancerConfig(Config):
    """Base of the configs of nets: tells where keys belong that stand elsewhere in other tools."""

    @classmethod
    def _unknown_key(cls, key: str, suggestion: str | None, value: Any) -> InitErrorDetails:
        if key in _ELSEWHERE:
            return line(f"expected no `{key}`: it {_ELSEWHERE[key]}", (key,), value, "unknown_key")
        return super()._unknown_key(key, suggestion, value)


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
