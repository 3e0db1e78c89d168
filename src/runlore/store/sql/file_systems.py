"""Which file system a directory is on: SQLite's write-ahead log can not trust the locks of those that are on a network."""

from __future__ import annotations

import os
from pathlib import Path

from runlore.exceptions import InvalidState

NETWORK_FILE_SYSTEMS = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "ocfs2", "gfs2",
    "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.glusterfs", "fuse.ceph", "fuse.juicefs", "fuse.mount-s3",
}  # fmt: skip


def refuse_network_file_system(directory: Path) -> None:
    """Raise `InvalidState` when `directory` is on a file system whose locks SQLite's write-ahead log can not trust."""
    kind = file_system(directory)
    if kind in NETWORK_FILE_SYSTEMS:
        raise InvalidState(
            f"{directory} is on a network file system ({kind}), where a SQLite database gets corrupted. Put it on a local disk "
            "(RUNLORE_DIR=/local/path), or use PostgreSQL or a `runlore server`."
        )


def file_system(directory: Path) -> str | None:
    """The type of the file system that holds `directory` (Linux; None elsewhere)."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return None
    place = os.fspath(directory.resolve())
    best, kind = -1, None
    for line in lines:
        fields, _, rest = line.partition(" - ")
        mount = fields.split(" ")[4].replace("\\040", " ")
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= best:  # later mounts cover earlier ones
            best, kind = len(mount), rest.split(" ", 1)[0]
    return kind
