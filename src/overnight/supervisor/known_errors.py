"""Errors that training jobs die of, and what each means: one row per form a library prints.

A row counts only for an exception of the types that raise it, and only where its words open the
message. ``KeyError: 'CUDA out of memory'`` is a KeyError.

A row's sentence is its kind, or its kind and a variant (``disk_full_quota``); the catalogue has a
text and a fix for each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# torch.AcceleratorError is what torch 2.8 and later raise for errors of the device.
_TORCH = frozenset({"RuntimeError", "AcceleratorError"})
_GPU_MEMORY = _TORCH | {
    "OutOfMemoryError",
    "CUDARuntimeError",
    "ResourceExhaustedError",
    "InternalError",
    "XlaRuntimeError",
    "JaxRuntimeError",
    "XGBoostError",
    "CatBoostError",
}
_COLLECTIVE = _TORCH | {
    "DistBackendError",
    "DistNetworkError",
    "DistStoreError",
    "DistError",
    "RendezvousTimeoutError",
    "RendezvousConnectionError",
}
_FILE = frozenset({"OSError", "IOError", "RuntimeError", "HDF5ExtError"})
_NAN = frozenset(
    {"RuntimeError", "ValueError", "FloatingPointError", "AssertionError", "Exception"}
)
_ANY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KnownError:
    """One row. Named groups of ``pattern`` become the cause's fields."""

    sentence: str
    types: frozenset[str]
    pattern: re.Pattern[str]


def _row(sentence: str, types: frozenset[str], pattern: str, flags: int = 0) -> KnownError:
    return KnownError(sentence, types, re.compile(pattern, flags))


