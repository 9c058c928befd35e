"""Deaths of the GPU and the cluster, replayed: this machine may have neither.

The process is real and ends as such a process does (an uncaught exception of that very name, or
SIGABRT after the C++ runtime's lines); the text is what the libraries print, from public reports.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the jobs die of Unix's deaths")


def _raising(name: str, message: str, before: str = "") -> str:
    """A job that prints ``before`` and dies of an exception called ``name``."""
    module, _, short = name.rpartition(".")
    bases = "RuntimeError" if short != "RuntimeError" else "Exception"
    job = f"print({before!r})\n" if before else ""
    if module:
        job += f"class {short}({bases}): pass\n{short}.__module__ = {module!r}\n"
    return job + f"def training_step():\n    raise {short}({message!r})\ntraining_step()\n"


def _aborting(text: str) -> str:
    return f"import os\nos.write(2, {text!r}.encode())\nos.abort()\n"


_NCCL = (
    "[rank1]:[E321 02:07:08.408271257 ProcessGroupNCCL.cpp:607] [Rank 1] Watchdog caught collective"
    " operation timeout: WorkNCCL(SeqNum=1580, OpType=ALLREDUCE, NumelIn=466119168,"
    " Timeout(ms)=600000) ran for 600060 milliseconds before timing out.\n"
    "terminate called after throwing an instance of 'c10::DistBackendError'\n"
    "  what():  [PG 1 Rank 1] Process group watchdog thread terminated with exception: [Rank 1]"
    " Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1580, OpType=ALLREDUCE) ran"
    " for 600060 milliseconds before timing out.\n"
    "Exception raised from checkTimeout at ProcessGroupNCCL.cpp:632 (most recent call first):\n"
    + "".join(f"frame #{n}: c10d::ProcessGroupNCCL::watchdog() + 0x1e6\n" for n in range(9))
)
_ASSERTION = (
    "../aten/src/ATen/native/cuda/Loss.cu:250: nll_loss_forward_reduce_cuda_kernel_2d: block:"
    " [0,0,0], thread: [4,0,0] Assertion `t >= 0 && t < n_classes` failed."
)
_ASSERT_MESSAGE = (
    "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported"
    " at some other API call, so the stacktrace below might be incorrect.\nFor debugging consider"
    " passing CUDA_LAUNCH_BLOCKING=1\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side"
    " assertions.\n"
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "torch.OutOfMemoryError",
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.65"
            " GiB of which 1.23 GiB is free. Including non-PyTorch memory, this process has 22.40"
            " GiB memory in use.",
        ),
        ("torch.cuda.OutOfMemoryError", "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0)"),
        ("RuntimeError", "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 11 GiB total)"),
        (
            "RuntimeError",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        ),
        ("RuntimeError", "MPS backend out of memory (MPS allocated: 17.9 GB, max: 18.1 GB)."),
        (
            "jaxlib.xla_extension.XlaRuntimeError",
            "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8589934592 bytes.",
        ),
        (
            "tensorflow.python.framework.errors_impl.ResourceExhaustedError",
            "Graph execution error:\n\nDetected at node conv2d: OOM when allocating tensor with"
            " shape[64,256,56,56]",
        ),
        ("RuntimeError", "step 12 failed: CUDA out of memory. Tried to allocate 1.00 GiB."),
    ],
)
def test_gpu_memory(die: Any, expect: Any, name: str, message: str) -> None:
    expect(die(_raising(name, message, "epoch 1 loss 0.5")), "cuda_oom")


def test_device_assert_over_labels(die: Any, expect: Any) -> None:
    cause = expect(
        die(_raising("torch.AcceleratorError", _ASSERT_MESSAGE, _ASSERTION)),
        "device_assert_labels",
        assertion="t >= 0 && t < n_classes",
    )
    assert "n_classes" in cause.text


def test_device_assert_with_the_assertion_printed_late(die: Any, expect: Any) -> None:
    """The driver's lines come through another buffer, often after the traceback."""
    job = f"import atexit\natexit.register(print, {_ASSERTION!r})\n"
    expect(die(job + _raising("RuntimeError", _ASSERT_MESSAGE)), "device_assert_labels")


def test_device_assert_that_ends_in_an_abort(die: Any, expect: Any) -> None:
    text = "terminate called after throwing an instance of 'c10::Error'\n  what():  "
    expect(die(_aborting(text + _ASSERT_MESSAGE)), "device_assert", "device-side assert")


def test_device_assert_then_an_error_while_saving(die: Any, expect: Any) -> None:
    job = (
        f"try:\n    raise RuntimeError({_ASSERT_MESSAGE!r})\nexcept RuntimeError:\n    {{}}['x']\n"
    )
    expect(die(job), "device_assert")


@pytest.mark.parametrize(
    ("sentence", "name", "message"),
    [
        ("gpu", "RuntimeError", "CUDA error: an illegal memory access was encountered"),
        ("gpu", "RuntimeError", "CUDA error: unspecified launch failure"),
        ("gpu", "RuntimeError", "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        (
            "gpu_build",
            "torch.AcceleratorError",
            "CUDA error: no kernel image is available for execution on the device",
        ),
        ("gpu_none", "AssertionError", "Torch not compiled with CUDA enabled"),
        ("gpu_none", "RuntimeError", "No CUDA GPUs are available"),
        ("gpu_none", "RuntimeError", "CUDA error: invalid device ordinal"),
        (
            "gpu_none",
            "RuntimeError",
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is"
            " False. If you are running on a CPU-only machine, please use torch.load with"
            " map_location=torch.device('cpu') to map your storages to the CPU.",
        ),
    ],
)
def test_gpu_trouble(die: Any, expect: Any, sentence: str, name: str, message: str) -> None:
    expect(die(_raising(name, message)), sentence)


