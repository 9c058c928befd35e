"""Jobs that really die, and the cause found. The look-alikes are in test_lookalikes.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the jobs die of Unix's deaths")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: /proc, /dev/full, cgroups")

# ── exceptions ───────────────────────────────────────────────────────────────────────────────


def test_key_error(die: Any, expect: Any) -> None:
    death = die("for epoch in range(3):\n    print('epoch', epoch, 'loss', 0.5)\n{}['label']\n")
    expect(death, "exception", "KeyError: 'label'", error="KeyError", file="job.py", line="3")


def test_message_in_korean(die: Any, expect: Any) -> None:
    cause = expect(
        die("raise ValueError('학습 데이터가 비어 있습니다: 에폭 3')"),
        "exception",
        "ValueError: 학습 데이터가 비어 있습니다: 에폭 3",
    )
    assert cause.evidence.endswith("에폭 3")


def test_exception_of_ones_own(die: Any, expect: Any) -> None:
    job = "class Stop(Exception): pass\ndef main():\n    raise Stop('validation fell')\nmain()\n"
    expect(die(job), "exception", "Stop: validation fell", error="Stop", line="3")


def test_exception_group(die: Any, expect: Any) -> None:
    job = "raise ExceptionGroup('two folds failed', [ValueError('fold 1'), TypeError('fold 2')])"
    expect(die(job), "exception", "ValueError: fold 1", error="ExceptionGroup")


def test_exception_group_with_a_missing_module(die: Any, expect: Any) -> None:
    job = """
import asyncio
async def load():
    import a_module_nobody_has
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(load())
asyncio.run(main())
"""
    expect(die(job), "missing_module", module="a_module_nobody_has")


def test_recursion(die: Any, expect: Any) -> None:
    expect(die("def f(n):\n    return f(n + 1)\nf(0)"), "exception_recursion", "RecursionError")


def test_traceback_longer_than_the_tail(die: Any, expect: Any) -> None:
    """Two functions calling each other are not folded by Python: the head falls off the tail."""
    name = "a_function_with_a_long_name_so_that_the_traceback_exceeds_what_is_read"
    job = f"import sys\nsys.setrecursionlimit(1500)\ndef {name}_1(n):\n    return {name}_2(n + 1)\n"
    job += f"def {name}_2(n):\n    return {name}_1(n + 1)\n{name}_1(0)\n"
    death = die(job)
    assert "Traceback" not in death.ending.log_tail
    expect(death, "exception_recursion", "RecursionError")


def test_unicode_decode_error(die: Any, expect: Any) -> None:
    job = (
        "open('a.csv', 'wb').write('이름'.encode('cp949'))\nopen('a.csv', encoding='utf-8').read()"
    )
    expect(die(job), "exception_encoding", "UnicodeDecodeError: 'utf-8'")


def test_unicode_encode_error(die: Any, expect: Any) -> None:
    env = {"PYTHONIOENCODING": "ascii"}
    expect(die("print('에폭 1')", env=env), "exception_encoding", "UnicodeEncodeError: 'ascii'")


def test_reader_of_a_pipe_gone(die: Any, expect: Any) -> None:
    job = "import os\nr, w = os.pipe()\nos.close(r)\nos.write(w, b'x')"
    expect(die(job), "exception", "BrokenPipeError", error="BrokenPipeError")


def test_missing_file(die: Any, expect: Any) -> None:
    expect(die("open('data/train.csv')"), "exception_file", "data/train.csv", line="1")


def test_no_permission(die: Any, expect: Any) -> None:
    job = """
import os
open("private", "w").close()
os.chmod("private", 0)
if os.getuid() == 0:
    os.chmod(".", 0o755)
    os.seteuid(65534)
