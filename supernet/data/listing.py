"""Image folders and archives: which files are images, and of which class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from supernet.data.archive import contents, list_members, open_tar
from supernet.data.archive_links import Parts
from supernet.data.decoding import IMAGE_SUFFIXES, Encoded, Progress, decode_all
from supernet.data.images import ImageData, check_classes, evenly
from supernet.errors import DataError

_LAYOUT = "allowed: <class>/<image> or train/<class>/<image>, images being " + ", ".join(IMAGE_SUFFIXES)
_HELD_OUT = {"test", "val", "valid", "validation"}
_DEEPEST_FOLDER = 8


@dataclass(frozen=True)
class Listing:
    """Images by class, in the order of class name and file name.

    Attributes:
        files: parts of every image's path, as found.
        labels: class of every image.
        class_names: sorted names of the class folders.
        left_out: see ``ImageData``.
    """

    files: tuple[Parts, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    left_out: tuple[str, ...]


def list_images(files: Iterable[Parts], folders: Iterable[Parts], place: Path, limit: int | None) -> Listing:
    """Find the class folders among the paths of a tree.

    Folders that everything lies in are passed over. Where there is ``train`` beside ``test`` or ``val``, only ``train``
    is used: the held-out images stay untouched. Hidden files, and what macOS adds to archives, are left out.

    Args:
        files: parts of every file's path below ``place``.
        folders: the same for every folder, to notice those without images.
        place: what the tree is called in errors.
        limit: see ``DataSettings.limit``.

    Raises:
        DataError: no images, another layout, fewer than two classes or an empty class.
    """
    shown = sorted(filter(_is_shown, files))
    images = [file for file in shown if _is_image(file)]
    if not images:
        raise DataError(f"no images in {str(place)!r}; {_LAYOUT}")
    root = _class_root(images)
    images = [image for image in images if image[: len(root)] == root]
    depth = len(root) + 2
    strays = ["/".join(image) for image in images if len(image) != depth]
    if strays:
        raise DataError(f"{strays[0]!r} in {str(place)!r} does not lie in a class folder; {_LAYOUT}")
    empty = {f[-1] for f in folders if len(f) == depth - 1 and f[: len(root)] == root and _is_shown(f)}
    names = tuple(sorted({image[-2] for image in images} | empty))
    if len(names) == 1:
        folder = str(place.joinpath(*root))
        raise DataError(
            f"{folder!r} holds one class, {names[0]!r}; give images of at least 2 classes, each class in a folder of "
            "its own"
        )
    position = {name: index for index, name in enumerate(names)}
    labels = np.array([position[image[-2]] for image in images], np.int64)
    check_classes(labels, names)
    chosen = evenly(labels, limit)
    return Listing(tuple(images[index] for index in chosen.tolist()), labels[chosen], names, _left_out(shown, root))


def load_folder(path: Path, size: int | None, limit: int | None, progress: Progress | None) -> ImageData:
    """Load ``<class>/<image>`` below a folder."""
    if not path.is_dir():
        raise DataError(f"data.path {str(path)!r} is a file; give a folder, or set data.source to 'tar'")
    files: list[Parts] = []
    folders: list[Parts] = []
    try:
        _walk(path, (), files, folders)
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be listed ({error}); make its folders readable") from error
    listing = list_images(files, folders, path, limit)
    content = ((index, path.joinpath(*parts)) for index, parts in enumerate(listing.files))
    return _decode(listing, content, size, progress)


def load_tar(path: Path, size: int | None, limit: int | None, progress: Progress | None) -> ImageData:
    """Load ``<class>/<image>`` from an archive; nothing is written to disk, and names are only compared.

    Links, hard and symbolic, stand for the images and folders of the archive that they lead to.
    """
    with open_tar(path) as archive:
        members = list_members(archive, path)
        members.check_links(path, _is_shown)
        listing = list_images(members.files, members.folders, path, limit)
        found = [members.files[parts] for parts in listing.files]
        return _decode(listing, contents(archive, found), size, progress)


def _decode(
    listing: Listing, content: Iterable[tuple[int, Encoded]], size: int | None, progress: Progress | None
) -> ImageData:
    images = decode_all(content, ["/".join(parts) for parts in listing.files], size, progress)
    return ImageData(images, listing.labels, listing.class_names, listing.left_out)


def _walk(folder: Path, parts: Parts, files: list[Parts], folders: list[Parts]) -> None:
    # Linked folders are followed, so depth is bounded in case one leads back up.
    if len(parts) > _DEEPEST_FOLDER:
        return
    for entry in folder.iterdir():
        inner = (*parts, entry.name)
        if entry.is_dir():
            folders.append(inner)
            _walk(entry, inner, files, folders)
        else:
            files.append(inner)


def _is_shown(parts: Parts) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _is_image(parts: Parts) -> bool:
    return parts[-1].lower().endswith(IMAGE_SUFFIXES)


def _left_out(files: list[Parts], root: Parts) -> tuple[str, ...]:
    """A sentence about each kind of file in class folders that is no image, and about the folders beside ``train``."""
    told = []
    odd = Counter(
        PurePosixPath(file[-1]).suffix
        for file in files
        if len(file) == len(root) + 2 and file[: len(root)] == root and not _is_image(file)
    )
    for suffix, count in sorted(odd.items()):
        which = "1 file is" if count == 1 else f"{count} files are"
        kind = suffix or "a name without an ending"
        told.append(f"{which} left out: {kind} is not read (allowed: {', '.join(IMAGE_SUFFIXES)})")
    if root[-1:] == ("train",):
        beside = {file[len(root) - 1] for file in files if len(file) > len(root) and file[: len(root) - 1] == root[:-1]}
        held = [f"{name}/" for name in sorted(beside & _HELD_OUT)]
        if held:
            told.append(f"{' and '.join(held)} {'is' if len(held) == 1 else 'are'} left out; only train/ is used")
    return tuple(told)


def _class_root(images: list[Parts]) -> Parts:
    """The folder whose folders are the classes."""
    root: Parts = ()
    while True:
        depth = len(root)
        heads = {image[depth] for image in images}
        deep = all(len(image) > depth + 2 for image in images)
        if deep and len(heads) == 1:
            root = (*root, *heads)
        elif deep and "train" in heads and heads - {"train"} <= _HELD_OUT:
            root = (*root, "train")
            images = [image for image in images if image[depth] == "train"]
        else:
            return root