#: The first row that fits an exception wins, so what says more comes first.
KNOWN_ERRORS: tuple[KnownError, ...] = (
    # memory of the machine
    _row(
        "host_oom_refused", frozenset({"MemoryError", "_ArrayMemoryError", "ArrowMemoryError"}), ""
    ),
    _row("host_oom_refused", frozenset({"bad_alloc", "bad_array_new_length"}), ""),
    _row("host_oom_refused", _TORCH, r"\[enforce fail at alloc_cpu.{0,200}can't allocate memory"),
    _row("host_oom_refused", _TORCH, r"unable to mmap \d+ bytes from file <(?!/torch_)"),
    _row("host_oom_refused", frozenset({"OSError", "BlockingIOError"}), r"\[Errno 12\]"),
    _row("host_oom", frozenset({"OutOfMemoryError"}), r".{0,200}the node running low on memory"),
    # memory of the accelerator
    _row(
        "cuda_oom",
        _GPU_MEMORY,
        r"(?:CUDA|HIP|XPU|NPU|MPS backend) out of memory"
        r"|CUDA error: out of memory|cuda runtime error \(2\)"
        r"|(?:CUDA error: )?CUBLAS_STATUS_ALLOC_FAILED|cuDNN error: CUDNN_STATUS_ALLOC_FAILED"
        r"|RESOURCE_EXHAUSTED: Out of memory|.{0,80}OOM when allocating tensor"
        r"|Out of memory allocating [\d,]+ bytes|.{0,400}cudaErrorMemoryAllocation"
        # Wrapped by somebody's own RuntimeError: only with the amount behind it.
        r"|.{0,400}(?:CUDA|HIP) out of memory\. Tried to allocate \d",
    ),
    _row(
        "device_assert",
        _TORCH,
        r"(?:CUDA error|HIP error|cuda runtime error \(\d+\) ?): ?device-side assert",
    ),
    _row(
        "gpu_none",
        _TORCH | {"AssertionError", "ValueError"},
        r"Found no NVIDIA driver|No CUDA GPUs are available|Torch not compiled with CUDA enabled"
        r"|Attempting to deserialize object on a CUDA device but"
        r" torch\.cuda\.is_available\(\) is False"
        r"|CUDA driver initialization failed|The NVIDIA driver on your system is too old"
        r"|CUDA error: (?:invalid device ordinal|CUDA driver version is insufficient"
        r"|no CUDA-capable)",
    ),
    _row("gpu_build", _TORCH, r"CUDA error: (?:no kernel image is available|the provided PTX)"),
    _row(
        "gpu",
        _TORCH | {"CUDARuntimeError", "CudaAPIError", "XlaRuntimeError", "JaxRuntimeError"},
        r"(?:CUDA|HIP) (?:driver )?error|cuDNN error|CUBLAS_STATUS_|cudaError|CUDA_ERROR_"
        r"|CUDA unknown error|Unexpected error from cudaGetDeviceCount",
    ),
    # several processes
    _row(
        "nccl",
        _COLLECTIVE,
        r"NCCL (?:error|communicator|Error)|nccl\w+Error|.{0,200}NCCL error in:"
        r"|.{0,200}Watchdog caught collective operation timeout"
        r"|.{0,200}(?:Connection closed by peer|Timed out waiting \d+ms for (?:recv"
        r"|send) operation)"
        r"|\[.{0,300}gloo/transport|Gloo connectFullMesh failed|Connection reset by peer"
        r"|Timed out after \d+ seconds waiting for clients"
        r"|The client socket has (?:timed out|failed)"
        r"|The server socket has failed to (?:listen|bind)",
    ),
    _row("nccl", _COLLECTIVE - _TORCH, ""),
    # shared memory
    _row("shm", _TORCH, r"DataLoader worker \(pid.{0,80} is killed by signal: Bus error"),
    _row(
        "shm",
        _FILE,
        r"unable to (?:open shared memory object|write to file) </torch_"
        r"|unable to mmap \d+ bytes from file </torch_"
        r"|unable to allocate shared memory|\[Errno 28\].{0,80}'/?(?:dev/shm|psm_)",
    ),
    # disk
    _row(
        "disk_full",
        _FILE | {"SafetensorError", "OperationalError", "ArrowIOError", "BlockingIOError", "Error"},
        r"\[Errno 28\]|.{0,400}No space left on device|database or disk is full|.{0,200}StorageFull"
        r"|\[enforce fail at inline_container.{0,80}(?:PytorchStreamWriter failed writing"
        r"|unexpected pos)"
        r"|PytorchStreamWriter failed writing|basic_ios::clear: iostream error",
    ),
    _row(
        "disk_full_quota", _FILE | {"SafetensorError"}, r"\[Errno 122\]|.{0,400}Disk quota exceeded"
    ),
    _row("disk_full_limit", _FILE, r"\[Errno 27\]"),
    # numbers
    _row(
        "nan_loss",
        _NAN,
        r".{0,120}?(?:\bloss(?:es)?\b|손실).{0,60}?\b(?:nan|inf|infinite|non-?finite|not finite)\b",
        re.IGNORECASE,
    ),
    _row(
        "nan_loss",
        _NAN,
        r"Function '\w{1,120}' returned nan values in its \d+th output"
        r"|(?:NaN|Inf|Non-finite|non-finite) (?:or inf )?(?:loss|gradients?|grad norm)"
        r"|The total norm of order .{1,40} for gradients from .{0,40} is non-finite"
        r"|Current loss scale already at minimum|Minimum loss scale reached"
        r"|Expected parameter .{1,200} found invalid values",
    ),
    # what is not installed
    _row(
        "missing_module",
        frozenset({"ModuleNotFoundError", "ImportError", "RuntimeError"}),
        r"No module named '?(?P<module>[^\W\d][\w.]{0,100})(?:'|$)",
    ),
    _row(
        "missing_module_library",
        frozenset({"ImportError", "OSError"}),
        r"(?P<module>[\w.+-]{1,100}\.so[\w.]{0,20}): cannot open shared object file",
    ),
    _row(
        "exception_import",
        frozenset({"ImportError", "AttributeError", "PackageNotFoundError"}),
        r"cannot import name |.{0,200}(?:Please run:? |[Rr]un )`{0,2}pip install"
        r"|.{1,200} (?:is|are) required .{0,80}but found|partially initialized module"
        r"|module '(?:numpy|torch|pandas)(?:\.\w+)*' has no attribute"
        r"|No package metadata was found",
    ),
    # workers of a data loader or a pool
    _row(
        "exception_worker",
        _TORCH | {"BrokenProcessPool", "TerminatedWorkerError", "ProcessExitedException"},
        r"DataLoader worker \(pid|Pin memory thread exited"
        r"|A (?:child )?process in the process pool|A worker process managed"
        r"|process \d+ terminated with",
    ),
    # mistakes a beginner can put right
    _row(
        "exception_labels",
        frozenset({"IndexError"}),
        r"Target -?\d+ is out of bounds|index out of range in self",
    ),
    _row(
        "exception_shape",
        frozenset({"RuntimeError", "ValueError", "InvalidArgumentError"}),
        r".{0,20}mat1 and mat2 shapes cannot|.{0,20}mat1 and mat2 must|The size of tensor a"
        r"|shape '\[|Sizes of tensors must match"
        r"|Given groups=|Expected input batch_size|stack expects each tensor"
        r"|operands could not be broadcast"
        r"|matmul: Input operand|Given normalized_shape"
        r"|Expected .{1,40}input.{1,40} but got|shapes .{1,80} not aligned"
        r"|cannot reshape array|Target size|Using a target size",
    ),
    _row(
        "exception_device",
        _TORCH,
        r"Expected all tensors to be on the same device|Input type \(.{1,80}\) and weight type \(",
    ),
    _row(
        "exception_checkpoint",
        frozenset(
            {
                "RuntimeError",
                "UnpicklingError",
                "IndexError",
                "EOFError",
                "SafetensorError",
                "BadZipFile",
            }
        ),
        r"Error\(s\) in loading state_dict|Weights only load failed"
        r"|PytorchStreamReader failed|Ran out of input"
        r"|invalid load key|pickle data was truncated|Error while deserializing header"
        r"|File is not a zip file",
    ),
    _row(
        "exception_file",
        frozenset({"FileNotFoundError", "NotADirectoryError", "IsADirectoryError"}),
        "",
    ),
    _row("exception_permission", frozenset({"PermissionError"}), ""),
    _row(
        "exception_open_files",
        frozenset({"OSError", "RuntimeError"}),
        r"\[Errno 24\]|received \d+ items of ancdata|Too many open files",
    ),
    _row("exception_syntax", frozenset({"SyntaxError", "IndentationError", "TabError"}), ""),
    _row("exception_recursion", frozenset({"RecursionError"}), ""),
    _row("exception_encoding", frozenset({"UnicodeDecodeError", "UnicodeEncodeError"}), ""),
    _row(
        "exception_login",
        _ANY,
        r"(?:401|403) Client Error|.{0,200}gated repo|api_key not configured"
        r"|No API key configured|.{0,120}Invalid (?:user )?token",
        re.IGNORECASE,
    ),
    _row(
        "exception_login",
        frozenset({"GatedRepoError", "LocalTokenNotFoundError", "AuthenticationError"}),
        "",
    ),
    _row(
        "exception_network",
        frozenset(
            {
                "URLError",
                "ConnectionError",
                "ConnectTimeout",
                "ReadTimeout",
                "ConnectError",
                "SSLError",
                "LocalEntryNotFoundError",
                "gaierror",
                "MaxRetryError",
                "OfflineModeIsEnabled",
            }
        ),
        "",
    ),
    _row("exception_network", frozenset({"OSError"}), r"We couldn't connect to '?https?://"),
)

