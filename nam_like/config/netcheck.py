"""Build the net and ask it what only a built net can tell: does it fit together, can it be exported?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nam_like.config.component import Component, component
from nam_like.config.errors import ConfigError, Problem
from nam_like.config.importable import importable
from nam_like.config.learning import DEFAULT_EXPORTS
from nam_like.errors import UserError

if TYPE_CHECKING:
    from nam_like.config.learning import LearningConfig
    from nam_like.config.run import RunConfig

__all__ = ["check_net", "exporters_for"]


def check_net(run: RunConfig) -> Any:
    """Build the net of a run and make sure that each requested exporter can express it.

    The net's initial weights come from the global random state: seed it before.

    Returns:
        The net, ready to train.

    Raises:
        ConfigError: the net cannot be built, or an exporter cannot serve it; placed in its JSON.
    """
    with importable(run.folders):
        try:
            net = run.model.net.build()
        except (Exception, SystemExit) as error:
            text = str(error)
            if not isinstance(error, UserError | ValueError):
                text = f"expected a net that can be built, but got {type(error).__name__}: {error}"
            raise run.error("model", ("net", *run.model.net.config_at), " ".join(text.split())) from error
        problems = _export_problems(run, net)
    if problems:
        raise ConfigError(problems)
    return net


def exporters_for(learning: LearningConfig, net: Any) -> list[Component]:
    """The exporters of a run: those the learning JSON names, or the default ones that the net serves."""
    if learning.export is not None:
        return list(learning.export)
    served = getattr(net, "exports", frozenset({"torchscript"}))
    return [component("exporter", name) for name in DEFAULT_EXPORTS if name in served]


def _export_problems(run: RunConfig, net: Any) -> list[Problem]:
    named = run.learning.export is not None
    exporters = exporters_for(run.learning, net)
    net_at = ("net", *run.model.net.config_at)
    if not exporters and not named:
        message = (
            f"expected a net that nam or torchscript can export, but got {type(net).__name__}; name another "
            'exporter in `export` of the learning JSON, or "export": [] for none'
        )
        return [run.sources["model"].problem(("net",), message)]
    problems = []
    for index, exporter in enumerate(exporters):
        served = getattr(net, "exports", None)
        obstacles = exporter.build().obstacles(net)
        if named and served is not None and exporter.name not in served and obstacles:
            at = ("export", index)
            problems.append(run.sources["learning"].problem(at, _refusal(exporter, obstacles[0])))
            continue
        hint = "" if named else "; `export` in the learning JSON can leave it out"
        problems += [
            run.sources["model"].problem(net_at, _refusal(exporter, reason) + hint) for reason in obstacles
        ]
    return problems


def _refusal(exporter: Component, reason: str) -> str:
    return f"expected a net that '{exporter.name}' can export as it trains, but got: {reason}"
