"""Jobs whose logs hold the words of a famous death, and that end well or die of something else."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the jobs die of Unix's deaths")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: cgroups")

#: Raises what torch raises; nothing of torch is needed for its words.
_GPU = """
class OutOfMemoryError(RuntimeError): pass
OutOfMemoryError.__module__ = "torch"
def forward():
    raise OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 7.79 GiB"
    )
"""


def test_caught_gpu_memory_then_well(die: Any, expect: Any) -> None:
    job = _GPU + "import traceback\ntry:\n    forward()\nexcept RuntimeError:\n"
    job += "    traceback.print_exc()\nprint('epoch 1 loss 0.4')\n"
    expect(die(job), "finished")


def test_caught_gpu_memory_at_the_very_end_then_well(die: Any, expect: Any) -> None:
    job = _GPU + "import traceback\ntry:\n    forward()\nexcept RuntimeError:\n"
    expect(die(job + "    traceback.print_exc()\n"), "finished")


def test_caught_gpu_memory_then_key_error(die: Any, expect: Any) -> None:
    job = _GPU + "import traceback\ntry:\n    forward()\nexcept RuntimeError:\n"
    job += "    traceback.print_exc()\nfor e in range(3):\n    print('epoch', e)\n{}['label']\n"
    expect(die(job), "exception", "KeyError: 'label'")


def test_caught_gpu_memory_then_key_error_at_once(die: Any, expect: Any) -> None:
    job = (
        _GPU + "try:\n    forward()\nexcept RuntimeError as error:\n    print(error)\n{}['label']\n"
    )
    expect(die(job), "exception", "KeyError: 'label'")


def test_caught_gpu_memory_then_another_code(die: Any, expect: Any) -> None:
    job = _GPU + "import os, traceback\ntry:\n    forward()\nexcept RuntimeError:\n"
    job += "    traceback.print_exc()\nprint('falling back to the CPU')\nos._exit(3)\n"
    expect(die(job), "exit_code", "falling back to the CPU", code="3")


def test_caught_gpu_memory_then_trained_on_then_code_1(die: Any, expect: Any) -> None:
    job = _GPU + "import sys, traceback\ntry:\n    forward()\nexcept RuntimeError:\n"
    job += "    traceback.print_exc()\nprint('epoch 1 loss 0.4')\nsys.exit('accuracy below 0.9')\n"
    expect(die(job), "exit_code", "accuracy below 0.9")


def test_gpu_memory_in_the_text_of_a_key_error(die: Any, expect: Any) -> None:
    job = "{}['CUDA out of memory. Tried to allocate 20.00 MiB']"
    expect(die(job), "exception", "KeyError", error="KeyError")


def test_gpu_memory_quoted_by_another_runtime_error(die: Any, expect: Any) -> None:
    job = "raise RuntimeError('the note \"CUDA out of memory\" has no date')"
    expect(die(job), "exception", error="RuntimeError")


def test_gpu_memory_in_a_thread_then_missing_file(die: Any, expect: Any) -> None:
    job = _GPU + "import threading\nt = threading.Thread(target=forward)\nt.start()\nt.join()\n"
    expect(die(job + "open('labels.csv')\n"), "exception_file", "labels.csv")


def test_error_in_a_thread_while_main_ends_well(die: Any, expect: Any) -> None:
    job = _GPU + "import threading\nt = threading.Thread(target=forward)\nt.start()\nt.join()\n"
    expect(die(job + "print('accuracy 0.98')\n"), "finished")


def test_error_in_a_destructor(die: Any, expect: Any) -> None:
    """Python prints "Exception ignored in" and a traceback, and goes on."""
    job = "import os\nclass Loader:\n    def __del__(self):\n        raise OSError(28, 'full')\n"
    job += "x = Loader()\ndel x\nprint('done')\nos._exit(5)\n"
    expect(die(job), "exit_code", code="5")


def test_disk_words_then_key_error(die: Any, expect: Any) -> None:
    job = "print('cp: error writing: No space left on device')\n{}['fold']"
    expect(die(job), "exception", "KeyError: 'fold'")


def test_disk_words_long_before_a_code(die: Any, expect: Any) -> None:
    job = "import os\nprint('cp: ckpt: No space left on device')\nfor i in range(9):\n"
    job += "    print('epoch', i, 'loss', 0.5)\nos._exit(6)\n"
    expect(die(job), "exit_code", "epoch 8", code="6")


def test_optional_import_logged_then_code_1(die: Any, expect: Any) -> None:
    job = """
