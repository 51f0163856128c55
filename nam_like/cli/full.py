"""Train from three JSON files. Nothing is written before all of them are found to be right."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from nam_like._version import __version__
from nam_like.cli.console import DONE, EXIT_CODES, INTERRUPTED, HelpFormatter, guarded

__all__ = ["main"]

EXAMPLES = """examples:
  nam_full data.json model.json learning.json out
  nam_full data.json model.json learning.json out --no-show
  nam_full data.json model.json learning.json out --set learning.trainer.max_epochs=20
  nam_full data.json model.json learning.json out --resume

what comes out, in out/<date and time>/ and out/latest/:
  model.nam (realtime plugins), model.ts (TorchScript), comparison.png, report.html,
  metrics.csv, checkpoints/, the three JSONs as they were understood, run.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", metavar="data.json", help="the recordings")
    parser.add_argument("model", metavar="model.json", help="net, loss, optimiser, learning-rate schedule")
    parser.add_argument(
        "learning", metavar="learning.json", help="loaders, trainer, callbacks, seed, exports"
    )
    parser.add_argument("outdir", help="folder for runs; each gets a subfolder of its own")
    parser.add_argument("-ns", "--no-show", action="store_true", help="write plots, but open no windows")
    parser.add_argument("-np", "--no-plots", action="store_true", help="make neither plots nor report")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="override one value before validation, as in learning.trainer.max_epochs=5; ~PATH removes it",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="last",
        metavar="last|best|PATH",
        help="continue the latest run in outdir (last: the default), or a checkpoint",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar; warnings and the result only")
    parser.add_argument("--no-extensions", action="store_true", help="load no extensions")


def run(arguments: argparse.Namespace) -> int:
    """Load extensions, read the files, train, export."""
    from nam_like.startup import collector_resting, load_torch_library, set_variables

    set_variables()
    with collector_resting():
        from nam_like import extensions
        from nam_like.config.reading import read_files

        if not arguments.no_extensions:
            extensions.load_extensions()
        quiet = ["learning.trainer.enable_progress_bar=false"] if arguments.quiet else []
        overrides = [*quiet, *arguments.overrides]
        files = read_files(arguments.data, arguments.model, arguments.learning, overrides)
        load_torch_library()  # not sooner: what is misspelt is told without
        from nam_like.config.run import check_run

        run_config = check_run(files)
        from nam_like.train.full import run as train

    if arguments.quiet:  # after the import, which sets the level itself
        for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)
    result = train(
        run_config,
        arguments.outdir,
        show=not arguments.no_show,
        plots=not arguments.no_plots,
        resume=arguments.resume,
        command=sys.argv,
    )
    if arguments.quiet:
        esr = result.handed_on.best["metrics"].get("ESR") if result.handed_on is not None else None
        print(result.folder if esr is None else f"{result.folder}  ESR {esr:.4g}")
    return INTERRUPTED if result.interrupted else DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``nam_full`` with `argv` (default: the command line) and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="nam_full",
        description=__doc__,
        epilog=f"{EXAMPLES}\n\n{EXIT_CODES}",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nam_like {__version__}")
    add_arguments(parser)
    return guarded(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
