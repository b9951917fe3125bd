"""Model files on an agent's disk, by digest: uploaded once, in pieces if need be, whole or not there at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from devices.agent.limits import Limits
from devices.agent.protocol import RefusedError
from devices.agent.wire import check_sha256

_BLOCK_BYTES = 64 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Source(Protocol):
    """Where the bytes of an upload come from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


@dataclass(frozen=True)
class Piece:
    """Part of a model file that is being uploaded: ``size`` bytes from ``first`` on, of ``total``."""

    first: int
    size: int
    total: int


class ArtifactStore:
    """Model files under their digests, within a quota.

    An upload appends to a file of its own and may be interrupted and continued. Only when all bytes are there and have
    the digest does the file get its name. Where room is needed the longest unused files go first, those that a
    measurement waits for never.

    Args:
        directory: where the files are; made if it is missing.
        limits: how large one file and all together may be.
        needed: digests of the files that must stay.
    """

    def __init__(self, directory: Path, limits: Limits, needed: Callable[[], Collection[str]]) -> None:
        self._whole, self._partial = directory / "artifacts", directory / "partial"
        self._limits, self._needed = limits, needed
        self._lock = threading.Lock()
        self._uploading: dict[str, int] = {}  # by digest: bytes that there will be
        for folder in (self._whole, self._partial):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def used_bytes(self) -> int:
        """Bytes of all files, whole and partial."""
        return sum(size for _, size, _ in self._files())

    def path(self, sha256: str) -> Path:
        """Where a whole file is, if it is there."""
        return self._whole / check_sha256(sha256)

    def received(self, sha256: str) -> tuple[int, bool]:
        """How many bytes of a file have arrived, and whether that is all of it."""
        for folder, whole in ((self._whole, True), (self._partial, False)):
            try:
                return (folder / check_sha256(sha256)).stat().st_size, whole
            except FileNotFoundError:
                continue
        return 0, False

    def use(self, sha256: str) -> None:
        """Note that a file is used now."""
        with_name = self.path(sha256)
        if with_name.exists():
            os.utime(with_name)

    def receive(self, sha256: str, piece: Piece, source: Source) -> tuple[int, bool]:
        """Append to a file; the result is as of ``received``.

        What arrives of a piece that is cut off is kept.

        Raises:
            RefusedError: the file is too large, does not continue where the last piece ended, is being uploaded by
                somebody else, finds no room, or is whole and does not have the digest (it is thrown away then).
        """
        partial = self._partial / check_sha256(sha256)
        with self._alone(sha256):
            there, whole = self.received(sha256)
            if whole:
                return there, True
            self._check(piece, there)
            try:
                self._make_room(sha256, piece.total)
                there += _append(partial, source, piece.size)
                if there < piece.total:
                    return there, False
                self._complete(partial, sha256)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                partial.unlink(missing_ok=True)
                raise _no_room(f"the disk is full ({error.strerror})") from error
        return there, True

    def check_size(self, total: int) -> None:
        """Refuse a file of a size that is not taken.

        Raises:
            RefusedError: nothing at all, or too much.
        """
        if not 0 < total <= self._limits.artifact_bytes:
            message = f"the model file has {total} bytes; the agent takes 1 to {self._limits.artifact_bytes}"
            raise RefusedError(413, "too_large", message)

    def _check(self, piece: Piece, there: int) -> None:
        self.check_size(piece.total)
        if piece.first != there:
            message = f"the piece begins at byte {piece.first} and {there} bytes are there; go on from {there}"
            raise RefusedError(409, "offset", message)
        if piece.size < 0 or piece.first + piece.size > piece.total:
            raise RefusedError(400, "malformed", f"the piece ends behind the {piece.total} bytes of the file")

    def _complete(self, partial: Path, sha256: str) -> None:
        digest = hashlib.sha256()
        with partial.open("rb+") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
            os.fsync(stream.fileno())
        if digest.hexdigest() != sha256:
            partial.unlink()
            raise RefusedError(
                422,
                "digest",
                f"what arrived has the sha256 {digest.hexdigest()[:12]}… and not {sha256[:12]}…; send it again",
            )
        partial.replace(self._whole / sha256)

    def _make_room(self, sha256: str, total: int) -> None:
        """Let go of files until there is room for the rest of this one and of those that are on their way as well."""
        with self._lock:
            files = sorted(self._files())
            there = {path.name: size for _, size, path in files}
            due = {**self._uploading, sha256: total}
            wanted = sum(max(0, size - there.get(name, 0)) for name, size in due.items())
            excess = sum(there.values()) + wanted - self._limits.disk_bytes
            excess = max(excess, wanted + self._limits.free_bytes - shutil.disk_usage(self._whole).free)
            needed = {*self._needed(), *due}
            for _, size, path in files:
                if excess > 0 and path.name not in needed:
                    path.unlink(missing_ok=True)
                    excess -= size
            if excess > 0:
                raise _no_room(
                    f"there is no room for {total - there.get(sha256, 0)} more bytes beside the files that measurements"
                    " wait for and those that are on their way"
                )
            self._uploading[sha256] = total

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for folder in (self._whole, self._partial):
            for path in folder.iterdir():
                try:
                    found = path.stat()
                except FileNotFoundError:
                    continue
                yield found.st_mtime, found.st_size, path

    @contextmanager
    def _alone(self, sha256: str) -> Iterator[None]:
        with self._lock:
            if sha256 in self._uploading:
                raise RefusedError(503, "busy", "this file is being uploaded by another client; ask again in a moment")
            self._uploading[sha256] = 0
        try:
            yield
        finally:
            with self._lock:
                del self._uploading[sha256]


def _append(path: Path, source: Source, size: int) -> int:
    """Copy until ``size`` bytes or the end; the bytes copied."""
    copied = 0
    with path.open("ab", buffering=0) as stream:
        while copied < size and (block := source.read(min(_BLOCK_BYTES, size - copied))):
            rest = memoryview(block)
            while rest:
                rest = rest[stream.write(rest) :]
            copied += len(block)
    return copied


def _no_room(why: str) -> RefusedError:
    return RefusedError(507, "disk", f"{why}; free some space on the agent's disk or raise its --disk-mb")
