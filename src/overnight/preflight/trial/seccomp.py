"""Hears of each file a trial is about to write, from the kernel, before it is written.

A filter on system calls (seccomp) stops the job where it opens for writing, renames or removes,
tells the listener, and lets the call go on once what is there was put aside; where that cannot be
done the call is answered with an error, and the file stays. It sees every process of the job
and every library, whatever language it is written in, needs no privilege, and costs nothing where
nothing is written. Linux 5.5 and later, x86-64 and ARM64.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import re
import select
import struct
import sys
import threading
from collections.abc import Callable

from overnight.preflight.trial.aside import Aside

assert sys.platform != "win32"

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_LOAD, _JUMP_EQUAL, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
#: ioctl numbers of linux/seccomp.h; the sizes of its two structures stand in them.
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_GO_ON = 1
_NOTICE_BYTES = 80
_AT_FDCWD = -100
_PATH_BYTES = 4096
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_POLL_MS = 500
#: Linux before could not let a call go on.
_SINCE = 5, 5

#: Machine → its number for filters, of seccomp(2), and of the calls: name → number.
#: From the kernel's unistd tables; ARM64 has only the calls that name a folder.
_MACHINES = {
    "x86_64": (0xC000003E, 317, {
        "open": 2, "creat": 85, "openat": 257, "truncate": 76, "rename": 82, "renameat": 264,
        "renameat2": 316, "unlink": 87, "unlinkat": 263, "rmdir": 84, "mkdir": 83, "mkdirat": 258,
        "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266,
    }),
    "aarch64": (0xC00000B7, 277, {
        "openat": 56, "truncate": 45, "renameat": 38, "renameat2": 276, "unlinkat": 35,
        "mkdirat": 34, "linkat": 37, "symlinkat": 36,
    }),
}  # fmt: skip
#: Which argument holds the flags of a call that opens.
_FLAGS_AT = {"open": 1, "openat": 2}


def is_supported() -> bool:
    """Whether this machine's kernel offers it."""
    if platform.system() != "Linux" or platform.machine() not in _MACHINES:
        return False
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    if release is None or (int(release[1]), int(release[2])) < _SINCE:
        return False
    try:
        with open("/proc/sys/kernel/seccomp/actions_avail", encoding="ascii") as file:
            return "user_notif" in file.read().split()
    except OSError:
        return False


def install() -> int:
    """Puts the filter on this process and all it will start; the listener's descriptor.

    Raises:
        OSError: The kernel or a container does not allow it.
    """
    arch, number, calls = _MACHINES[platform.machine()]
    program = _program(arch, calls)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    libc.syscall.restype = ctypes.c_long
    fd: int = libc.syscall(
        ctypes.c_long(number), ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(_NEW_LISTENER),
        ctypes.c_char_p(header),
    )  # fmt: skip
    if fd < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return fd


def _program(arch: int, calls: dict[str, int]) -> bytes:
    """The filter: other calls, and opening to read, go straight on."""

    def line(code: int, yes: int, no: int, value: int) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    opens = [(calls[name], at) for name, at in _FLAGS_AT.items() if name in calls]
    others = [number for name, number in calls.items() if name not in _FLAGS_AT]
    body: list[bytes] = []
    # Behind the body stand: allow, notify. Each jump counts the lines it leaves out.
    num_body = len(others) + 4 * len(opens)
    for number in others:
        left = num_body - len(body) - 1
        body.append(line(_JUMP_EQUAL, left + 1, 0, number))
    for number, at in opens:
        left = num_body - len(body) - 1
        body.append(line(_JUMP_EQUAL, 0, 3, number))
        body.append(line(_LOAD, 0, 0, 16 + 8 * at))  # the low half of that argument
        body.append(line(_JUMP_BITS, left - 1, left - 2, _WRITES))
        body.append(line(_RETURN, 0, 0, _ALLOW))
    head = [
        line(_LOAD, 0, 0, 4),
        line(_JUMP_EQUAL, 1, 0, arch),
        line(_RETURN, 0, 0, _ALLOW),
        line(_LOAD, 0, 0, 0),
    ]
    return b"".join([*head, *body, line(_RETURN, 0, 0, _ALLOW), line(_RETURN, 0, 0, _NOTIFY)])