#: Lines a program prints instead of a traceback, looked for among the very last ones.
#: A row with exit codes counts only for those.
KNOWN_LINES: tuple[tuple[KnownError, frozenset[int]], ...] = (
    (
        _row(
            "missing_module",
            _ANY,
            r"\S{0,300}python\S{0,20}: No module named '?(?P<module>[^\W\d][\w.]{0,100})",
        ),
        frozenset({1}),
    ),
    (
        _row(
            "missing_module_library",
            _ANY,
            r".{1,300}error while loading shared libraries: (?P<module>[\w.+-]{1,100}):"
            r" cannot open",
        ),
        frozenset({127}),
    ),
    (
        _row(
            "exit_code_command",
            _ANY,
            r".{1,500}: (?:command )?not found$|zsh: command not found: "
            r"|\S{0,100}env: .{1,200}: No such file",
        ),
        frozenset({127}),
    ),
    (
        _row(
            "exception_file",
            _ANY,
            r"\S{0,300}python\S{0,20}: can't open file '.{1,500}': \[Errno 2\]",
        ),
        frozenset({2}),
    ),
    (
        _row(
            "exit_code_executable",
            _ANY,
            r".{1,500}: (?:Permission denied|cannot execute|Is a directory|Exec format error)",
        ),
        frozenset({126}),
    ),
    (_row("disk_full", _ANY, r".{1,500}: No space left on device(?: \(\d+\))?$"), frozenset()),
    (_row("disk_full_quota", _ANY, r".{1,500}: Disk quota exceeded$"), frozenset()),
    (_row("host_oom_refused", _ANY, r".{1,300}: Cannot allocate memory$"), frozenset()),
    (
        _row("nan_loss", _ANY, r"Loss is (?:nan|inf|-inf), stopping training$", re.IGNORECASE),
        frozenset({1}),
    ),
    # The last line of our own trainer (docs/log-lines.md).
    (
        _row(
            "nan_loss",
            _ANY,
            r"\[ERROR\] .{0,200}(?:\bloss\b|손실).{0,60}?\b(?:nan|-?inf|infinite|not finite)\b",
            re.IGNORECASE,
        ),
        frozenset({1}),
    ),
    (_row("exit_code_said", _ANY, r"\[ERROR\] (?P<said>.{1,300})"), frozenset({1, 2})),
    (
        _row("cuda_oom", _ANY, r"(?:[\w.: -]{0,80}: )?CUDA out of memory\. Tried to allocate \d"),
        frozenset(),
    ),
    (
        _row(
            "exit_code_usage",
            _ANY,
            r"\S{1,200}: error: |Error: (?:No such (?:option|command)|Missing (?:argument"
            r"|option)|Invalid value)|Usage: ",
        ),
        frozenset({2}),
    ),
)

