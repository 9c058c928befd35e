"""What a trial would overwrite is put aside first, and put back afterwards.

A file's own inode is what is put aside: it is linked into a folder of the same file system, and an
empty file (or a copy, where the job goes on writing behind what is there) takes its name. So a
model of 100 GB costs nothing, and what comes back is the very file, times and all.

Every step stands in a journal before it is taken: a trial that was killed is undone later. What
cannot be put aside is refused: the job gets an error, and the file stays as it is.
Standard library and Python 3.9 syntax: where the kernel cannot help, this runs inside the job.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
import sys
from typing import BinaryIO

assert sys.platform != "win32"

#: Written by any run, again and again; nothing of it is a person's result.
_CACHES = frozenset([
    "__pycache__", ".cache", ".config", ".local", ".matplotlib", ".triton", ".keras", ".nv",
    ".ipython", ".jupyter", ".conda", ".npm", "site-packages", "dist-packages", ".git",
])  # fmt: skip
_NO_FILES = ("/proc/", "/sys/", "/dev/", "/run/")
#: Linux: share the blocks of a file with a copy of it (btrfs, XFS).
_FICLONE = 0x40049409
_JOURNAL = "journal"
#: A killed trial's job may live this much longer than the trial's last sign of life.
_LATER_NS = 2_000_000_000


class Aside:
    """What one trial has put aside and made.

    Args:
        folder: A folder of the trial's own, there already.
        ignored: Further folders in which nothing is looked after.
    """

    def __init__(self, folder: str, ignored: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._id = os.path.basename(folder)
        self._ignored = (*(os.path.join(each, "") for each in (folder, *ignored)), *_NO_FILES)
        self._settled: set[str] = set()
        self._num_places = 0
        self._journal = os.open(
            os.path.join(folder, _JOURNAL), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )
        self.made: set[str] = set()
        """Files and folders that were not there before, as far as they were seen."""
        self.overwritten: set[str] = set()
        """Files that were there before and that the job wrote to."""
        self.refused: set[str] = set()
        """Files that could not be put aside, so that the job was not let at them."""

    def close(self) -> None:
        """Closes the journal."""
        os.close(self._journal)

    def sign(self) -> None:
        """A sign of life: what is written after the last of them is none of the trial's."""
        os.utime(self._journal)

    # ── before the job does something: an OSError means that it must not ─────────────────────

    def before_open(self, path: str, flags: int) -> None:
        """The job opens ``path`` for writing."""
        path = os.path.realpath(path)
        if self._is_settled(path):
            return
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            if flags & os.O_CREAT:
                self._make(path)
            return
        # What may not be written the kernel refuses by itself.
        if stat.S_ISREG(mode) and os.access(path, os.W_OK):
            self.overwritten.add(path)
            self._put_aside(path, keep="nothing" if flags & os.O_TRUNC else "copy")

    def before_remove(self, path: str) -> None:
        """The job removes a file or an empty folder, or renames something over it."""
        path = _real_parent(path)
        if path in self.made:
            return
        if self._is_settled(path):
            return
        try:
            status = os.lstat(path)
        except OSError:
            return
        if stat.S_ISREG(status.st_mode):
            self._put_aside(path, keep="name")
        elif stat.S_ISLNK(status.st_mode):
            self._note(op="link", path=path, to=os.readlink(path))
            self._settled.add(path)
        elif stat.S_ISDIR(status.st_mode):
            self._note(op="folder", path=path, mode=stat.S_IMODE(status.st_mode))

    def before_rename(self, source: str, target: str) -> None:
        """The job gives ``source`` the name ``target``."""
        source, target = _real_parent(source), _real_parent(target)
        if not os.path.lexists(source):
            return
        existed = os.path.lexists(target)
        if existed and target not in self.made:
            if os.path.isfile(target) and not self._is_ignored(target):
                self.overwritten.add(target)
            self.before_remove(target)
        if not existed:
            self._make(target)
        if source in self.made or self._is_ignored(source):
            return
        if os.path.isdir(source) and not os.path.islink(source):
            self._note(op="moved", path=source, to=target)
        else:
            self.before_remove(source)

    def before_make(self, path: str) -> None:
        """The job makes a folder or a link."""
        path = _real_parent(path)
        if not os.path.lexists(path):
            self._make(path)

    def _make(self, path: str) -> None:
        if path not in self.made and not self._is_ignored(path):
            self._note(op="made", path=path)
            self.made.add(path)

    def _is_settled(self, path: str) -> bool:
        return path in self._settled or path in self.made or self._is_ignored(path)

    def _is_ignored(self, path: str) -> bool:
        return path.startswith(self._ignored) or not _CACHES.isdisjoint(path.split("/"))

    def _put_aside(self, path: str, *, keep: str) -> None:
        """Keep: ``name`` = the file stays; ``nothing`` = an empty one; ``copy`` = a copy."""
        aside = ""
        try:
            aside = self._place(path)
            self._note(op="aside", path=path, to=aside)
            try:
                os.link(path, aside)
            except OSError:  # no links there, or none to a file of somebody else
                _copy(path, aside)
            else:
                if keep != "name":
                    self._take_its_name(path, aside, keep)
        except OSError:
            if aside:
                _discard(aside)
            if not os.path.lexists(path):  # another process was faster: nothing is there to lose
                return
            self.refused.add(path)
            with contextlib.suppress(OSError):
                self._note(op="refused", path=path)
            raise
        self._settled.add(path)

    def _take_its_name(self, path: str, aside: str, keep: str) -> None:
        new = aside + ".new"
        try:
            if keep == "copy":
                _copy(path, new)
            else:
                os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            status = os.stat(aside)
            os.chmod(new, stat.S_IMODE(status.st_mode))
            with contextlib.suppress(OSError):
                os.chown(new, status.st_uid, status.st_gid)
            os.replace(new, path)
        except OSError:
            _discard(new)
            raise

    def _place(self, path: str) -> str:
        """A new name on the file system of ``path``."""
        folder = self._folder
        parent = os.path.dirname(path)
        if os.stat(folder).st_dev != os.stat(parent).st_dev:
            folder = os.path.join(parent, ".overnight-aside-" + self._id)
            if not os.path.isdir(folder):
                self._note(op="made", path=folder)
                os.mkdir(folder, 0o700)
                self._ignored = (*self._ignored, os.path.join(folder, ""))
        self._num_places += 1
        # In-job use may have several processes: their numbers tell them apart.
        return os.path.join(folder, f"{os.getpid()}-{self._num_places}")

    def _note(self, **entry: object) -> None:
        # Names that are no Unicode come back as the bytes they were.
        os.write(self._journal, json.dumps(entry).encode() + b"\n")