def test_nccl_watchdog(die: Any, expect: Any) -> None:
    expect(die(_aborting(_NCCL)), "nccl", "Watchdog caught collective operation timeout")


def test_nccl_error_of_many_lines(die: Any, expect: Any) -> None:
    message = (
        "NCCL error in: /pytorch/torch/csrc/distributed/NCCLUtils.hpp:268, unhandled cuda"
        " error (run with NCCL_DEBUG=INFO for details), NCCL version 2.21.5\nncclUnhandledCuda"
        "Error: Call to CUDA function failed.\nLast error:\nCuda failure 999 'unknown error'"
    )
    expect(die(_raising("torch.distributed.DistBackendError", message)), "nccl")


def test_rank_that_only_lost_its_peer(die: Any, expect: Any) -> None:
    """Rank 1 dies of a KeyError; rank 0, printed last, only saw the connection close."""
    job = '''
import os
print("""[rank1]: Traceback (most recent call last):
[rank1]:   File "/home/kim/train.py", line 31, in <module>
[rank1]:     main()
[rank1]:   File "/home/kim/train.py", line 17, in main
[rank1]:     label = names[row]
[rank1]: KeyError: 'cat'
[rank0]: Traceback (most recent call last):
[rank0]:   File "/home/kim/train.py", line 31, in <module>
[rank0]:     main()
[rank0]: torch.distributed.DistBackendError: NCCL error in: NCCLUtils.hpp:268, remote process exited
[rank0]: ncclRemoteError: A call failed possibly due to a network error""")
os._exit(1)
'''
    expect(die(job), "exception", "KeyError: 'cat'", file="train.py", line="17")


@pytest.mark.parametrize(
    ("exitcode", "sentence"),
    [("1       (pid: 125)", "exception_labels"), ("-11     (pid: 125)", "signal_segv")],
)
def test_launcher_reports_its_root_cause(
    die: Any, expect: Any, exitcode: str, sentence: str
) -> None:
    others = "".join(
        f"[{n}]:\n  time      : 2026-11-20_12:00:01\n  rank      : {n + 1} (local_rank: {n + 1})\n"
        f"  exitcode  : -15 (pid: {n})\n  error_file: <N/A>\n  traceback : Signal 15 received\n"
        for n in range(1, 16)
    )
    job = f'''
import os
print("""[rank1]: Traceback (most recent call last):
[rank1]:   File "/home/kim/train.py", line 31, in <module>
[rank1]:     loss = criterion(out, y)
[rank1]: IndexError: Target 5 is out of bounds.
[rank0]: Traceback (most recent call last):
[rank0]:   File "/home/kim/train.py", line 31, in <module>
[rank0]:     loss.backward()
[rank0]: KeyError: 'other'
W1120 12:00:00.000000 123 torch/distributed/elastic/api.py:897] Sending process 124 signal SIGTERM
E1120 12:00:00.000000 123 torch/distributed/elastic/api.py:869] failed (exitcode: 1) local_rank: 1
Traceback (most recent call last):
  File "/venv/bin/torchrun", line 8, in <module>
    sys.exit(main())
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:\x20
============================================================
train.py FAILED
------------------------------------------------------------
Failures:
{others}------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-20_12:00:00
  host      : gpu01
  rank      : 1 (local_rank: 1)
  exitcode  : {exitcode}
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
============================================================""")
os._exit(1)
'''
    expect(die(job), sentence)


@pytest.mark.parametrize(
    ("sentence", "name", "message"),
    [
        ("disk_full_quota", "OSError", "[Errno 122] Disk quota exceeded: '/home/kim/ckpt/3.pt'"),
        (
            "disk_full",
            "safetensors_rust.SafetensorError",
            "Error while serializing: I/O error: No space left on device (os error 28)",
        ),
        (
            "shm",
            "RuntimeError",
            "unable to write to file </torch_12_3625483894_0>: No space left on device (28)",
        ),
        (
            "host_oom",
            "ray.exceptions.OutOfMemoryError",
            "Task was killed due to the node running low on memory.",
        ),
        (
            "exception_login",
            "huggingface_hub.errors.GatedRepoError",
            "401 Client Error. Cannot access gated repo for url https://huggingface.co/x/resolve",
        ),
        (
            "exception_network",
            "OSError",
            "We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find"
            " them in the cached files.\nCheck your internet connection or see how to run the"
            " library in offline mode.",
        ),
        (
            "missing_module",
            "RuntimeError",
            "Failed to import transformers.trainer because of the following error (look up to see"
            " its traceback):\nNo module named 'tf_keras'",
        ),
        (
            "exception_device",
            "RuntimeError",
            "Expected all tensors to be on the same device, but found at least two devices, cuda:0"
            " and cpu!",
        ),
    ],
)
def test_other_words(die: Any, expect: Any, sentence: str, name: str, message: str) -> None:
    expect(die(_raising(name, message)), sentence)