#: Import name → name to install, where they differ.
PACKAGE_OF = {
    "Crypto": "pycryptodome",
    "IPython": "ipython",
    "MeCab": "mecab-python3",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "efficientnet_pytorch": "efficientnet-pytorch",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "hydra": "hydra-core",
    "imblearn": "imbalanced-learn",
    "magic": "python-magic",
    "mpl_toolkits": "matplotlib",
    "pkg_resources": "setuptools",
    "pl_bolts": "lightning-bolts",
    "pytorch_lightning": "pytorch-lightning",
    "segmentation_models_pytorch": "segmentation-models-pytorch",
    "sentence_transformers": "sentence-transformers",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "torch_geometric": "torch-geometric",
    "umap": "umap-learn",
    "yaml": "PyYAML",
}

#: Names people give to their own files: not to be had from an index, and installing whatever
#: bears such a name there would run a stranger's code.
# fmt: off
OWN_MODULES = frozenset({
    "augmentation", "common", "conf", "config", "configs", "core", "data", "dataloader",
    "dataset", "engine", "eval", "evaluate", "helper", "helpers", "layers", "lib", "loader",
    "loss", "losses", "main", "metrics", "model", "models", "modules", "net", "network",
    "networks", "options", "params", "preprocess", "settings", "src", "test", "tools", "train",
    "trainer", "transforms", "util", "utils",
})
# fmt: on

#: Exceptions that only say that another program failed; its own last words come before.
WRAPPERS = frozenset(
    {"ChildFailedError", "CalledProcessError", "ProcessExitedException", "ProcessRaisedException"}
)

#: In ``except`` after one of these, whatever is tried next fails too: the first is the cause.
LASTING = frozenset({"disk_full", "device_assert", "gpu", "shm"})

#: What the C library calls a signal (``strsignal``), as torch's data loader quotes it.
SIGNAL_WORDS = {
    "Killed": "SIGKILL",
    "Terminated": "SIGTERM",
    "Segmentation fault": "SIGSEGV",
    "Aborted": "SIGABRT",
    "Bus error": "SIGBUS",
    "Illegal instruction": "SIGILL",
    "Floating point exception": "SIGFPE",
    "Interrupt": "SIGINT",
}
