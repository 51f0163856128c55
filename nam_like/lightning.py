"""Import Lightning without what it only names: in a sixth of the time."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from importlib.metadata import version
from typing import Any

from nam_like.deferred import attach, calling, class_of, constant, defer, exempting, telling, withdraw

__all__ = ["VARIABLE", "defer_compiler", "import_lightning"]

log = logging.getLogger(__name__)

#: ``off`` imports Lightning in the ordinary way, to find out whether something is due to ours.
VARIABLE = "NAM_LIKE_DEFERRED_IMPORTS"


def import_lightning() -> None:
    """Import ``pytorch_lightning``, unless that was done before; see :mod:`nam_like.deferred`."""
    if "pytorch_lightning" in sys.modules:
        return
    if _allowed():
        try:
            defer_compiler()
            _defer()
            import pytorch_lightning
        except Exception as error:  # a version that asks in another way
            log.debug("Lightning could not be imported without its rarely used parts: %r", error)
            withdraw("pytorch_lightning", "lightning_fabric", "torchmetrics")
        attach()
    import pytorch_lightning  # noqa: F401


def defer_compiler() -> None:
    """Put the compiler of torch in place unexecuted: making and stepping an optimizer asks for it."""
    import torch  # noqa: F401 - parent of what is deferred

    if _allowed():
        # Is this a module that torch.compile made? Leave this function alone when compiling. Do not compile
        # across this point: asked by Lightning when it is imported, by torch in each optimizer step.
        defer("torch._dynamo", {"OptimizedModule": class_of, "disable": exempting, "graph_break": telling})


def _allowed() -> bool:
    return os.environ.get(VARIABLE, "").lower() not in ("off", "0", "false", "no")


def _defer() -> None:
    """Put what Lightning names in place unexecuted."""
    # Lightning makes one metric class; the other metrics need SciPy's signal processing, text and images.
    defer(
        "torchmetrics",
        {
            "Metric": constant(_metric),
            "MetricCollection": class_of,
            "__version__": constant(lambda: version("torchmetrics")),
            "_logger": constant(lambda: logging.getLogger("torchmetrics")),
        },
        apart=["torchmetrics.metric", "torchmetrics.utilities"],
    )
    # What metrics draw themselves with; it pulls in Matplotlib.
    answers = {"_AX_TYPE": class_of, "_PLOT_OUT_TYPE": class_of, "plot_single_or_multi_val": calling}
    defer("torchmetrics.utilities.plot", answers)
    # Counts operations for a model summary; it pulls in Triton.
    defer("torch.utils.flop_counter", {"FlopCounterMode": class_of})


def _metric() -> Any:
    """The base class of all metrics, without those."""
    importlib.import_module("torchmetrics.utilities")
    return importlib.import_module("torchmetrics.metric").Metric