class Listener:
    """Answers the calls of one trial, in a thread, after ``aside`` has done its part.

    Args:
        fd: What :func:`install` gave; closed at the end.
        aside: Told of each call before it happens.
    """

    def __init__(self, fd: int, aside: Aside) -> None:
        self._fd = fd
        self._aside = aside
        self._names = {
            number: name for name, number in _MACHINES[platform.machine()][2].items()
        }  # fmt: skip
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True, name="trial-listener")
        self._thread.start()

    def close(self) -> None:
        """Stops listening; the job must have ended."""
        self._over.set()
        self._thread.join()
        os.close(self._fd)

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        while not self._over.is_set():
            for _, events in poll.poll(_POLL_MS):
                if events & select.POLLIN:
                    self._answer()
                elif events & select.POLLHUP:  # nobody is left who could call
                    return

    def _answer(self) -> None:
        notice = bytearray(_NOTICE_BYTES)
        try:
            fcntl.ioctl(self._fd, _RECEIVE, notice)
        except OSError:  # the caller was killed, or a signal came in between
            return
        key, pid, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", notice)
        refused = self._refusal(self._names[number], pid, arguments)
        answer = bytearray(struct.pack("QqiI", key, 0, -refused, 0 if refused else _GO_ON))
        try:
            fcntl.ioctl(self._fd, _ANSWER, answer)
        except OSError as error:
            if error.errno != errno.ENOENT:  # the caller was killed meanwhile
                raise

    def _refusal(self, name: str, pid: int, arguments: list[int]) -> int:
        """The error a call is answered with; 0 where it may go on."""
        try:
            self._tell(name, pid, arguments)
        except _NoPathError:
            return 0
        except OSError as error:
            return error.errno or errno.EACCES
        return 0

    def _tell(self, name: str, pid: int, arguments: list[int]) -> None:
        def path(at: int, folder_at: int | None = None) -> str:
            folder = _AT_FDCWD if folder_at is None else arguments[folder_at]
            return _path(pid, arguments[at], ctypes.c_int32(folder).value)

        aside = self._aside
        make: Callable[[str], None] = aside.before_make
        match name:
            case "open":
                aside.before_open(path(0), arguments[1])
            case "openat":
                aside.before_open(path(1, 0), arguments[2])
            case "creat":
                aside.before_open(path(0), os.O_CREAT | os.O_TRUNC)
            case "truncate":
                aside.before_open(path(0), 0)
            case "rename":
                aside.before_rename(path(0), path(1))
            case "renameat" | "renameat2":
                aside.before_rename(path(1, 0), path(3, 2))
            case "unlink" | "rmdir":
                aside.before_remove(path(0))
            case "unlinkat":
                aside.before_remove(path(1, 0))
            case "mkdir":
                make(path(0))
            case "mkdirat":
                make(path(1, 0))
            case "link" | "symlink":
                make(path(1))
            case "linkat":
                make(path(3, 2))
            case "symlinkat":
                make(path(2, 1))
            case _:
                raise AssertionError(name)


class _NoPathError(Exception):
    """The caller gave none that the kernel can read either; the call itself will say so."""


def _path(pid: int, address: int, folder: int) -> str:
    """A path in another process's memory, as an absolute one.

    Raises:
        OSError: This process is not let at it.
    """
    data = b""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        while len(data) < _PATH_BYTES and b"\0" not in data:
            # Never past the end of a page: the next one may not be there.
            size = _PATH_BYTES - (address + len(data)) % _PATH_BYTES
            try:
                memory.seek(address + len(data))
                part = memory.read(size)
            except (OSError, OverflowError) as error:
                raise _NoPathError from error
            if not part:
                break
            data += part
    name = os.fsdecode(data.partition(b"\0")[0])
    if not name:
        raise _NoPathError
    if os.path.isabs(name):
        return name
    place = "cwd" if folder == _AT_FDCWD else f"fd/{folder}"
    try:
        return os.path.join(os.readlink(f"/proc/{pid}/{place}"), name)
    except FileNotFoundError as error:  # no such descriptor
        raise _NoPathError from error
