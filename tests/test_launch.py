"""Batch scripts for SLURM, run by bash with stand-ins for SLURM's commands."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nam_like.errors import UserError
from nam_like.launch import SlurmJob, SubmitError, device_overrides, sbatch_script, submit, write_script

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are bash's")


def job(tmp_path: Path, **changed: object) -> SlurmJob:
    values: dict[str, object] = {
        "name": "amp",
        "outdir": tmp_path / "my runs",
        "command": ["python", "-m", "nam_like", "train", "a b.json", "--set", "x.y=1"],
        "workdir": tmp_path,
        **changed,
    }
    return SlurmJob(**values)  # type: ignore[arg-type]


def header(script: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]


def test_the_header_asks_for_what_was_asked(tmp_path: Path) -> None:
    full = job(
        tmp_path,
        nodes=2,
        gpus_per_node=4,
        cpus_per_task=8,
        time="1-12:00:00",
        partition="gpu",
        account="me",
        grace=60,
        options=("--constraint=a100",),
    )
    assert header(sbatch_script(full)) == [
        "--job-name=amp",
        "--nodes=2",
        "--ntasks-per-node=4",
        "--cpus-per-task=8",
        "--gpus-per-node=4",
        "--time=1-12:00:00",
        "--partition=gpu",
        "--account=me",
        f'--output="{tmp_path}/my runs/slurm/%x_%j.log"',
        "--open-mode=append",
        "--requeue",
        "--signal=B:USR1@60",
        "--constraint=a100",
    ]
    plain = header(sbatch_script(job(tmp_path, gpus_per_node=0, requeue=False)))
    assert "--ntasks-per-node=1" in plain
    assert "--no-requeue" in plain
    assert not any(line.startswith(("--gpus", "--time", "--signal", "--partition")) for line in plain)


def test_devices_of_the_run_are_those_of_the_job() -> None:
    assert device_overrides({}, 2, 4) == [
        "learning.trainer.accelerator=gpu",
        "learning.trainer.devices=4",
        "learning.trainer.num_nodes=2",
        "learning.trainer.strategy=ddp",
    ]
    assert device_overrides({"strategy": "fsdp"}, 1, 2)[-1] == "learning.trainer.num_nodes=1"
    assert device_overrides({}, 1, 0) == [
        "learning.trainer.accelerator=cpu",
        "learning.trainer.devices=1",
        "learning.trainer.num_nodes=1",
    ]
    assert device_overrides({"strategy": "auto"}, 3, 0)[-1] == "learning.trainer.strategy=ddp"


class Cluster:
    """Stand-ins for srun, scancel, scontrol and sbatch, which write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.calls = folder / "calls"
        self.folder.mkdir()
        for name in ("scancel", "scontrol"):
            self.add(name, f'echo "{name} $*" >> {self.calls}')
        self.environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "42"}

    def add(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def said(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def run(self, script: Path) -> int:
        return subprocess.run(["bash", str(script)], env=self.environment, timeout=30, check=False).returncode


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    made = Cluster(tmp_path)
    made.add("srun", f'printf "%s|" srun "$@" >> {made.calls}; echo >> {made.calls}; exit 7')
    return made


def test_a_job_ends_as_its_run_does(tmp_path: Path, cluster: Cluster) -> None:
    script = write_script(job(tmp_path, setup=("export GREETING='good morning'",)))
    assert script == tmp_path / "my runs" / "slurm" / "amp.sbatch"
    assert cluster.run(script) == 7
    assert cluster.said() == [
        "srun|--cpus-per-task=1|--kill-on-bad-exit=1|python|-m|nam_like|train|a b.json|--set|x.y=1|"
    ]
    assert "export GREETING='good morning'" in script.read_text()
    assert cluster.run(write_script(job(tmp_path, requeue=False))) == 7


def test_a_later_start_resumes_from_what_the_job_has_written(tmp_path: Path, cluster: Cluster) -> None:
    outdir = tmp_path / "my runs"

    def checkpoint(run: str, age: float) -> Path:
        path = outdir / run / "checkpoints" / "last.ckpt"
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    checkpoint("of another job", 1000.0)
    script = write_script(job(tmp_path))
    cluster.run(script)
    cluster.run(script)
    assert "--resume" not in "".join(cluster.said())
    mark = outdir / "slurm" / "42.started"
    os.utime(mark, (time.time() - 500, time.time() - 500))
    checkpoint("first", 300.0)
    newest = checkpoint("second", 200.0)
    cluster.run(script)
    assert cluster.said()[-1].endswith(f"--resume|{newest}|")


def test_the_first_start_can_resume_too(tmp_path: Path, cluster: Cluster) -> None:
    cluster.run(write_script(job(tmp_path, resume="/elsewhere/a run")))
    assert cluster.said()[-1].endswith("--resume|/elsewhere/a run|")


@pytest.mark.parametrize(("status", "queued"), [(130, True), (0, False)])
def test_a_run_whose_time_is_up_saves_and_is_queued_again(
    tmp_path: Path, cluster: Cluster, status: int, queued: bool
) -> None:
    """The stand-in for srun waits for SIGTERM, which that for scancel sends it, and takes a while to end."""
    pid = tmp_path / "pid"
    cluster.add(
        "srun",
        f"trap 'sleep 0.3; echo saved >> {cluster.calls}; exit {status}' TERM\n"
        f"echo $$ > {pid}.new; mv {pid}.new {pid}\nwhile true; do sleep 0.05; done",
    )
    cluster.add("scancel", f'echo "scancel $*" >> {cluster.calls}; kill -TERM $(cat {pid})')
    process = subprocess.Popen(["bash", str(write_script(job(tmp_path)))], env=cluster.environment)
    deadline = time.monotonic() + 20
    while not pid.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(timeout=20) == status
    assert cluster.said() == [
        "scancel --signal=TERM 42",
        "saved",
        *(["scontrol requeue 42"] if queued else []),
    ]


def test_submitting(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    script = write_script(job(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="expected SLURM's command `sbatch` for --submit"):
        submit(script)
    monkeypatch.setenv("PATH", cluster.environment["PATH"])
    cluster.add("sbatch", f'echo "sbatch $*" >> {cluster.calls}; echo "1234;cluster"')
    assert submit(script) == "1234"
    assert cluster.said() == [f"sbatch --parsable {script}"]
    cluster.add("sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    with pytest.raises(SubmitError, match=r"sbatch refused .*: sbatch: error: invalid partition"):
        submit(script)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"nodes": 0}, "expected `--nodes` to be at least 1, but got 0"),
        ({"gpus_per_node": -1}, "expected `--gpus-per-node` to be at least 0, but got -1"),
        ({"cpus_per_task": 0}, "expected `--cpus-per-task` to be at least 1"),
        ({"time": "two hours"}, "expected `--time` as minutes"),
        ({"time": "1:2"}, "expected `--time` as minutes"),
        ({"partition": "my gpus"}, "expected `--partition` to be a word without spaces, but got 'my gpus'"),
        ({"name": "bash"}, "expected another `--name` than 'bash'"),
        ({"options": ("constraint=a100",)}, "an option that begins with -"),
    ],
)
def test_what_slurm_would_not_understand(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        job(tmp_path, **changed)


@pytest.mark.parametrize("text", ["90", "90:30", "12:00:00", "2-12", "2-12:30", "2-12:30:00"])
def test_times_as_slurm_spells_them(tmp_path: Path, text: str) -> None:
    assert f"--time={text}" in header(sbatch_script(job(tmp_path, time=text)))


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, nam_like.launch; print(sorted({'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
