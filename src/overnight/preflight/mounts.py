"""On which kind of file system a folder lies."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from overnight.preflight.check import Check

Kind = Literal["local", "network", "object store", "memory", "windows", "container"]

_NETWORK = frozenset(
    {
        *(
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "smbfs",
            "smb2",
            "lustre",
            "9p",
            "ceph",
            "glusterfs",
            "afs",
        ),
        *(
            "beegfs",
            "gpfs",
            "pvfs2",
            "orangefs",
            "fhgfs",
            "panfs",
            "wekafs",
            "ocfs2",
            "gfs2",
            "coda",
        ),
        *(
            "ncpfs",
            "davfs",
            "sshfs",
            "cephfs",
            "moosefs",
            "juicefs",
            "davfs2",
            "curlftpfs",
            "osxfuse",
        ),
    }
)
_OBJECT_STORE = frozenset(
    {"s3fs", "gcsfuse", "goofys", "rclone", "blobfuse", "blobfuse2", "mountpoint-s3", "drive"}
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table."""

    device: str
    folder: str
    type: str


def parse_mounts(text: str) -> list[Mount]:
    """The mounts in ``/proc/self/mounts``, in their order; other lines are left out."""
    mounts = []
    # Only "\n" ends a line there: a folder's name may hold other separators that Python splits on.
    for line in text.split("\n"):
        fields = line.split(" ")
        if len(fields) >= 3 and fields[1].startswith("/"):
            device, folder = (_unescape(field) for field in fields[:2])
            mounts.append(Mount(device, folder, fields[2]))
    return mounts


def _unescape(field: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field)


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """The mount an absolute, resolved path lies on: the longest prefix, of equals the last."""
    best: Mount | None = None
    for mount in mounts:
        folder = mount.folder.rstrip("/")
        is_above = path == folder or path.startswith(folder + "/")
        if is_above and (best is None or len(mount.folder) >= len(best.folder)):
            best = mount
    return best


def kind_of(mount: Mount) -> Kind:
    """What the type means to a job that writes there all night."""
    name = mount.type.removeprefix("fuse.").removeprefix("fuse3.")
    if name in _OBJECT_STORE or mount.device == "drive":  # Google Drive in Colab.
        return "object store"
    if name == "9p" and mount.device[1:3] in {":", ":\\"}:  # A Windows drive inside WSL.
        return "windows"
    if name in _NETWORK:
        return "network"
    if name in {"tmpfs", "ramfs"}:
        return "memory"
    if name in {"drvfs", "vboxsf", "prl_fs"}:
        return "windows"
    return "container" if name in {"overlay", "aufs", "overlayfs", "fuse-overlayfs"} else "local"


def check_filesystems(root: str, home: str, mounts_text: str) -> list[Check]:
    """The root's and the home's file systems.

    Args:
        root: The folder runs are written below.
        home: The user's home; the index and the tokens lie there.
        mounts_text: The mount table; empty where the system has none to read.
    """
    mounts = parse_mounts(mounts_text)
    checks = []
    for place, path in {"root": root, "home": home}.items():
        mount = mount_of(os.path.realpath(path), mounts)
        if mount is None:
            facts = {"place": place, "path": path}
            return [Check("filesystem", "unknown", "unknown", facts, {"path": path})]
        checks.append(_check(place, path, mount))
    # One line is enough where there is nothing to say of either.
    return [check for check in checks if check.level != "ok"] or checks[:1]


def _check(place: str, path: str, mount: Mount) -> Check:
    facts = {"place": place, "path": path, "type": mount.type, "mounted_on": mount.folder}
    fields = {"path": path, "type": mount.type}
    match kind_of(mount):
        case "local":
            return Check("filesystem", "ok", "local", facts, fields)
        case "container":
            # The container's own finding says that it all ends with the container.
            return Check("filesystem", "ok", "container", facts, fields)
        case "network":
            return Check("filesystem", "warn", "network", facts, fields)
        case "object store":
            return Check("filesystem", "warn", "object_store", facts, fields)
        case "memory":
            return Check("filesystem", "warn", "memory", facts, fields)
        case "windows":
            return Check("filesystem", "warn", "windows", facts, fields)
