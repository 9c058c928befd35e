"""Deaths PyTorch dies of without a GPU: raised by PyTorch itself, not replayed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: /dev/shm, signals, tmpfs"),
    pytest.mark.skipif(
        importlib.util.find_spec("torch") is None, reason="needs PyTorch: pip install torch"
    ),
]


@pytest.mark.parametrize(
    ("sentence", "line"),
    [
        ("exception_shape", "torch.ones(2, 3) @ torch.ones(2, 3)"),
        ("exception_shape", "torch.nn.Conv2d(3, 4, 3)(torch.ones(1, 1, 8, 8))"),
        (
            "exception_labels",
            "torch.nn.functional.cross_entropy(torch.ones(1, 3), torch.tensor([5]))",
        ),
        ("exception_checkpoint", "torch.nn.Linear(2, 2).load_state_dict({})"),
        ("host_oom_refused", "torch.empty(10**15)"),
        ("gpu_none", "torch.ones(1).cuda()"),
        ("nan_loss", "torch.distributions.Categorical(logits=torch.tensor([float('nan')]))"),
    ],
)
def test_one_line(die: Any, expect: Any, sentence: str, line: str) -> None:
    death = die(f"import torch\n{line}\n", env={"CUDA_VISIBLE_DEVICES": ""})
    expect(death, sentence, file="job.py", line="2")


def test_nan_in_the_backward_pass(die: Any, expect: Any) -> None:
    job = """
import torch
torch.autograd.set_detect_anomaly(True)
x = torch.zeros(1, requires_grad=True)
(torch.sqrt(x) * 0).sum().backward()
"""
    expect(die(job), "nan_loss", "returned nan values")


def test_checkpoint_on_a_full_disk(die: Any, expect: Any, tiny_disk: Path) -> None:
    path = str(tiny_disk / "last.pt")
    job = f"import torch\ntorch.save({{'w': torch.ones(1 << 20)}}, {path!r})\n"
    expect(die(job), "disk_full", "inline_container")


def test_checkpoint_cut_short(die: Any, expect: Any) -> None:
    job = """
import os, torch
torch.save({"w": torch.ones(1 << 16)}, "last.pt")
os.truncate("last.pt", 1 << 16)
torch.load("last.pt")
"""
    expect(die(job), "exception_checkpoint")


_LOADER = """
import os, signal, sys
import torch
from torch.utils.data import DataLoader, Dataset

class Images(Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, i):
        %s
        return torch.zeros(3, 128, 128)

if __name__ == "__main__":
    for batch in DataLoader(Images(), batch_size=16, num_workers=2):
        print("batch", tuple(batch.shape))
"""


def test_error_in_a_data_loaders_worker(die: Any, expect: Any) -> None:
    death = die(_LOADER % "{'a.png': 0}[f'{i}.png']")
    assert "Caught KeyError in DataLoader worker" in death.ending.log_tail
    expect(death, "exception", "KeyError: '0.png'", file="job.py", line="10")


def test_data_loaders_worker_killed(die: Any, expect: Any) -> None:
    death = die(_LOADER % "os.kill(os.getpid(), signal.SIGKILL)")
    expect(death, "signal_kill", "DataLoader worker")


def test_data_loaders_worker_killed_for_memory(die: Any, expect: Any, memory_cgroup: Any) -> None:
    job = _LOADER % "blocks = [bytearray(4 << 20) for _ in range(10**6)]"
    death = die(job, before=f"echo $$ > {memory_cgroup(1200 << 20)}/cgroup.procs")
    expect(death, "host_oom")


def test_data_loaders_worker_crashes(die: Any, expect: Any) -> None:
    death = die(_LOADER % "os.kill(os.getpid(), signal.SIGSEGV)")
    expect(death, "signal_segv", "DataLoader worker")


def test_data_loaders_worker_leaves(die: Any, expect: Any) -> None:
    expect(die(_LOADER % "os._exit(0)"), "exception_worker", "exited unexpectedly")


def test_shared_memory_too_small(die: Any, expect: Any) -> None:
    """A container's /dev/shm, made by a mount namespace of the job's own."""
    probe = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run(
            [unshare, "-m", "sh", "-c", probe], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("needs root to give a job a /dev/shm of its own")
    job = f"exec unshare -m sh -c '{probe} && exec {sys.executable} loader.py'\n"
    (die.folder / "loader.py").write_text(_LOADER % "pass", encoding="utf-8")
    expect(die(job, shell="sh"), "shm")


def test_launched_by_torchrun(die: Any, expect: Any) -> None:
    job = """
import os
import torch.distributed as dist
dist.init_process_group("gloo")
if dist.get_rank() == 1:
    {}["label"]
dist.barrier()
"""
    (die.folder / "train.py").write_text(job, encoding="utf-8")
    launcher = (
        f"{sys.executable} -m torch.distributed.run --standalone --nproc_per_node 2 train.py\n"
    )
    death = die(launcher, shell="sh", env={"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"})
    assert "ChildFailedError" in death.ending.log_tail
    expect(death, "exception", "KeyError: 'label'", file="train.py", line="6")


def test_worker_of_torchrun_crashes(die: Any, expect: Any) -> None:
    job = "import ctypes, os\nif os.environ['RANK'] == '0':\n    ctypes.string_at(0)\n"
    (die.folder / "train.py").write_text(job, encoding="utf-8")
    launcher = (
        f"{sys.executable} -m torch.distributed.run --standalone --nproc_per_node 2 train.py\n"
    )
    expect(die(launcher, shell="sh", env={"OMP_NUM_THREADS": "1"}), "signal_segv")


def test_spawned_process_fails(die: Any, expect: Any) -> None:
    job = """
import torch.multiprocessing as mp
def work(rank):
    raise LookupError(f"no shard for rank {rank}")
if __name__ == "__main__":
    mp.spawn(work, nprocs=1)
"""
    expect(die(job), "exception", "LookupError: no shard for rank 0", file="job.py", line="4")


def test_spawned_process_killed(die: Any, expect: Any) -> None:
    job = """
import os
import torch.multiprocessing as mp
def work(rank):
    os.kill(os.getpid(), 9)
if __name__ == "__main__":
    mp.spawn(work, nprocs=1)
"""
    expect(die(job), "signal_kill", "ProcessExitedException")


def test_peer_that_never_comes(die: Any, expect: Any) -> None:
    job = """
from datetime import timedelta
import torch.distributed as dist
dist.TCPStore("127.0.0.1", 0, world_size=2, is_master=True, timeout=timedelta(seconds=1))
"""
    expect(die(job), "nccl", "Timed out")


def test_caught_shape_error_then_well(die: Any, expect: Any) -> None:
    job = "import torch, traceback\ntry:\n    torch.ones(2, 3) @ torch.ones(2, 3)\n"
    expect(die(job + "except RuntimeError:\n    traceback.print_exc()\n"), "finished")
