"""The body of ``model:`` → the net, the loss and the metrics of model.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nam_like.config.base import describe
from nam_like.config.errors import dotted
from nam_like.config.jsonc import loads
from nam_like.config.locate import Loc
from nam_like.config.nemo.aliases import alias_of, metric_name
from nam_like.config.nemo.draft import Draft
from nam_like.config.nemo.section import Section
from nam_like.config.nemo.tree import resolved, value_at
from nam_like.presets import find_preset
from nam_like.registry import did_you_mean

__all__ = [
    "FAMILIES",
    "Family",
    "draft_loss",
    "draft_metrics",
    "draft_net",
    "draft_preset",
    "draft_task",
    "family_of",
    "names_a_net",
]

_NET: Loc = ("net", "config")


@dataclass(frozen=True)
class Family:
    """A type of model.

    Attributes:
        net: ours.
        parts: key in the YAML file → key in the net's config and kind of component, in order.
        options: keys of single values → key in the net's config.
        optional: parts that a net can do without.
        loss: for files that have none.
    """

    net: str
    parts: dict[str, tuple[str, str]]
    options: dict[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    loss: dict[str, Any] = field(default_factory=dict)


_CODERS = {"encoder": ("encoder", "transform"), "decoder": ("decoder", "transform")}
_NORMALIZE = {"normalize_input": "normalize_input"}
_ENCODED = {"name": "MSE", "config": {"domain": "encoded"}}

FAMILIES = {
    "predictive": Family(
        "PredictiveEnhancer",
        {
            "encoder": _CODERS["encoder"],
            "estimator": ("estimator", "estimator"),
            "decoder": _CODERS["decoder"],
        },
        _NORMALIZE,
        loss={"name": "MSE"},
    ),
    "mask_based": Family(
        "MaskEnhancer",
        {
            "channel_augment": ("channel_augment", "augmentation"),
            "encoder": _CODERS["encoder"],
            "mask_estimator": ("mask_estimator", "estimator"),
            "mask_processor": ("mask_processor", "mask_processor"),
            "mixture_consistency": ("mixture_consistency", ""),
            "decoder": _CODERS["decoder"],
        },
        {"num_outputs": "num_outputs", **_NORMALIZE},
        frozenset({"channel_augment", "mixture_consistency"}),
        {"name": "SDR", "config": {"scale_invariant": True}},
    ),
    "score_based": Family(
        "ScoreBasedEnhancer",
        {
            **_CODERS,
            "estimator": ("estimator", "estimator"),
            "sde": ("process", "process"),
            "sampler": ("sampler", "sampler"),
        },
        _NORMALIZE,
        loss=_ENCODED,
    ),
    "flow_matching": Family(
        "FlowMatchingEnhancer",
        {
            **_CODERS,
            "estimator": ("estimator", "estimator"),
            "flow": ("process", "process"),
            "sampler": ("sampler", "sampler"),
            "ssl_pretrain_masking": ("ssl_pretrain_masking", "augmentation"),
        },
        {**_NORMALIZE, "p_cond": "p_cond", "estimator_target": "estimator_target"},
        frozenset({"ssl_pretrain_masking"}),
        _ENCODED,
    ),
    "schroedinger_bridge": Family(
        "SchroedingerBridgeEnhancer",
        {
            **_CODERS,
            "estimator": ("estimator", "estimator"),
            "noise_schedule": ("process", "process"),
            "sampler": ("sampler", "sampler"),
        },
        {**_NORMALIZE, "estimator_output": "estimator_output"},
        loss=_ENCODED,
    ),
}
_DEFAULT_TYPE = "mask_based"
_PARTS = {key for family in FAMILIES.values() for key in family.parts}
_PRESET = "enhancement/mask_rnn"


def family_of(model: Section) -> Family:
    """The family that a model belongs to; NeMo's default where the file does not say."""
    name = model.take("type", str)
    if name is None:
        model.findings.filled.append(f"model.type: {_DEFAULT_TYPE}, NeMo's default")
        name = _DEFAULT_TYPE
    if name not in FAMILIES:
        model.refuse(
            "type",
            f"expected one of {', '.join(FAMILIES)}, but got '{name}'{did_you_mean(name, list(FAMILIES))}",
        )
        name = _DEFAULT_TYPE
    return FAMILIES[name]


def draft_preset(model: Section, draft: Draft) -> None:
    """The parts of a small net that trains on a CPU, for blocks that say nothing about one."""
    preset = loads(find_preset(_PRESET).model.read_text(encoding="utf-8"))
    keys = ["net", *(("loss", "metrics") if not _says(model, "loss", "metrics") else ())]
    keys += ["optimizer"] if not _says(model, "optim") else []
    for key in keys:
        draft.put((key,), preset[key], note=f"not in the YAML file; as in {_PRESET}")
    model.know("type", "num_outputs", "normalize_input", *_PARTS)
    model.findings.filled.append(f"model: {', '.join(keys)} of the preset {_PRESET}")


