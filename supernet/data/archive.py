"""Tar archives, read where they are: nothing is written to disk, and names are only compared."""

from __future__ import annotations

import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from supernet.errors import DataError

Parts: TypeAlias = tuple[str, ...]
_LINKS_FOLLOWED = 40
_TAR_ERRORS = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)


class _Archive(tarfile.TarFile):
    """An archive in which a header that holds no number where one belongs is damage like any other."""

    def next(self) -> tarfile.TarInfo | None:
        try:
            return super().next()
        except (OverflowError, ValueError) as error:
            raise tarfile.ReadError(str(error)) from error


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """An archive, compressed or not, open for reading.

    Raises:
        DataError: it is a folder or no archive, or is found to be damaged while it is read.
    """
    if path.is_dir():
        raise DataError(f"data.path {str(path)!r} is a folder; give an archive, or set data.source to 'folder'")
    try:
        with _Archive.open(path, "r:*") as archive:
            yield archive
    except _TAR_ERRORS as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(
            f"{str(path)!r} cannot be read as a tar archive ({reason}); give an undamaged .tar, .tar.gz, .tar.bz2 or "
            ".tar.xz file"
        ) from error


@dataclass(frozen=True)
class Members:
    """What an archive holds, by the parts of each path.

    Attributes:
        files: files with content of their own.
        links: where links lead, hard and symbolic ones.
        folders: paths of folders.
    """

    files: Mapping[Parts, tarfile.TarInfo]
    links: Mapping[Parts, Parts]
    folders: Sequence[Parts]

    @property
    def names(self) -> set[Parts]:
        """Paths of all files, links among them."""
        return {*self.files, *self.links}

    def file(self, parts: Parts, path: Path) -> tarfile.TarInfo:
        """The file under a path, or the one that the link under it leads to.

        Args:
            parts: one of ``names``.
            path: what the archive is called in errors.

        Raises:
            DataError: a link that leads to no file of the archive.
        """
        here = parts
        for _ in range(_LINKS_FOLLOWED):
            if here in self.files:
                return self.files[here]
            here = self.links.get(here, here)
        target = "/".join(self.links[parts])
        raise DataError(
            f"{'/'.join(parts)!r} in {str(path)!r} is a link to {target!r}, which is no file in the archive; pack it "
            "with `tar --dereference`, which stores the files themselves"
        )


def list_members(archive: tarfile.TarFile) -> Members:
    """Read what an archive holds."""
    files: dict[Parts, tarfile.TarInfo] = {}
    links: dict[Parts, Parts] = {}
    folders: list[Parts] = []
    for member in archive:
        parts = PurePosixPath(member.name).parts
        if not parts:
            continue  # the archive's own folder
        if member.isdir():
            folders.append(parts)
        elif member.isreg():
            files[parts] = member
        elif member.islnk() or member.issym():
            links[parts] = _target(member)
    return Members(files, links, folders)


def contents(archive: tarfile.TarFile, files: Sequence[tarfile.TarInfo]) -> Iterator[tuple[int, bytes]]:
    """Position and content of every file, in the order of the archive.

    Going back in a compressed file would mean unpacking it again from its start.
    """
    for index in sorted(range(len(files)), key=lambda index: files[index].offset_data):
        stream = archive.extractfile(files[index])
        assert stream is not None  # noqa: S101 (these are no folders)
        yield index, stream.read()


def _target(link: tarfile.TarInfo) -> Parts:
    """What a link leads to: a symbolic one from its own folder, a hard one from the root of the archive."""
    start = posixpath.dirname(link.name) if link.issym() else ""
    return PurePosixPath(posixpath.normpath(posixpath.join(start, link.linkname))).parts
