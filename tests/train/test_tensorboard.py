"""TensorBoard is begun with the first value, and holds it then."""

import subprocess
import sys

from nam_like.train.tensorboard import LateTensorBoard


def scalars(folder):
    """The values in a folder, read by TensorBoard itself."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }


def test_nothing_is_made_before_a_value(tmp_path):
    logger = LateTensorBoard(save_dir=tmp_path, name="", version="tensorboard")
    assert logger.experiment is not None  # as the trainer asks for it before training
    logger.save()
    logger.finalize("success")
    assert list(tmp_path.iterdir()) == []


def test_values_are_written(tmp_path):
    logger = LateTensorBoard(save_dir=tmp_path, name="", version="tensorboard")
    early = logger.experiment
    logger.save()
    logger.log_metrics({"loss": 0.5}, step=3)
    early.add_scalar("by hand", 0.25, 4)  # a callback may have kept it
    assert logger.experiment is logger.experiment
    logger.finalize("success")
    assert scalars(tmp_path / "tensorboard") == {"loss": [(3, 0.5)], "by hand": [(4, 0.25)]}


def test_tensorboard_is_imported_with_the_first_value(tmp_path):
    code = f"""
import sys
from nam_like.train.tensorboard import LateTensorBoard
logger = LateTensorBoard(save_dir={str(tmp_path)!r}, name="", version="tensorboard")
logger.experiment
logger.save()
assert "torch.utils.tensorboard" not in sys.modules
logger.log_metrics({{"loss": 0.5}}, step=0)
assert "torch.utils.tensorboard" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
