"""Whether a file lies on a network file system, where processes of two machines cannot share memory."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs",
    "pvfs2", "smb3", "smbfs", "virtiofs", "wekafs",
}  # fmt: skip
"""Types of file systems as the kernel names them; whatever runs in a user's process (`fuse.…`) counts as well."""

LOCAL_FUSE = {"fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.exfat", "fuseblk"}

_ESCAPED = re.compile(r"\\([0-7]{3})")


def on_network(path: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Whether `path` is on a network file system, as far as the system tells.

    Where Linux does not tell, for want of `/proc`, it may be: whoever takes it for one is safe on any. Other systems never tell,
    and there it is taken not to be.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError:
        return sys.platform == "linux"
    real = os.path.realpath(path)
    best, found = "", ""
    for line in lines:
        _, point, kind, *_ = [*line.split(" "), "", ""]
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), point)
        inside = point and (real == point or real.startswith(point.rstrip("/") + "/"))
        if inside and len(point) >= len(best):  # of two on the same point the later one is seen
            best, found = point, kind
    return found in NETWORK or (found.startswith("fuse") and found not in LOCAL_FUSE)
