from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from devices.agent.limits import Limits
from devices.agent.protocol import RefusedError
from devices.agent.store import ArtifactStore, Piece
from devices.agent.wire import WireError

Make = Callable[..., ArtifactStore]


def named(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(store: ArtifactStore, content: bytes) -> str:
    assert store.receive(named(content), Piece(0, len(content), len(content)), io.BytesIO(content)) == (
        len(content),
        True,
    )
    return named(content)


@pytest.fixture
def needed() -> set[str]:
    return set()


@pytest.fixture
def make(tmp_path: Path, needed: set[str]) -> Make:
    def store(**limits: int) -> ArtifactStore:
        return ArtifactStore(tmp_path, Limits(**{"free_bytes": 0, **limits}), lambda: needed)

    return store


def test_a_file_in_pieces_is_whole_only_at_the_end_and_after_a_restart(make: Make) -> None:
    content, sha256 = b"0123456789", named(b"0123456789")
    assert make().receive(sha256, Piece(0, 4, 10), io.BytesIO(b"0123")) == (4, False)
    assert not make().path(sha256).exists()
    assert make().receive(sha256, Piece(4, 6, 10), io.BytesIO(b"45")) == (6, False)  # cut off: what came stays
    assert make().received(sha256) == (6, False)
    assert make().receive(sha256, Piece(6, 4, 10), io.BytesIO(b"6789")) == (10, True)
    assert make().path(sha256).read_bytes() == content
    assert make().receive(sha256, Piece(0, 10, 10), io.BytesIO(b"anything")) == (10, True)
    assert make().used_bytes == 10


@pytest.mark.parametrize(
    ("piece", "code"),
    [(Piece(3, 4, 10), "offset"), (Piece(0, 11, 10), "malformed"), (Piece(0, 0, 0), "too_large"),
     (Piece(0, 10, 101), "too_large")],
)  # fmt: skip
def test_pieces_that_do_not_fit_are_refused(piece: Piece, code: str, make: Make) -> None:
    with pytest.raises(RefusedError) as refused:
        make(artifact_bytes=100).receive("0" * 64, piece, io.BytesIO(b"x" * 100))
    assert refused.value.code == code
    assert make().used_bytes == 0


def test_a_file_with_another_digest_is_thrown_away(make: Make) -> None:
    with pytest.raises(RefusedError, match="send it again"):
        make().receive(named(b"right"), Piece(0, 5, 5), io.BytesIO(b"wrong"))
    assert make().received(named(b"right")) == (0, False)
    assert put(make(), b"right")


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a" * 63 + "/", "", "." * 64])
def test_names_that_are_no_digest_touch_nothing(name: str, make: Make, tmp_path: Path) -> None:
    for use in (make().path, make().received, make().use):
        with pytest.raises(WireError, match="no digest"):
            use(name)  # type: ignore[operator]
    with pytest.raises(WireError, match="no digest"):
        make().receive(name, Piece(0, 1, 1), io.BytesIO(b"x"))
    assert not (tmp_path.parent / "escape").exists()


def test_the_longest_unused_make_room_and_those_that_are_waited_for_stay(make: Make, needed: set[str]) -> None:
    store = make(disk_bytes=30)
    names = [put(store, bytes([i]) * 10) for i in range(3)]
    for age, name in enumerate(names):
        os.utime(store.path(name), (age, age))
    needed.add(names[0])
    store.use(names[1])
    put(store, b"fourth....")
    assert [store.path(name).exists() for name in names] == [True, True, False]
    needed.update(names, {named(b"fourth....")})
    with pytest.raises(RefusedError, match="no room for 10 more bytes") as refused:
        put(store, b"fifth.....")
    assert refused.value.status == 507
    assert store.used_bytes == 30


def test_files_on_their_way_are_promised_their_room(make: Make) -> None:
    store, old, first, second = make(disk_bytes=30), b"longest unused", b"0123456789", b"another file....."
    put(store, old)

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if not self.tell():  # 5 of 10 bytes have not come: there is room for 17 more only without the old file
                with pytest.raises(RefusedError, match="no room for 21 more bytes"):
                    store.receive("0" * 64, Piece(0, 21, 21), io.BytesIO())
                put(store, second)
                assert not store.path(named(old)).exists()
            return super().read(size)

    assert store.receive(named(first), Piece(0, 5, 10), io.BytesIO(first[:5])) == (5, False)
    assert store.receive(named(first), Piece(5, 5, 10), Slow(first[5:])) == (10, True)
    assert store.used_bytes == 27
    put(store, old[:3])  # what has come is not counted twice


def test_a_file_is_uploaded_by_one_client_at_a_time(make: Make) -> None:
    store, content = make(), b"0123456789"

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            with pytest.raises(RefusedError, match="by another client"):
                store.receive(named(content), Piece(0, 10, 10), io.BytesIO(content))
            return super().read(size)

    assert store.receive(named(content), Piece(0, 10, 10), Slow(content)) == (10, True)