def names_a_net(model: Section) -> bool:
    """Whether a model says anything about its net."""
    return _says(model, "type", "num_outputs", "normalize_input", *_PARTS)


def _says(model: Section, *keys: str) -> bool:
    return any(key in model for key in keys)


def draft_net(model: Section, family: Family, draft: Draft) -> None:
    """The net."""
    at = None if value_at(model.source.tree, model.at("type")) is None else model.at("type")
    draft.put(("net", "name"), family.net, at)
    draft.put(_NET, {})
    _channels(model, family)
    _target(model)
    for key, ours in family.options.items():
        value = model.raw(key)
        if value is not None:
            draft.put((*_NET, ours), value, model.at(key))
    sections = {key: model.section(key) for key in family.parts}
    for key, (ours, kind) in family.parts.items():
        part = sections[key]
        if part is not None:
            _put_part(part, kind, draft, (*_NET, ours))
        elif key not in family.optional:
            draft.put((*_NET, ours), None)  # its place in the order; filled below
    _fill(model, family, draft)


def draft_task(model: Section, draft: Draft) -> None:
    """How the net is trained, where the file says anything about it."""
    measured = model.raw("max_utts_evaluation_metrics")
    if measured is not None:
        draft.put(("task", "name"), "enhancement")
        path = model.at("max_utts_evaluation_metrics")
        draft.put(("task", "config", "max_metric_examples"), measured, path)


def _channels(model: Section, family: Family) -> None:
    """Of nets with one estimator, num_outputs only repeats what the estimator says."""
    if "num_outputs" in family.options:
        return
    outputs = model.take("num_outputs", int)
    of_estimator = value_at(model.source.tree, (*model.at("estimator"), "out_channels"))
    if isinstance(outputs, int) and isinstance(of_estimator, int) and outputs != of_estimator:
        model.refuse(
            "num_outputs", f"expected the estimator's out_channels, {of_estimator}, but got {outputs}"
        )
    elif outputs is not None:
        model.findings.left_out.append(f"{dotted(model.at('num_outputs'))}: the estimator's out_channels")


def _target(model: Section) -> None:
    """A sampler is told by its net what the estimator gives; one that says otherwise is a mistake."""
    tree, path, at = (
        model.source.tree,
        (*model.at("sampler"), "estimator_target"),
        model.at("estimator_target"),
    )
    given = resolved(tree, value_at(tree, path), path)
    wanted = resolved(tree, value_at(tree, at), at) or "conditional_vector_field"
    if given is not None and given != wanted:
        message = f"expected the model's estimator_target, {wanted}, but got {given}"
        model.findings.problems.append(model.source.problem(path, message))


def _put_part(part: Section, kind: str, draft: Draft, loc: Loc) -> None:
    """A component: its ``_target_`` becomes its name, everything else its config."""
    target = part.take("_target_", str)
    try:
        alias = alias_of(target or "", kind)
    except LookupError as error:
        part.refuse("_target_", str(error) if target else "expected a `_target_`, but got none")
        return
    for key, why in alias.drop.items():
        part.leave_out(key, why=why)
    for key, values in alias.fixed.items():
        given = part.take(key, (bool, int), values[0])
        if given not in values:
            part.refuse(
                key, f"expected {describe(values[0])}, for there is nothing else, but got {describe(given)}"
            )
    part.leave_out("_convert_", "_recursive_")
    for key in part.remaining():
        if key.startswith("_"):
            part.refuse(key, f"expected an argument, but got '{key}'", unknown=True)
    config = {key: part.raw(key) for key in part.remaining()}
    if not alias.kind:
        draft.put(loc, config, part.path)
        return
    draft.put(loc, {"name": alias.name}, part.path)
    if config:
        draft.put((*loc, "config"), config, part.path)
    draft.origins[(*loc, "name")] = part.at("_target_")
    draft.quiet.add((*loc, "config"))
    draft.quiet.add((*loc, "name"))


def _fill(model: Section, family: Family, draft: Draft) -> None:
    """Parts that the file lacks."""
    for key, (ours, _) in family.parts.items():
        loc = (*_NET, ours)
        if draft.at(loc) is None and loc not in draft.origins and ours in draft.at(_NET):
            draft.put(loc, _default_part(ours, family, draft), note="not in the YAML file")
            model.findings.filled.append(f"model.{key}")


_STFT = {"fft_length": 512, "hop_length": 256}


