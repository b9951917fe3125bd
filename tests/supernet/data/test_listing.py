from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from supernet.data import DataSettings, load_images
from supernet.data.listing import list_images
from supernet.errors import DataError

FOUR = ["cat/a.png", "cat/b.jpg", "dog/a.webp", "dog/b.bmp"]


def pack(folder: Path, path: Path, prefix: str = "") -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        # Later names first: the order of the archive must not matter.
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.add(file, prefix + str(file.relative_to(folder)), recursive=False)
    return path


def parts(*names: str) -> list[tuple[str, ...]]:
    return [tuple(name.split("/")) for name in names]


@pytest.mark.parametrize("above", ["", "train/", "pets-1.0/train/", "a/b/c/"])
def test_folder_and_archive_give_the_same_images(image_tree: Callable[..., Path], tmp_path: Path, above: str) -> None:
    folder = image_tree([above + name for name in FOUR])
    data = load_images(DataSettings("folder", folder))
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 1, 1]
    for name, prefix in (("images.tar.gz", "./"), ("images.tar", "")):
        packed = load_images(DataSettings("tar", pack(folder, tmp_path / name, prefix)))
        assert packed.digest == data.digest


def test_links_stand_for_the_images_that_they_lead_to(image_tree: Callable[..., Path], tmp_path: Path) -> None:
    folder = image_tree(["cat/b.png", "dog/a.png"])
    for kind in ("cat", "dog"):
        (folder / kind / "hard.png").hardlink_to(folder / "cat" / "b.png")
    (folder / "cat" / "a.png").symlink_to("../dog/near.png")
    (folder / "dog" / "near.png").symlink_to("./a.png")
    whole = load_images(DataSettings("folder", folder))
    assert len(whole) == 6
    for name, prefix in (("images.tar.gz", "./"), ("images.tar", "")):
        assert load_images(DataSettings("tar", pack(folder, tmp_path / name, prefix))).digest == whole.digest


def test_linked_folders_of_an_archive_are_followed_as_those_of_a_folder_are(
    image_tree: Callable[..., Path], tmp_path: Path
) -> None:
    folder = image_tree(["train/cat/a.png", "train/cat/b.png", "val/pets/a.png", "val/pets/b.png"])
    (folder / "val" / "pets" / "more.png").symlink_to("../dog/c.png")  # through a linked folder
    (folder / "train" / "dog").symlink_to("../val/pets")
    (folder / "val" / "dog").symlink_to("pets")
    (folder / "val" / "pets" / "c.png").hardlink_to(folder / "train" / "cat" / "a.png")
    whole = load_images(DataSettings("folder", folder))
    assert whole.class_names == ("cat", "dog") and whole.labels.tolist() == [0, 0, 1, 1, 1, 1]
    for name, prefix in (("images.tar.gz", "./"), ("images.tar", "")):
        assert load_images(DataSettings("tar", pack(folder, tmp_path / name, prefix))).digest == whole.digest


def test_folders_that_are_linked_in_a_circle_end(image_tree: Callable[..., Path], tmp_path: Path) -> None:
    folder = image_tree(FOUR)
    (folder / "cat" / "loop").symlink_to("..")
    with pytest.raises(DataError, match=r"'cat/loop/cat/a.png' in .*x.tar' does not lie in a class folder"):
        load_images(DataSettings("tar", pack(folder, tmp_path / "x.tar")))


def test_a_class_folder_that_is_a_link_out_of_the_archive_is_told(
    image_tree: Callable[..., Path], tmp_path: Path
) -> None:
    folder = image_tree([*FOUR, "../elsewhere/a.png"])
    for name in ("bird", "fish"):
        (folder / name).symlink_to("../elsewhere")
    (folder / ".hidden").symlink_to("../elsewhere")
    assert load_images(DataSettings("folder", folder)).class_names == ("bird", "cat", "dog", "fish")
    told = r"'bird' in .* is a link to '../elsewhere', which .* \(and 1 more links like it\); pack it with"
    with pytest.raises(DataError, match=told):
        load_images(DataSettings("tar", pack(folder, tmp_path / "x.tar")))