open("private")
"""
    expect(die(job), "exception_permission", "PermissionError: [Errno 13]")


def test_too_many_open_files(die: Any, expect: Any) -> None:
    job = "files = [open(__file__) for _ in range(1000)]"
    expect(die(job, before="ulimit -n 64"), "exception_open_files", "[Errno 24]")


def test_nobody_answers(die: Any, expect: Any) -> None:
    job = "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1/weights.bin')"
    expect(die(job, env={"no_proxy": "*"}), "exception_network", "URLError")


def test_syntax_error(die: Any, expect: Any) -> None:
    death = die("for epoch in range(3)\n    print(epoch)\n")
    expect(death, "exception_syntax", "SyntaxError: expected ':'", file="job.py", line="1")


def test_no_such_script(die: Any, expect: Any) -> None:
    death = die(f"{sys.executable} trian.py\n", shell="sh")
    expect(death, "exception_file", "can't open file")


def test_missing_module(die: Any, expect: Any) -> None:
    death = die("import a_module_nobody_has.layers")
    cause = expect(death, "missing_module", "ModuleNotFoundError", module="a_module_nobody_has")
    assert "pip install a_module_nobody_has" in cause.fix


def test_missing_module_that_installs_under_another_name(die: Any, expect: Any) -> None:
    job = "import sys\nsys.modules['cv2'] = None\nsys.path = sys.path[:1]\nimport skimage, cv2"
    expect(die(job), "missing_module", module="skimage", package="scikit-image")


def test_missing_module_of_ones_own(die: Any, expect: Any) -> None:
    expect(die("import utils.metrics"), "missing_module_own", module="utils")


def test_missing_module_run_with_m(die: Any, expect: Any) -> None:
    job = f"{sys.executable} -m a_module_nobody_has --epochs 3\n"
    expect(die(job, shell="sh"), "missing_module", module="a_module_nobody_has")


@linux
def test_missing_system_library(die: Any, expect: Any) -> None:
    job = "import ctypes\nctypes.CDLL('libGLnobody.so.1')"
    expect(die(job), "missing_module_library", module="libGLnobody.so.1")


def test_wrong_version_of_a_package(die: Any, expect: Any) -> None:
    expect(die("from json import loads_fast"), "exception_import", "cannot import name")


def test_raised_from_a_known_cause(die: Any, expect: Any) -> None:
    job = "try:\n    b'x' * (1 << 62)\nexcept MemoryError as error:\n"
    job += "    raise RuntimeError('fold 1') from error\n"
    expect(die(job), "host_oom_refused")


def test_second_error_inside_except(die: Any, expect: Any) -> None:
    job = "try:\n    import a_module_nobody_has\nexcept ImportError:\n    {}['backend']"
    expect(die(job), "exception", "KeyError: 'backend'", error="KeyError")


def test_error_in_a_pool_of_processes(die: Any, expect: Any) -> None:
    job = """
from multiprocessing import Pool
def work(n):
    return {}[n]
if __name__ == "__main__":
    with Pool(2) as pool:
        pool.map(work, range(4))
"""
    expect(die(job), "exception", "KeyError", file="job.py")


def test_process_that_ends_the_main_one(die: Any, expect: Any) -> None:
    job = """
import sys
from multiprocessing import Process
def work():
    raise LookupError("no such fold")
if __name__ == "__main__":
    process = Process(target=work)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""
    expect(die(job), "exception", "LookupError: no such fold")


def test_worker_crashes_in_a_pool(die: Any, expect: Any) -> None:
    job = """
import os
from concurrent.futures import ProcessPoolExecutor
def work(n):
    os._exit(1)
if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        pool.submit(work, 1).result()
"""
    expect(die(job), "exception_worker", "BrokenProcessPool")


def test_script_started_by_a_script(die: Any, expect: Any) -> None:
    job = """
import subprocess, sys
if len(sys.argv) > 1:
    {}["inner"]
subprocess.run([sys.executable, __file__, "inner"], check=True)
"""
    expect(die(job), "exception", "KeyError: 'inner'", line="4")


def test_child_of_a_script_killed(die: Any, expect: Any) -> None:
    job = "import subprocess\nsubprocess.run(['sh', '-c', 'kill -9 $$'], check=True)"
    expect(die(job), "signal_kill", "SIGKILL")


def test_traceback_in_a_box(die: Any, expect: Any) -> None:
    """Rich's traceback, as typer and many trainers install it."""
    pytest.importorskip("rich")
    job = "from rich.console import Console\nfrom rich.traceback import install\n"
    # Wide, because a path broken in two by the box is not put together again.
    job += "install(console=Console(width=200, stderr=True), width=200)\n"
    job += "def f(rows):\n    return rows[7]\nf([])"
    expect(die(job), "exception", "IndexError: list index out of range", file="job.py", line="5")


