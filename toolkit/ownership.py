"""Whose files these are. Where a system has no users of this kind (Windows), everything is ours."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from toolkit.errors import ConfigurationError

TRUST = "TOOLKIT_TRUST"
_MODULES = (".py", ".pyc", ".so", ".zip")


def is_trusting() -> bool:
    """Whether the user said that settings and modules of others may be used (`--trust`, or in the environment)."""
    return os.environ.get(TRUST, "") not in ("", "0")


def foreign_owner(path: Path) -> str | None:
    """Who owns a file or folder, or the link to it, that is neither this user nor root; None if it is one of them.

    The rule, and that `sudo` stands for the user who called it, is git's (`safe.directory`).
    """
    if not hasattr(os, "geteuid"):
        return None
    ours = {0, os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        ours.add(int(os.environ["SUDO_UID"]))
    for status in (path.lstat(), path.stat()):
        if status.st_uid not in ours:
            return user_name(status.st_uid)
    return None


def require_ours(paths: Iterable[Path], what: str) -> None:
    """Refuse what somebody else would have this user run, as `what` says of it; a path that is not there is nobody's.

    Raises:
        ConfigurationError: one belongs to somebody else, and nobody said that this is right.
    """
    for path in () if is_trusting() else paths:
        try:
            owner = foreign_owner(path)
        except OSError:
            continue  # It is not there, or may not be read, and so not run.
        if owner is not None:
            raise not_ours(path, owner, what)


def not_ours(path: Path, owner: str, what: str) -> ConfigurationError:
    """The refusal of a file of somebody else."""
    return ConfigurationError(
        f"{path} belongs to {owner}, and {what}.",
        f"If you trust {owner} with that: --trust, or {TRUST}=1 in the environment. To do without a settings file "
        "further up, make a toolkit.toml here.",
    )


def foreign_module(folder: Path) -> tuple[Path, str] | None:
    """What of a folder is somebody else's to import, and whose: the folder, or a module in it. None if nothing is.

    A folder such as /tmp, into which everybody may put files, is everybody's.
    """
    try:
        if owner := foreign_owner(folder):
            return folder, owner
        if _is_everybodys(folder):
            return folder, "everybody"
        with os.scandir(folder) as entries:
            modules = [Path(entry) for entry in entries if _is_importable(entry)]
    except OSError:
        return None  # What is not there, or may not be read, is not imported either.
    owned = ((module, foreign_owner(module)) for module in modules)
    return next(((module, owner) for module, owner in owned if owner is not None), None)


def _is_importable(entry: os.DirEntry[str]) -> bool:
    """Whether it is a module or a package; a mere folder hides no other module, and is often a server's data."""
    try:
        return entry.is_file() if entry.name.endswith(_MODULES) else Path(entry, "__init__.py").is_file()
    except OSError:
        return False  # As above.


def private_folder(path: Path, user: int) -> Path:
    """A folder that only this user may enter, made if it is not there.

    Raises:
        PermissionError: somebody else has made it.
    """
    try:
        path.mkdir(mode=0o700)
        if user != os.geteuid():
            os.chown(path, user, -1, follow_symlinks=False)
    except FileExistsError:
        pass
    status = path.lstat()
    if status.st_uid != user or not stat.S_ISDIR(status.st_mode):
        raise PermissionError(errno.EPERM, "belongs to another user, who should remove it", str(path))
    if status.st_mode & 0o077:
        path.chmod(0o700)
    return path


def may_be_replaced(path: Path, user: int) -> bool:
    """Whether others than this user and `user` could put another folder in its place, or in that of one above."""
    for folder in path.resolve().parents:
        status = folder.stat()
        if _is_open(status.st_mode) or status.st_uid not in (0, os.geteuid(), user):
            return True
    return False


def user_name(number: int) -> str:
    """`user alice`, or the number of one that has no name here."""
    from pwd import getpwuid

    try:
        return f"user {getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"


def _is_everybodys(folder: Path) -> bool:
    mode = folder.stat().st_mode
    return bool(mode & 0o002 and mode & stat.S_ISVTX)


def _is_open(mode: int) -> bool:
    """Whether all users may remove and rename what others have in a folder of this mode."""
    return bool(mode & 0o002 and not mode & stat.S_ISVTX)
