"""Links inside an archive: what stands where they are, without a look outside."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from supernet.errors import DataError

Parts: TypeAlias = tuple[str, ...]
_LINKS_FOLLOWED = 40
_MOST_FILES = 1_000_000
_MOST_FOLDERS = 10_000


class Tree:
    """Files, folders and links by the parts of their paths, as in a file system of their own.

    Args:
        files: paths of files with content of their own.
        folders: paths of folders; those that only files lie in may be left out.
        links: where links lead, hard and symbolic ones. What is among the files as well is none.
    """

    def __init__(self, files: Collection[Parts], folders: Collection[Parts], links: Mapping[Parts, Parts]) -> None:
        self._files, self._links = files, {link: links[link] for link in links if link not in files}
        self._inside: dict[Parts, dict[str, None]] = {(): {}}
        for parts in (*files, *folders, *self._links) if self._links else ():
            self._place(parts)
        for folder in folders:
            self._inside.setdefault(folder, {})

    def found(self, place: Path) -> tuple[dict[Parts, Parts], list[Parts]]:
        """What links stand for.

        Args:
            place: what the archive is called in errors.

        Returns:
            Paths of files with the file that each leads to, and paths of folders.

        Raises:
            DataError: links stand for more files than anybody means.
        """
        files: dict[Parts, Parts] = {}
        folders: list[Parts] = []
        for link in self._links:
            for shown, real in self._below(link):
                if real in self._files:
                    files[shown] = real
                else:
                    folders.append(shown)
                if len(files) > _MOST_FILES or len(folders) > _MOST_FOLDERS:
                    raise DataError(
                        f"the links in {str(place)!r}, such as {'/'.join(link)!r}, stand for more than {_MOST_FILES} "
                        f"files or {_MOST_FOLDERS} folders; pack it without links to folders"
                    )
        return files, folders

    def lost(self) -> list[Parts]:
        """Links that lead to nothing in the archive."""
        return [link for link in self._links if not self._is_there(self._resolved(link))]

    def _below(self, link: Parts) -> Iterator[tuple[Parts, Parts]]:
        """What lies where a link leads and below: the path by way of the link, and the one without links."""
        waiting: list[tuple[Parts, Parts, frozenset[Parts]]] = [(link, link, frozenset())]
        while waiting:
            shown, parts, above = waiting.pop()
            real = self._resolved(parts)
            if self._is_there(real):
                yield shown, real
            if real not in above:  # a folder that leads to itself is not entered again
                entered = above | {real}
                waiting += [((*shown, name), (*real, name), entered) for name in self._inside.get(real, ())]

    def _is_there(self, parts: Parts) -> bool:
        return parts in self._files or parts in self._inside

    def _resolved(self, parts: Parts) -> Parts:
        """The path without links on it; as far as that goes where they lead in a circle."""
        for _ in range(_LINKS_FOLLOWED):
            size = next((n for n in range(1, len(parts) + 1) if parts[:n] in self._links), None)
            if size is None:
                break
            parts = self._links[parts[:size]] + parts[size:]
        return parts

    def _place(self, parts: Parts) -> None:
        """Note a path in the folders above it."""
        while parts:
            *above, name = parts
            parts = tuple(above)
            known = parts in self._inside
            self._inside.setdefault(parts, {})[name] = None
            if known:
                return