def test_bar_before_the_traceback(die: Any, expect: Any) -> None:
    pytest.importorskip("tqdm")
    job = "from tqdm import tqdm\nfor i in tqdm(range(9)):\n    if i == 4:\n        1 / 0\n"
    expect(die(job), "exception", "ZeroDivisionError: division by zero", line="4")


def test_remarks_after_the_traceback(die: Any, expect: Any) -> None:
    job = "import atexit\natexit.register(print, 'wrote runs/1/summary.txt')\n{}['lr']"
    expect(die(job), "exception", "KeyError: 'lr'")


def test_traceback_printed_then_left(die: Any, expect: Any) -> None:
    job = """
import os, traceback
def main():
    raise ConnectionError("dataset server")
try:
    main()
except Exception:
    traceback.print_exc()
    os._exit(4)
"""
    expect(die(job), "exception_network", "ConnectionError: dataset server")


def test_cell_of_a_notebook(die: Any, expect: Any) -> None:
    script = "# %% cell 1\nimport math\n\n# %% cell 2\nrows = []\n\nprint(rows[3])\n"
    death = die(script, script=script)
    cause = expect(death, "exception", "IndexError", cell="2", cell_line="3")
    assert "3" in cause.text


def test_cell_of_a_notebook_below_a_library(die: Any, expect: Any) -> None:
    script = "# %% cell 4\nimport json\ntext = '{'\n\n# %% cell 7\njson.loads(text)\n"
    expect(die(script, script=script), "exception", "JSONDecodeError", cell="7", cell_line="1")


def test_secret_in_a_message(die: Any, expect: Any) -> None:
    job = "import os\nraise RuntimeError('login failed: ' + os.environ['WANDB_API_KEY'])"
    cause = expect(die(job, env={"WANDB_API_KEY": "abcdef0123456789"}), "exception")
    assert "abcdef0123456789" not in str(cause.to_json())
    assert "[WANDB_API_KEY]" in cause.evidence


def test_hostile_message(die: Any, expect: Any) -> None:
    job = r"raise RuntimeError('\x1b[31mred\x1b[0m\x07\x00 \u202egnp.exe ' + 'x' * 9000)"
    cause = expect(die(job), "exception", "RuntimeError: red")
    assert len(cause.evidence) <= 300
    assert cause.evidence.isprintable()


# ── numbers ──────────────────────────────────────────────────────────────────────────────────


def test_nan_then_assert(die: Any, expect: Any) -> None:
    job = "import math\nloss = 1e308\nfor _ in range(9):\n    loss = loss * 10 - loss * 10\n"
    job += "    print('loss', loss)\n    assert not math.isnan(loss)\n"
    expect(die(job), "nan_loss", "assert not math.isnan(loss)", line="6")


def test_nan_told_by_the_trainer(die: Any, expect: Any) -> None:
    expect(die("raise ValueError('Loss is NaN at step 120, stopping')"), "nan_loss", "step 120")


def test_nan_printed_then_left(die: Any, expect: Any) -> None:
    """The words and the code of torchvision's reference trainings."""
    job = "import sys\nprint('Loss is nan, stopping training')\nprint({'loss': 'nan'})\nsys.exit(1)"
    expect(die(job), "nan_loss", "Loss is nan")


# ── memory ───────────────────────────────────────────────────────────────────────────────────


