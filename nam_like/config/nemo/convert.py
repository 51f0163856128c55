"""A whole NeMo file, or a block of one, into drafts of the three JSONs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nam_like.config.errors import ConfigError, Problem, dotted
from nam_like.config.locate import Loc
from nam_like.config.nemo.data import RATE, Loading, draft_data, read_split
from nam_like.config.nemo.draft import Draft
from nam_like.config.nemo.learning import draft_learning
from nam_like.config.nemo.model import (
    FAMILIES,
    draft_loss,
    draft_metrics,
    draft_net,
    draft_preset,
    draft_task,
    family_of,
    names_a_net,
)
from nam_like.config.nemo.optim import draft_optimizer
from nam_like.config.nemo.section import Findings, Section
from nam_like.config.nemo.source import MISSING, Source, read_source
from nam_like.config.nemo.tree import (
    DATASETS,
    check_references,
    override,
    reference,
    resolved,
    settle,
    value_at,
)

__all__ = ["Converted", "convert"]

_TOP = ("name", "hydra", "mode", "do_training", "do_testing", "seed_everything")


@dataclass(frozen=True)
class Converted:
    """What became of a file.

    Attributes:
        source: the file.
        drafts: by the names of the JSONs: ``data``, ``model``, ``learning``, and ``data_test`` where the file
            has a test set.
        missing: paths in the YAML file of values that must still be given.
        left_out: what has no place in our files.
        filled: what the file lacks and we chose.
    """

    source: Source
    drafts: dict[str, Draft]
    missing: tuple[Loc, ...]
    left_out: tuple[str, ...]
    filled: tuple[str, ...]


def convert(path: Path, overrides: Sequence[str] = ()) -> Converted:
    """Read a file and map it.

    Args:
        path: a whole NeMo YAML, or a block of one.
        overrides: ``model.train_ds.manifest_filepath=a.json``.

    Raises:
        ConfigError: every mistake, with its place in the YAML file.
        UserError: the file cannot be read.
    """
    source = read_source(path)
    settle(source)
    for text in overrides:
        override(source, text)
    _raise(check_references(source))
    findings = Findings()
    drafts = _drafts(source, findings)
    _raise([*findings.problems, *_targets_left(source, drafts)])
    for draft in drafts.values():
        _settle_references(source, draft, drafts)
    missing = _missing(drafts)
    for name, draft in drafts.items():
        draft.head += _head(source, findings, name, draft)
    return Converted(source, drafts, missing, tuple(findings.left_out), tuple(findings.filled))


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise ConfigError(problems)


def _drafts(source: Source, findings: Findings) -> dict[str, Draft]:
    top = Section(source, (), source.tree, findings)
    top.leave_out(*_TOP)
    model = top.section("model") or Section(source, ("model",), {}, findings)
    rate = model.take("sample_rate", (int, float), RATE)
    rate_at = None if value_at(source.tree, model.at("sample_rate")) is None else model.at("sample_rate")
    splits: dict[str, Loading | None] = {}
    for key in ("train_ds", "validation_ds", "test_ds"):
        section = model.section(key)
        splits[key] = None if section is None else read_split(section, rate)
    train, validation, test = splits.values()
    drafts = {"data": draft_data(train, validation, rate, rate_at, model)}
    net = Draft("model")
    family = FAMILIES["mask_based"]
    if names_a_net(model):
        family = family_of(model)
        draft_net(model, family, net)
    else:
        draft_preset(model, net)
    draft_task(model, net)
    draft_loss(model, family, net)
    draft_metrics(model, net)
    draft_optimizer(model, net)
    drafts |= {"model": net, "learning": draft_learning(top, model, train, validation, net)}
    if test is not None:
        drafts["data_test"] = draft_data(train, test, rate, rate_at, Section(source, (), {}, Findings()))
        drafts["data_test"].head = [
            "The test set in the place of validation. Training does not use this file."
        ]
        loader = f"; {', '.join(test.loader)} are left out" if test.loader else ""
        findings.left_out.append(f"{dotted(test.path)}: not used in training, but in data_test.json{loader}")
    model.leave_out("log_config", "target", "nemo_version", "nemo_target", "labels", "model_defaults")
    model.close()
    top.close()
    return drafts


def _targets_left(source: Source, drafts: dict[str, Draft]) -> list[Problem]:
    """Targets that no table of ours knows; in our notation they would be imported."""
    found: dict[Loc, None] = {}
    for draft in drafts.values():
        for loc, _ in draft.leaves():
            for depth, part in enumerate(loc):
                if part == "_target_":
                    found[draft.origin_of(loc[: depth + 1]) or loc] = None
    return [
        source.problem(path, "expected no `_target_` here, for nothing is imported by one", key=True)
        for path in found
    ]


def _settle_references(source: Source, draft: Draft, drafts: dict[str, Draft]) -> None:
    """Interpolations become references in our notation, or the values they stand for."""
    others = [item for name, item in drafts.items() if name != "data_test" and item.root != draft.root]
    for loc, value in list(draft.leaves()):
        origin = draft.origin_of(loc)
        if not isinstance(value, str) or "${" not in value or origin is None:
            continue
        target = reference(value, origin)
        found = None if target is None else _placed(source, target, [draft, *others], (draft.root, *loc))
        draft.put(loc, resolved(source.tree, value, origin) if found is None else f"${{{dotted(found)}}}")


def _placed(source: Source, target: Loc, drafts: list[Draft], own: Loc) -> Loc | None:
    """Where a value of the file stands unchanged in a draft, root first."""
    value = value_at(source.tree, target)
    for draft in drafts:
        loc = draft.place_of(target)
        if loc is not None and draft.at(loc) == value and (draft.root, *loc) != own:
            return draft.root, *loc
    return None


def _missing(drafts: dict[str, Draft]) -> tuple[Loc, ...]:
    """Where values must still be given, in the YAML file."""
    return tuple(dict.fromkeys(path for draft in drafts.values() for path in _missing_of(draft)))


def _missing_of(draft: Draft) -> Iterator[Loc]:
    for loc, value in draft.leaves():
        if value == MISSING:
            origin = draft.origin_of(loc)
            yield origin if origin is not None else (draft.root, *loc)


def _head(source: Source, findings: Findings, name: str, draft: Draft) -> list[str]:
    """What a file says at its top: what is about it."""
    lines = [f"From {source.path.name}, a NeMo config; comments name the keys that values come from."]
    for title, items in (("chosen here", findings.filled), ("left out", findings.left_out)):
        lines += [f"{title}: {item}" for item in items if _file_of(item) == name]
    return lines + [f"to be given: {dotted(path)}" for path in _missing_of(draft)]


def _file_of(item: str) -> str:
    """The JSON that a finding, ``path: why``, is about."""
    path = item.partition(":")[0].removeprefix("model.")
    if path.startswith(DATASETS):
        return "data"
    return "model" if item.startswith("model") else "learning"
