"""Seeds that are read from generators, containers and jobs that are read from what the platform leaves, lock files, conda."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from runlore.snapshot.host import container, scheduler
from runlore.snapshot.packages import conda_packages, lock_file
from runlore.snapshot.seeds import RandomStates, seeds

ID = "0123456789abcdef" * 4


@pytest.fixture
def generators() -> Iterator[None]:
    """The global generators are put back as they were."""
    python, old = random.getstate(), numpy.random.get_state()
    yield
    random.setstate(python)
    numpy.random.set_state(old)


@pytest.mark.usefixtures("generators")
@pytest.mark.parametrize("seed", [0, 1, 42, 20_260_101, 2**32 - 1])
@pytest.mark.parametrize("drawn", [0, 1, 311, 900])
def test_seeds_are_found_until_hundreds_of_numbers_were_drawn(seed: int, drawn: int) -> None:
    random.seed(seed)
    numpy.random.seed(seed)
    for _ in range(drawn):
        random.random()
    numpy.random.rand(drawn)
    assert seeds(RandomStates.current(), {}) == {"numpy": seed, "python": seed}


@pytest.mark.usefixtures("generators")
def test_what_is_no_seed_is_not_said_to_be_one() -> None:
    random.seed("a text")
    numpy.random.seed(None)
    assert seeds(RandomStates.current(), {"PYTHONHASHSEED": "0", "PL_GLOBAL_SEED": ""}) == {"PYTHONHASHSEED": "0"}
    numpy.random.seed([1, 2, 3])
    random.seed(2**32)
    assert seeds(RandomStates.current(), {}) == {}


FILES = {
    ".dockerenv": "",
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": f"600 590 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n",
    "run/.containerenv": f'engine="podman-4.3"\nname="lab"\nid="{ID}"\nimage="docker.io/library/python:3.12"\n',
    "var/run/secrets/kubernetes.io/serviceaccount/namespace": "ml\n",
}


@pytest.mark.parametrize(
    ("files", "variables", "expected"),
    [
        ([], {}, None),
        ([".dockerenv", "proc/self/cgroup", "proc/self/mountinfo"], {}, {"kind": "docker", "id": ID}),
        (["run/.containerenv"], {}, {"kind": "podman", "id": ID, "name": "lab", "image": "docker.io/library/python:3.12"}),
        (
            ["var/run/secrets/kubernetes.io/serviceaccount/namespace"],
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "train-7f9c"},
            {"kind": "kubernetes", "pod": "train-7f9c", "namespace": "ml"},
        ),
        ([], {"APPTAINER_CONTAINER": "/images/torch.sif"}, {"kind": "apptainer", "image": "/images/torch.sif"}),
        ([], {"container": "lxc"}, {"kind": "lxc"}),
    ],
)
def test_containers(tmp_path: Path, files: list[str], variables: dict[str, str], expected: dict[str, str] | None) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(FILES[name])
    assert container(variables, tmp_path) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"JOB_NAME": "jenkins", "JOB_ID": "3"}, None),
        (
            {"SLURM_JOB_ID": "812", "SLURM_ARRAY_TASK_ID": "4", "SLURM_JOB_NODELIST": "gpu[01-04]", "SLURM_NTASKS": "8"},
            {"kind": "slurm", "job": "812", "array_task": "4", "nodes": "gpu[01-04]", "tasks": "8"},
        ),
        ({"LSB_JOBID": "9", "LSB_QUEUE": "gpu"}, {"kind": "lsf", "job": "9", "queue": "gpu"}),
        ({"SGE_CELL": "default", "JOB_ID": "3"}, {"kind": "grid engine", "job": "3", "cell": "default"}),
    ],
)
def test_jobs_of_schedulers(variables: dict[str, str], expected: dict[str, str] | None) -> None:
    assert scheduler(variables) == expected


def test_lock_files_from_the_nearest_directory_up(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert lock_file(inner, tmp_path) is None
    for place, name in ((tmp_path, "uv.lock"), (tmp_path, "requirements.txt"), (inner.parent, "requirements-gpu.txt")):
        (place / name).write_text("numpy==2.0\n")
    assert lock_file(tmp_path, tmp_path) == tmp_path / "uv.lock"
    assert lock_file(inner, tmp_path) == inner.parent / "requirements-gpu.txt"


def test_conda_packages_of_every_language(tmp_path: Path) -> None:
    assert conda_packages(str(tmp_path)) == {}
    (tmp_path / "conda-meta").mkdir()
    for name in ("libstdcxx-ng-13.2.0-hc0a3c3a_7.json", "cuda-nvcc-12.4.131-0.json", "history"):
        (tmp_path / "conda-meta" / name).write_text("{}")
    assert conda_packages(str(tmp_path)) == {"cuda-nvcc": "12.4.131=0", "libstdcxx-ng": "13.2.0=hc0a3c3a_7"}