import logging, sys
logging.basicConfig()
try:
    import a_module_nobody_has
except ImportError:
    logging.exception("apex is not there, using torch's own")
for step in range(30):
    print(f"step {step}: loss=0.3")
sys.exit("accuracy below the one required")
"""
    expect(die(job), "exit_code", "accuracy below the one required")


def test_nan_losses_then_terminated(die: Any, expect: Any) -> None:
    job = "import time\nfor i in range(5):\n    print(f'epoch {i} loss: nan')\ntime.sleep(60)\n"
    death = die(job, when="epoch 4", then=lambda process: process.terminate())
    expect(death, "signal_term")


def test_nan_losses_then_well(die: Any, expect: Any) -> None:
    expect(die("print('Loss is nan, stopping training')"), "finished")


def test_nan_in_a_name(die: Any, expect: Any) -> None:
    expect(die("raise ValueError('unknown loss nan_mse')"), "exception", error="ValueError")


def test_nan_in_the_data(die: Any, expect: Any) -> None:
    """scikit-learn's message: the data hold a NaN, no loss went wrong."""
    expect(die("raise ValueError('Input X contains NaN.')"), "exception", "Input X contains NaN")


def test_segmentation_words_then_killed(die: Any, expect: Any) -> None:
    job = "import os\nprint('Segmentation fault (core dumped)')\nos.kill(os.getpid(), 9)"
    death = die(job)
    assert death.ending.signal == signal.SIGKILL
    assert expect(death, "signal_kill").evidence == ""


def test_killed_word_then_well(die: Any, expect: Any) -> None:
    expect(die("echo Killed\necho 'oom-kill: Out of memory'\n", shell="bash"), "finished")


def test_shared_memory_words_then_wrong_argument(die: Any, expect: Any) -> None:
    job = "import sys\nprint('DataLoader worker (pid 7) is killed by signal: Bus error.')\n"
    job += "print('job.py: error: --lr must be positive', file=sys.stderr)\nsys.exit(2)\n"
    expect(die(job), "exit_code_usage", "--lr must be positive")


def test_traceback_as_training_data(die: Any, expect: Any) -> None:
    """A language model prints tracebacks for a living."""
    job = '''
import sys
sample = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
    import a_module_nobody_has
ModuleNotFoundError: No module named 'a_module_nobody_has'
"""
for step in range(4):
    print(sample)
    print(f"step {step} loss 2.1")
sys.exit("stopped: perplexity above 30")
'''
    expect(die(job), "exit_code", "perplexity above 30")


def test_prose_about_tracebacks(die: Any, expect: Any) -> None:
    job = "print('Traceback (most recent call last): is what Python prints')\nraise SystemExit(9)"
    expect(die(job), "exit_code", code="9")


def test_stopped_while_the_log_is_full_of_words(die: Any, expect: Any) -> None:
    job = _GPU + "import signal, time\nprint('No space left on device')\n"
    job += "def leave(*_):\n    forward()\nsignal.signal(signal.SIGINT, leave)\nprint('ready')\n"
    death = die(
        job + "time.sleep(60)\n",
        when="ready",
        then=lambda process: process.send_signal(signal.SIGINT),
        stop_asked=True,
    )
    assert death.ending.code == 1
    expect(death, "stopped")


_CHILD_EATER = """
import subprocess, sys
eat = "blocks = []\\nwhile True: blocks.append(bytearray(4 << 20))"
done = subprocess.run([sys.executable, "-c", eat])
print("the probe ended with", done.returncode)
"""


@linux
def test_helper_killed_for_memory_then_well(die: Any, expect: Any, memory_cgroup: Any) -> None:
    death = die(_CHILD_EATER, before=f"echo $$ > {memory_cgroup(64 << 20)}/cgroup.procs")
    assert death.ending.oom_kills.job
    expect(death, "finished")


@linux
def test_helper_killed_for_memory_then_key_error(die: Any, expect: Any, memory_cgroup: Any) -> None:
    job = _CHILD_EATER + "{}['batch_size']\n"
    death = die(job, before=f"echo $$ > {memory_cgroup(64 << 20)}/cgroup.procs")
    assert death.ending.oom_kills.job
    expect(death, "exception", "KeyError: 'batch_size'")


def test_code_above_128_that_is_no_signal(die: Any, expect: Any) -> None:
    expect(die("import os\nos._exit(255)"), "exit_code", code="255")