def own_peak_gib() -> float:
    """This process's peak: a child's begins with it, since both share memory until that runs."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def check_peak(cause: Any, own_gib: float, low_gib: float, high_gib: float) -> None:
    """The peak told is the job's, to the tenth it is told in, or this process's where higher."""
    peak_gib = float(cause.fields["peak_gib"])
    assert max(low_gib, own_gib) - 0.05 <= peak_gib <= max(high_gib, own_peak_gib()) + 0.05


_EATER = "blocks = []\nwhile True:\n    blocks.append(bytearray(4 << 20))\n"


@linux
def test_memory_refused_under_a_limit(die: Any, expect: Any) -> None:
    expect(die(_EATER, before="ulimit -v 300000"), "host_oom_refused", "MemoryError")


@linux
def test_killed_by_the_kernel_for_memory(die: Any, expect: Any, memory_cgroup: Any) -> None:
    own_gib = own_peak_gib()
    death = die(_EATER, before=f"echo $$ > {memory_cgroup(200 << 20)}/cgroup.procs")
    assert death.ending.signal == signal.SIGKILL
    cause = expect(death, "host_oom", "oom_kill +1 (cgroup)")
    # Resident pages of libraries count for the peak and not for the limit.
    check_peak(cause, own_gib, 0.19, 0.25)


@linux
def test_job_of_a_script_killed_for_memory(die: Any, expect: Any, memory_cgroup: Any) -> None:
    job = f"echo start\n{sys.executable} -c '{_EATER}'\n"
    death = die(job, shell="bash", before=f"echo $$ > {memory_cgroup(64 << 20)}/cgroup.procs")
    assert death.ending.code == 137
    expect(death, "host_oom", "Killed")


@linux
def test_worker_killed_for_memory(die: Any, expect: Any, memory_cgroup: Any) -> None:
    """The main process lives on and only sees that a worker is gone."""
    job = """
from concurrent.futures import ProcessPoolExecutor
def work(n):
    blocks = []
    while True:
        blocks.append(bytearray(4 << 20))
if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        pool.submit(work, 1).result()
"""
    death = die(job, before=f"echo $$ > {memory_cgroup(96 << 20)}/cgroup.procs")
    assert death.ending.code == 1
    expect(death, "host_oom", "terminated abruptly")


@linux
def test_cpp_memory_refused(die: Any, expect: Any) -> None:
    """``operator new`` of the C++ library, with nobody to catch what it throws."""
    try:
        import ctypes

        ctypes.CDLL("libstdc++.so.6")
    except OSError:
        pytest.skip("needs the C++ runtime (libstdc++.so.6)")
    job = "import ctypes\nnew = ctypes.CDLL('libstdc++.so.6')._Znwm\n"
    job += "new.argtypes = [ctypes.c_size_t]\nnew(1 << 62)\n"
    expect(die(job), "host_oom_refused", "std::bad_alloc")


# ── disk ─────────────────────────────────────────────────────────────────────────────────────


@linux
def test_disk_full(die: Any, expect: Any, tiny_disk: Path) -> None:
    job = f"with open({str(tiny_disk / 'ckpt.bin')!r}, 'wb') as f:\n    f.write(bytes(4 << 20))\n"
    expect(die(job), "disk_full", "[Errno 28]")


@linux
def test_device_full(die: Any, expect: Any) -> None:
    job = "with open('/dev/full', 'w') as f:\n    f.write('x')\n    f.flush()\n"
    expect(die(job), "disk_full", "[Errno 28]")


@linux
def test_disk_full_while_copying(die: Any, expect: Any, tiny_disk: Path) -> None:
    job = f"set -e\nhead -c 3000000 /dev/zero > big.bin\ncp big.bin {tiny_disk}/\n"
    expect(die(job, shell="bash"), "disk_full", "No space left on device")


@linux
def test_disk_full_and_the_log_on_it(die: Any, expect: Any, tiny_disk: Path) -> None:
    """Not even the traceback could be written."""
    job = "while True:\n    print('x' * 4095)\n"
    death = die(
        job,
        log=tiny_disk / "job.log",
        disk_free_bytes=lambda: os.statvfs(tiny_disk).f_bavail * os.statvfs(tiny_disk).f_frsize,
    )
    assert death.ending.code == 1
    expect(death, "disk_full_silent", "0 bytes free")


def test_disk_full_then_error_while_cleaning_up(die: Any, expect: Any) -> None:
    job = """
try:
    raise OSError(28, "No space left on device")
finally:
    raise RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 704 vs 598")
"""
    expect(die(job), "disk_full")


def test_disk_full_first_then_another_error(die: Any, expect: Any) -> None:
    job = """