def _default_part(key: str, family: Family, draft: Draft) -> dict[str, Any]:
    """A part for a net that has none; the small sizes train on a CPU."""
    if key in ("encoder", "decoder"):
        other = draft.at((*_NET, "decoder" if key == "encoder" else "encoder", "config"))
        name = "AudioToSpectrogram" if key == "encoder" else "SpectrogramToAudio"
        return {"name": name, "config": dict(other or _STFT)}
    if key == "mask_estimator":
        fft = (draft.at((*_NET, "encoder", "config")) or _STFT).get("fft_length")
        bins = fft // 2 + 1 if isinstance(fft, int) else 257
        outputs = draft.at((*_NET, "num_outputs"))
        return {
            "name": "MaskEstimatorRNN",
            "config": {
                "num_outputs": outputs if isinstance(outputs, int) else 1,
                "num_subbands": bins,
                "num_features": 64,
                "num_layers": 2,
            },
        }
    if key == "mask_processor":
        return {"name": "MaskReferenceChannel", "config": {"ref_channel": 0}}
    if key == "estimator":
        predictive = family.net == "PredictiveEnhancer"
        small = {"channels": [16, 16, 32, 32, 32], "num_res_blocks": 1}
        inputs = {} if predictive else {"in_channels": 2, "conditioned_on_time": True}
        return {"name": "NCSNpp", "config": {**inputs, **small}}
    return {"name": _DEFAULTS[family.net][key], "config": {}}


_DEFAULTS = {
    "ScoreBasedEnhancer": {"process": "OrnsteinUhlenbeckVESDE", "sampler": "PredictorCorrectorSampler"},
    "FlowMatchingEnhancer": {
        "process": "OptimalTransportFlow",
        "sampler": "ConditionalFlowMatchingEulerSampler",
    },
    "SchroedingerBridgeEnhancer": {"process": "SBNoiseScheduleVE", "sampler": "SBSampler"},
}


def draft_loss(model: Section, family: Family, draft: Draft) -> None:
    """The loss: one, or one of spectrograms and one of audio."""
    several = [key for key in ("loss_encoded", "loss_time") if key in model]
    alone = model.section("loss")
    if alone is not None and several:
        model.refuse(several[0], f"expected `loss` or `{several[0]}`, but got both")
    if alone is not None:
        _put_loss(alone, draft, ("loss",))
    weights = {key: model.raw(f"{key}_weight") for key in ("loss_encoded", "loss_time")}
    for key in ("loss_encoded", "loss_time"):
        part = model.section(key)
        if part is None or alone is not None:
            continue
        loc = ("loss", "terms", key.removeprefix("loss_"))
        _put_loss(part, draft, loc, encoded=key == "loss_encoded")
        if weights[key] is not None and draft.at(loc) is not None:
            draft.put((*loc, "weight"), weights[key], model.at(f"{key}_weight"))
    if alone is None and not several and "loss" not in draft.value:
        draft.put(("loss",), dict(family.loss), note="not in the YAML file")
        model.findings.filled.append("model.loss")


def _put_loss(part: Section, draft: Draft, loc: Loc, *, encoded: bool = False) -> None:
    dimensions = part.take("ndim", int, 4 if encoded else 3)
    if dimensions not in (3, 4):
        part.refuse("ndim", f"expected 3 for audio or 4 for spectrograms, but got {dimensions}")
    reduction = part.take("reduction", str, "mean")
    if reduction != "mean":
        part.refuse("reduction", f"expected mean, but got {reduction}")
    _put_part(part, "loss", draft, loc)
    if dimensions == 4 and draft.at(loc) is not None:
        draft.put((*loc, "config", "domain"), "encoded", part.at("ndim"))


def draft_metrics(model: Section, draft: Draft) -> None:
    """The metrics of validations, under their labels; those of tests are left out."""
    metrics = model.section("metrics")
    if metrics is None:
        return
    validation = metrics.section("val")
    for label in validation.remaining() if validation is not None else ():
        part = validation.section(label) if validation is not None else None
        if part is not None:
            _put_metric(part, label, draft)
    test = metrics.section("test")
    for label in test.remaining() if test is not None else ():
        metrics.findings.left_out.append(
            f"{dotted((*metrics.path, 'test', label))}: no metric of validations"
        )
    metrics.close()


def _put_metric(part: Section, label: str, draft: Draft) -> None:
    if label == "loss":
        part.findings.problems.append(
            part.source.problem(
                part.path, "expected no metric called loss, which is always measured", key=True
            )
        )
        return
    key = "_target_" if "_target_" in part else "name"
    target = part.take(key, str, "")
    try:
        name = metric_name(target)
    except LookupError as error:
        part.refuse(key, str(error))
        return
    part.leave_out("metric_using_batch_averaging", why="every example counts alike")
    config = {key: part.raw(key) for key in part.remaining()}
    if isinstance(config.get("metric_func"), str):  # of torchmetrics.functional.audio; no other is imported
        config["metric_func"] = config["metric_func"].rpartition(".")[2]
    loc = ("metrics", "val", label)
    draft.put(loc, {"name": name}, part.path)
    if config:
        draft.put((*loc, "config"), config, part.path)
        draft.quiet.add((*loc, "config"))
