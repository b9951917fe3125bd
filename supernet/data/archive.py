"""Tar archives, read where they are: nothing is written to disk, and names are only compared."""

from __future__ import annotations

import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from supernet.data.archive_links import Parts, Tree
from supernet.errors import DataError

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
    """What an archive holds, by the parts of each path; links stand for the files and folders that they lead to.

    Attributes:
        files: files by every path that leads to them.
        folders: paths of folders.
        lost: links that lead to nothing in the archive, and where.
    """

    files: Mapping[Parts, tarfile.TarInfo]
    folders: Sequence[Parts]
    lost: Mapping[Parts, Parts]

    def check_links(self, path: Path, matters: Callable[[Parts], bool]) -> None:
        """Check that no link leads out of the archive.

        Args:
            path: what the archive is called in errors.
            matters: tells of a link's own path whether something would be missed there.

        Raises:
            DataError: one does.
        """
        lost = sorted(filter(matters, self.lost))
        if lost:
            target = "/".join(self.lost[lost[0]])
            others = f" (and {len(lost) - 1} more links like it)" if len(lost) > 1 else ""
            raise DataError(
                f"{'/'.join(lost[0])!r} in {str(path)!r} is a link to {target!r}, which is neither a file nor a folder "
                f"in the archive{others}; pack it with `tar --dereference`, which stores the files themselves, or "
                "leave such links out"
            )


def list_members(archive: tarfile.TarFile, path: Path) -> Members:
    """Read what an archive holds.

    Args:
        archive: open for reading.
        path: what it is called in errors.

    Raises:
        DataError: links that stand for more files than anybody means.
    """
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
    tree = Tree(files.keys(), folders, links)
    linked, linked_folders = tree.found(path)
    named = {parts: files[real] for parts, real in linked.items()}
    return Members({**named, **files}, [*folders, *linked_folders], {link: links[link] for link in tree.lost()})


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