def written(folder: str) -> list[dict[str, str]]:
    """The journal of a trial's folder; a line that was cut short is left out."""
    entries = []
    try:
        with open(os.path.join(folder, _JOURNAL), "rb") as file:
            for line in file.read().splitlines():
                with contextlib.suppress(ValueError):
                    entries.append(json.loads(line))
    except OSError:
        return []
    return entries


def put_back(folder: str, *, keep: bool = False, abandoned: bool = False) -> list[str]:
    """Undoes all that stands in the journal of ``folder``, the newest first.

    Args:
        folder: The trial's folder; it stays.
        keep: Leave what the trial made and had no name before.
        abandoned: The trial was killed, maybe long ago: what was written since is somebody
            else's, and stays.

    Returns:
        What could not be put back; it is still in ``folder``, or beside the file in a folder
        ``.overnight-aside-…``.
    """
    last_ns = _last_sign_ns(folder) if abandoned else None
    failed = []
    for entry in reversed(written(folder)):
        path, to = entry["path"], entry.get("to", "")
        try:
            if entry["op"] == "made" and ".overnight-aside-" in os.path.basename(path):
                os.rmdir(path)
            elif entry["op"] == "made" and not keep:
                _remove(path, last_ns)
            elif entry["op"] == "aside" and os.path.exists(to):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if not _replace(to, path, last_ns):
                    failed.append(path)
            elif entry["op"] == "link" and not os.path.lexists(path):
                os.symlink(to, path)
            elif entry["op"] == "folder" and not os.path.isdir(path):
                os.mkdir(path)
                os.chmod(path, int(entry["mode"]))
            elif entry["op"] == "moved" and os.path.isdir(to) and not os.path.lexists(path):
                os.rename(to, path)
        except OSError as error:
            if entry["op"] != "made" or error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                failed.append(path)
    return failed


def _last_sign_ns(folder: str) -> int:
    try:
        return os.stat(os.path.join(folder, _JOURNAL)).st_mtime_ns
    except OSError:
        return 0


def _is_newer(path: str, last_ns: int | None) -> bool:
    """Whether a file was written, renamed or given its rights after a trial's last sign of life."""
    if last_ns is None or not os.path.lexists(path):
        return False
    status = os.lstat(path)
    return max(status.st_mtime_ns, status.st_ctime_ns) > last_ns + _LATER_NS


def _replace(aside: str, path: str, last_ns: int | None) -> bool:
    """Gives a file its name back; False where a newer one has it."""
    if os.path.lexists(path) and os.path.samefile(aside, path):
        os.unlink(aside)  # both are links to the file as it was
        return True
    if _is_newer(path, last_ns):
        return False
    try:
        os.replace(aside, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(aside, path)
        os.unlink(aside)
    return True


def _remove(path: str, last_ns: int | None) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    elif not _is_newer(path, last_ns):
        os.unlink(path)


def _discard(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _copy(source: str, target: str) -> None:
    """A copy under its name once it is whole: a half of one must never be put back."""
    part = target + ".part"
    try:
        with open(source, "rb") as old, open(part, "wb") as new:
            _copy_bytes(old, new)
        shutil.copystat(source, part)
        os.replace(part, target)
    except OSError:
        _discard(part)
        raise


def _copy_bytes(old: BinaryIO, new: BinaryIO) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
            return
    shutil.copyfileobj(old, new, 1 << 20)


def _real_parent(path: str) -> str:
    """The path with no link in it but, maybe, its last part."""
    path = os.path.abspath(path)
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