try:
    raise OSError(28, "No space left on device", "ckpt/last.pt")
except OSError:
    open("ckpt/report.txt")
"""
    expect(die(job), "disk_full", "ckpt/last.pt")


def test_file_larger_than_allowed(die: Any, expect: Any) -> None:
    job = "with open('ckpt.bin', 'wb') as f:\n    f.write(bytes(4 << 20))\n"
    expect(die(job, before="ulimit -f 100"), "disk_full_limit", "[Errno 27]")


@linux
def test_shell_command_writes_more_than_allowed(die: Any, expect: Any) -> None:
    job = "head -c 4000000 /dev/zero > big.bin\n"
    death = die(job, shell="bash", before="ulimit -f 100")
    expect(death, "disk_full_limit")


def test_database_full(die: Any, expect: Any) -> None:
    job = """
import sqlite3
with sqlite3.connect("trials.db") as db:
    db.execute("PRAGMA max_page_count = 4")
    db.execute("CREATE TABLE trials (value TEXT)")
    for _ in range(100):
        db.execute("INSERT INTO trials VALUES (?)", ("x" * 4000,))
"""
    expect(die(job), "disk_full", "database or disk is full")


# ── signals ──────────────────────────────────────────────────────────────────────────────────


def test_segmentation_fault(die: Any, expect: Any) -> None:
    death = die("import ctypes\nctypes.string_at(0)")
    assert death.ending.signal == signal.SIGSEGV
    expect(death, "signal_segv", name="SIGSEGV")


def test_segmentation_fault_with_faulthandler(die: Any, expect: Any) -> None:
    death = die("import ctypes\nctypes.string_at(0)", env={"PYTHONFAULTHANDLER": "1"})
    expect(death, "signal_segv", "Fatal Python error: Segmentation fault")


def test_segmentation_fault_told_by_a_shell(die: Any, expect: Any) -> None:
    job = f"{sys.executable} -c 'import ctypes; ctypes.string_at(0)'\n"
    death = die(job, shell="bash")
    assert death.ending.code == 139
    expect(death, "signal_segv", "Segmentation fault")


def test_abort(die: Any, expect: Any) -> None:
    expect(die("import os\nos.abort()"), "signal_abrt", name="SIGABRT")


@linux
def test_abort_of_the_c_library(die: Any, expect: Any) -> None:
    job = "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.free.argtypes = [ctypes.c_void_p]\n"
    job += "libc.free(id(libc) + 8)\n"
    expect(die(job), "signal_abrt", "invalid pointer")


def test_mapped_file_cut_short(die: Any, expect: Any) -> None:
    job = """
import mmap
with open("data.bin", "wb+") as f:
    f.truncate(1 << 20)
    view = mmap.mmap(f.fileno(), 1 << 20)
    f.truncate(0)
    print(view[5000])
"""
    expect(die(job), "signal_bus", name="SIGBUS")


def test_instruction_the_processor_lacks(die: Any, expect: Any) -> None:
    expect(die("import os, signal\nos.kill(os.getpid(), signal.SIGILL)"), "signal_ill")


def test_cpu_time_used_up(die: Any, expect: Any) -> None:
    expect(die("while True: pass", before="ulimit -S -t 1"), "signal_xcpu", name="SIGXCPU")


def test_killed_by_a_stranger(die: Any, expect: Any) -> None:
    own_gib = own_peak_gib()
    job = "block = bytearray(300 << 20)\n" + _SLEEPER
    death = die(job, when="epoch", then=lambda process: process.kill())
    cause = expect(death, "signal_kill", name="SIGKILL")
    check_peak(cause, own_gib, 0.3, 0.35)


def test_terminated_by_a_stranger(die: Any, expect: Any) -> None:
    death = die(_SLEEPER, when="epoch", then=lambda process: process.terminate())
    expect(death, "signal_term", name="SIGTERM")


def test_interrupted_by_a_stranger(die: Any, expect: Any) -> None:
    death = die(_SLEEPER, when="epoch", then=lambda process: process.send_signal(signal.SIGINT))
    expect(death, "signal_int", name="SIGINT")


def test_terminal_closed(die: Any, expect: Any) -> None:
    death = die(_SLEEPER, when="epoch", then=lambda process: process.send_signal(signal.SIGHUP))
    expect(death, "signal_hup")


def test_pipe_closed_under_a_program(die: Any, expect: Any) -> None:
    job = "import os, signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\nr, w = os.pipe()\n"
    expect(die(job + "os.close(r)\nos.write(w, b'x')"), "signal", name="SIGPIPE")


def test_preempted_and_saved(die: Any, expect: Any) -> None:
    """A cluster's SIGTERM: the job saves, says so, and leaves with 143."""
    job = """
import signal, sys, time
def save(number, frame):
    print("checkpoint saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
print("epoch 1")
while True:
    time.sleep(0.05)
"""
    death = die(job, when="epoch", then=lambda p: p.terminate(), stop_honoured=True)
    assert death.ending.code == 143
    expect(death, "signal_saved", name="SIGTERM")