def test_links_to_folders_of_links_to_folders_cannot_fill_memory(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for level in range(60):
            for name in ("a", "b"):
                link = tarfile.TarInfo(f"level{level}/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, f"../level{level + 1}"
                archive.addfile(link)
        archive.addfile(tarfile.TarInfo("level60/cat/a.png"))
    with pytest.raises(DataError, match=r"links in .*x.tar', such as 'level0/a', stand for more than 1000000 "):
        load_images(DataSettings("tar", tmp_path / "x.tar"))


@pytest.mark.parametrize("target", ["cat/none.png", "../../x.png", "dog/b.png"])
@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_a_link_that_leads_to_no_image_of_the_archive_is_told(
    image_tree: Callable[..., Path], tmp_path: Path, target: str, kind: bytes
) -> None:
    archive = pack(image_tree(FOUR[:3]), tmp_path / "x.tar")
    with tarfile.open(archive, "a") as stream:
        link = tarfile.TarInfo("dog/b.png")  # the last target is the link itself
        link.type, link.linkname = kind, target
        stream.addfile(link)
    with pytest.raises(DataError, match=r"'dog/b.png' in .* is a link to .* pack it with `tar --dereference`"):
        load_images(DataSettings("tar", archive))


@pytest.mark.parametrize("fields", [{"GNU.sparse.map": "x"}, {"GNU.sparse.size": "x"}, {"size": "9" * 30}])
@pytest.mark.parametrize("first", [True, False])
def test_an_archive_with_a_malformed_header_is_one_clear_error(
    tmp_path: Path, fields: dict[str, str], first: bool
) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for odd in (first, not first):
            member = tarfile.TarInfo("cat/a.png")
            member.pax_headers = fields if odd else {}
            archive.addfile(member)
    with pytest.raises(DataError, match="cannot be read as a tar archive"):
        load_images(DataSettings("tar", tmp_path / "x.tar"))


def test_held_out_folders_and_hidden_files_are_left_alone(image_tree: Callable[..., Path]) -> None:
    folder = image_tree(
        [*(f"train/{name}" for name in FOUR), "test/cat/c.png", "train/cat/._a.png", "__MACOSX/x/a.png"]
    )
    (folder / "train" / "readme.txt").write_text("no image")
    assert len(load_images(DataSettings("folder", folder))) == 4


def test_what_is_left_out_is_told(image_tree: Callable[..., Path], tmp_path: Path) -> None:
    folder = image_tree([*(f"train/{name}" for name in FOUR), "val/cat/c.png", "test/cat/c.png", "train/cat/._a.png"])
    for name in ("train/cat/c.HEIC", "train/dog/d.HEIC", "train/dog/note.txt", "train/readme.md", "val/cat/e.HEIC"):
        (folder / name).touch()
    told = (
        "2 files are left out: .HEIC is not read (allowed: .bmp, .jpeg, .jpg, .png, .webp)",
        "1 file is left out: .txt is not read (allowed: .bmp, .jpeg, .jpg, .png, .webp)",
        "test/ and val/ are left out; only train/ is used",
    )
    data = load_images(DataSettings("folder", folder))
    assert data.left_out == told
    packed = load_images(DataSettings("tar", pack(folder, tmp_path / "x.tar")))
    assert (packed.left_out, packed.digest) == (told, data.digest)


def test_nothing_is_told_where_all_is_read(image_tree: Callable[..., Path]) -> None:
    assert load_images(DataSettings("folder", image_tree([f"train/{name}" for name in FOUR]))).left_out == ()


def test_linked_class_folders_are_followed_and_loops_end(image_tree: Callable[..., Path]) -> None:
    folder = image_tree(["cat/a.png", "../elsewhere/a.png"])
    (folder / "dog").symlink_to(folder.parent / "elsewhere")
    assert load_images(DataSettings("folder", folder)).class_names == ("cat", "dog")
    (folder / "cat" / "loop").symlink_to(folder)
    with pytest.raises(DataError, match="does not lie in a class folder"):
        load_images(DataSettings("folder", folder))


def test_limit_takes_the_first_of_every_class(image_tree: Callable[..., Path], tmp_path: Path) -> None:
    folder = image_tree([f"{label}/{index}.png" for label in ("x", "y") for index in range(5)])
    whole = load_images(DataSettings("folder", folder))
    some = load_images(DataSettings("tar", pack(folder, tmp_path / "x.tar"), limit=4))
    assert (some.images == whole.images[[0, 1, 5, 6]]).all()
    assert some.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no images in"),
        (["notes.txt"], "no images in"),
        (["a.png", "cat/b.png", "dog/b.png"], "'a.png' in"),
        (["cat/a.png", "dog/puppies/a.png"], "'dog/puppies/a.png' in"),
        (["cat/a.png", "cat/b.png"], "'somewhere' holds one class, 'cat'; give images of at least 2 classes"),
    ],
)
def test_other_layouts_are_refused(files: list[str], message: str) -> None:
    with pytest.raises(DataError) as error:
        list_images(parts(*files), [], Path("somewhere"), None)
    assert message in str(error.value)


def test_a_class_without_images_is_noticed(image_tree: Callable[..., Path], tmp_path: Path) -> None:
    folder = image_tree(["train/" + name for name in FOUR])
    (folder / "train" / "bird").mkdir()
    archive = pack(folder, tmp_path / "x.tar")
    for settings in (DataSettings("folder", folder), DataSettings("tar", archive)):
        with pytest.raises(DataError, match="no images in class 'bird'"):
            load_images(settings)


def test_a_broken_image_is_named(image_tree: Callable[..., Path], tmp_path: Path) -> None:
    folder = image_tree(FOUR)
    (folder / "dog" / "a.webp").write_bytes(b"RIFF")
    (folder / "cat" / "b.jpg").unlink()
    (folder / "cat" / "b.jpg").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"2 of 4 images cannot be read: 'cat/b\.jpg'.*'dog/a\.webp'"):
        load_images(DataSettings("folder", folder))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("name", ["x.tar.gz", "x.tar"])
def test_a_damaged_archive_is_one_clear_error(
    image_tree: Callable[..., Path], tmp_path: Path, name: str, keep: float
) -> None:
    names = [f"{label}/{index}.png" for label in ("x", "y") for index in range(20)]
    archive = pack(image_tree(names, size=(40, 40)), tmp_path / name)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(DataError, match=r"x\.tar|images cannot be read"):
        load_images(DataSettings("tar", archive))


def test_bits_flipped_in_a_compressed_archive_are_one_clear_error(
    image_tree: Callable[..., Path], tmp_path: Path
) -> None:
    names = [f"{label}/{index}.png" for label in ("x", "y") for index in range(20)]
    content = pack(image_tree(names, size=(40, 40)), tmp_path / "x.tar.gz").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(20):
        damaged = bytearray(content)
        start = int(rng.integers(20, len(content) - 200))
        damaged[start : start + 100] = rng.bytes(100)
        (tmp_path / "bad.tar.gz").write_bytes(damaged)
        with pytest.raises(DataError):
            load_images(DataSettings("tar", tmp_path / "bad.tar.gz"))


def test_names_in_an_archive_reach_nothing_outside(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("../../cat/a.png", "/etc/dog/a.png"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("bird/a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    with pytest.raises(DataError):
        load_images(DataSettings("tar", tmp_path / "x.tar"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]
