from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from supernet.data import decode, fit_images
from supernet.data.decoding import decode_all
from supernet.errors import DataError

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (9, 13, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_formats_come_back_as_they_were(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (decode(encoded(Image.fromarray(PHOTO), kind, **options), None) == PHOTO).all()


def test_a_size_cuts_the_centre_square() -> None:
    assert (decode(encoded(Image.fromarray(PHOTO)), 9) == PHOTO[:, 2:11]).all()


def test_stored_arrays_are_fitted_as_files_are() -> None:
    assert (fit_images(PHOTO[None], 5)[0] == decode(encoded(Image.fromarray(PHOTO)), 5)).all()
    assert fit_images(PHOTO[None], None) is not None
    assert (fit_images(PHOTO[None, :, :9], 9) == PHOTO[None, :, :9]).all()


def test_large_jpegs_are_scaled_like_other_files() -> None:
    ramp = np.linspace(0, 255, 640).astype(np.uint8)
    photo = Image.fromarray(np.stack([np.broadcast_to(ramp, (480, 640))] * 3, axis=-1))
    by_jpeg = decode(encoded(photo, "JPEG", quality=95), 32).astype(int)
    assert by_jpeg.shape == (32, 32, 3)
    assert np.abs(by_jpeg - decode(encoded(photo), 32)).max() <= 3


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Image.fromarray(PHOTO).convert(mode)
    content = encoded(image, "JPEG" if mode == "CMYK" else "PNG")
    assert decode(content, 8).shape == (8, 8, 3)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    grey = (np.arange(16, dtype=np.uint16) * 4096).reshape(4, 4)
    pixels = decode(encoded(Image.fromarray(grey)), None)
    assert (pixels[..., 0] == grey >> 8).all()


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    assert (decode(encoded(Image.fromarray(PHOTO), exif=exif), None) == np.rot90(PHOTO, -1)).all()


def test_order_of_reading_and_number_of_images_do_not_matter() -> None:
    photos = RNG.integers(0, 256, (600, 4, 4, 3), dtype=np.uint8)
    items = [(index, encoded(Image.fromarray(photos[index]))) for index in RNG.permutation(len(photos)).tolist()]
    calls: list[tuple[int, int]] = []
    images = decode_all(items, [str(index) for index in range(600)], None, lambda *call: calls.append(call))
    assert (images == photos).all()
    assert calls[-1] == (600, 600)
    assert calls == sorted(calls)


def test_bad_images_are_counted_and_named(tmp_path: Path) -> None:
    good = encoded(Image.fromarray(PHOTO))
    items = [
        (0, good),
        (1, b""),
        (2, good[: len(good) // 2]),
        (3, tmp_path / "gone.png"),
        *((4 + i, b"x") for i in range(4)),
    ]
    with pytest.raises(DataError) as error:
        decode_all(items, [f"cat/{index}.png" for index in range(8)], 4)
    message = str(error.value)
    assert message.startswith("7 of 8 images cannot be read: 'cat/1.png' (")
    assert "'cat/3.png' (FileNotFoundError" in message
    assert message.endswith("and 2 more; replace or remove them")


def test_formats_that_are_no_photos_are_not_opened() -> None:
    with pytest.raises(DataError, match="1 of 1 images"):
        decode_all([(0, encoded(Image.fromarray(PHOTO), "TIFF"))], ["a.png"], 4)


def test_images_of_several_sizes_need_a_size() -> None:
    items = [(0, encoded(Image.fromarray(PHOTO))), (1, encoded(Image.fromarray(PHOTO[:5])))]
    with pytest.raises(DataError, match=r"images differ in size: 13x9 px, but 'b' is 13x5; set data\.size"):
        decode_all(items, ["a", "b"], None)
    assert decode_all(items, ["a", "b"], 4).shape == (2, 4, 4, 3)


def test_a_pipe_and_a_text_named_like_images_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "text.png").write_text("no image")
    sources: list[tuple[int, bytes | Path]] = [
        (position, tmp_path / name) for position, name in enumerate(("pipe.png", "text.png"))
    ]
    with pytest.raises(DataError) as caught:
        decode_all(sources, ["pipe.png", "text.png"], 8)
    assert "'pipe.png' (OSError: it is a pipe or a device" in str(caught.value)
    assert "'text.png' (it holds no image)" in str(caught.value)