_SLEEPER = "import time\nprint('epoch 1')\nwhile True:\n    time.sleep(0.05)\n"


def test_hang_then_stopped(die: Any, expect: Any) -> None:
    death = die(
        _SLEEPER, when="epoch", then=lambda p: p.send_signal(signal.SIGINT), stop_asked=True
    )
    assert "KeyboardInterrupt" in death.ending.log_tail
    expect(death, "stopped")
    assert not death.cause.failed


def test_stopped_at_the_end_of_the_ladder(die: Any, expect: Any) -> None:
    job = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + _SLEEPER

    def ladder(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGINT)
        process.kill()

    expect(die(job, when="epoch", then=ladder, stop_asked=True), "stopped")


def test_stopped_and_saved(die: Any, expect: Any) -> None:
    job = "import time\nprint('epoch 1')\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n"
    job += "    print('saved')\n"
    death = die(
        job,
        when="epoch",
        then=lambda p: p.send_signal(signal.SIGINT),
        stop_asked=True,
        stop_honoured=True,
    )
    assert death.ending.code == 0
    expect(death, "stopped_saved")


# ── codes ────────────────────────────────────────────────────────────────────────────────────


def test_left_before_any_step(die: Any, expect: Any) -> None:
    death = die("import sys\nprint('no data')\nsys.exit(0)", steps_seen=False)
    cause = expect(death, "no_work")
    assert not cause.failed


def test_left_with_a_sentence(die: Any, expect: Any) -> None:
    job = "import sys\nprint('loading')\nsys.exit('config.yaml has no key model')"
    expect(die(job), "exit_code", "config.yaml has no key model", code="1")


def test_left_without_a_word(die: Any, expect: Any) -> None:
    expect(die("import os\nprint('epoch 1 loss 0.5')\nos._exit(3)"), "exit_code", code="3")


def test_left_without_any_output(die: Any, expect: Any) -> None:
    death = die("import os\nos._exit(7)")
    assert expect(death, "exit_code", code="7").evidence == ""


def test_command_not_found(die: Any, expect: Any) -> None:
    death = die("echo start\npyhton train.py\n", shell="bash")
    expect(death, "exit_code_command", "pyhton: command not found", code="127")


def test_command_not_found_by_another_shell(die: Any, expect: Any) -> None:
    expect(die("pyhton train.py\n", shell="sh"), "exit_code_command", "pyhton: not found")


def test_file_not_executable(die: Any, expect: Any) -> None:
    expect(die("touch train.sh\n./train.sh\n", shell="bash"), "exit_code_executable", "Permission")


def test_wrong_argument(die: Any, expect: Any) -> None:
    job = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr')\n"
    job += "parser.parse_args()"
    death = die(job, "--learning-rate", "3")
    expect(death, "exit_code_usage", "unrecognized arguments: --learning-rate 3", code="2")


def test_orphans_left_behind(die: Any, expect: Any) -> None:
    """Workers outlive the main process and write on into the same log."""
    job = """
import os, sys, time
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    os.close(writer)  # what is left of it dies with main
    os.read(reader, 1)
    print("worker: main is gone")
    os._exit(0)
raise RuntimeError("main gave up")
"""
    expect(die(job), "exception", "RuntimeError: main gave up")
