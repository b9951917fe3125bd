"""Pieces of work and hands that are lost on the way, in threads, without Ray."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.distributed.sharing import CHANCES, FelledError, LostError, share_out


class Worker:
    """Does pieces; ``fates`` tells of each attempt whether it is lost over it.

    Args:
        fates: of its attempts, in order; after these it is never lost.
    """

    def __init__(self, fates: list[bool]) -> None:
        self.fates = list(fates)
        self.did: list[int] = []
        self.stopped = threading.Event()

    def ready(self) -> None:
        pass

    def do(self, piece: int) -> None:
        if self.fates and self.fates.pop(0):
            raise LostError("the board has no power")
        self.did.append(piece)

    def stop(self) -> None:
        self.stopped.set()


class Waiting(Worker):
    """Another run has it, until the end."""

    def ready(self) -> None:
        assert self.stopped.wait(60)
        raise LostError("given back")


@settings(max_examples=60, deadline=None)
@given(pieces=st.integers(0, 12), fates=st.lists(st.lists(st.booleans(), max_size=4), min_size=1, max_size=3))
def test_every_piece_is_done_once_whoever_is_lost(pieces: int, fates: list[list[bool]]) -> None:
    hands = {f"unit{i}": Worker(fate) for i, fate in enumerate(fates)} | {"safe": Worker([])}
    share_out(range(pieces), hands, lambda _: None, retry_s=0.001)
    assert Counter(piece for hand in hands.values() for piece in hand.did) == Counter(range(pieces))
    assert all(hand.stopped.is_set() for hand in hands.values())


def test_a_loss_is_told_once_and_so_is_coming_back() -> None:
    told: list[str] = []
    back = Worker([True])
    # The other hand would take the piece, and has it never.
    share_out([0], {"back": back, "waiting": Waiting([])}, told.append, retry_s=0.001)
    assert back.did == [0]
    assert told == ["back was lost (the board has no power); others take over", "back is back"]


def test_a_hand_that_stays_away_is_told_of_once() -> None:
    class Away(Worker):
        def ready(self) -> None:
            raise LostError("no answer")

    class Slow(Worker):
        def do(self, piece: int) -> None:
            threading.Event().wait(0.05)
            super().do(piece)

    told: list[str] = []
    slow = Slow([])
    share_out(range(3), {"away": Away([]), "slow": slow}, told.append, retry_s=0.001)
    assert slow.did == [0, 1, 2] and told == ["away was lost (no answer); others take over"]


def test_nobody_left_ends_it_with_every_reason() -> None:
    hands = {"a": Worker([True] * 9), "b": Worker([True] * 9)}
    with pytest.raises(LostError, match=r"[ab]: the board has no power; [ab]: the board"):
        share_out([0, 1], hands, lambda _: None, retry_s=60)
    assert all(hand.stopped.is_set() for hand in hands.values())


def test_a_hand_that_never_gets_ready_holds_nobody_up() -> None:
    waiting, busy = Waiting([]), Worker([])
    share_out(range(5), {"waiting": waiting, "busy": busy}, lambda _: None)
    assert busy.did == [0, 1, 2, 3, 4] and waiting.did == []


def test_an_error_ends_the_work_and_is_raised_here() -> None:
    class Broken(Worker):
        def do(self, piece: int) -> None:
            raise OSError("the disk is full")

    waiting = Waiting([])
    with pytest.raises(OSError, match="the disk is full"):
        share_out(range(5), {"broken": Broken([]), "waiting": waiting}, lambda _: None)
    assert waiting.stopped.is_set()


class Felled(Worker):
    """Brought down by the first piece it does, and away for a while.

    Args:
        away: how often it is asked in vain after that.
    """

    def __init__(self, away: int) -> None:
        super().__init__([])
        self.away, self.down = away, False

    def ready(self) -> None:
        if self.down and self.away:
            self.away -= 1
            raise LostError("it is starting")

    def do(self, piece: int) -> None:
        if not self.down:
            self.down = True
            raise FelledError("it hangs")
        super().do(piece)


def test_hands_that_were_all_felled_go_on_once_they_are_back() -> None:
    hands = {f"unit{i}": Felled(away=CHANCES - 1) for i in range(3)}
    share_out(range(7), hands, lambda _: None, retry_s=0.001)
    assert sorted(piece for hand in hands.values() for piece in hand.did) == list(range(7))


def test_a_felled_hand_that_stays_away_is_given_up() -> None:
    hands = {"a": Felled(away=1000), "b": Worker([True] * 9)}
    with pytest.raises(LostError, match="a: it is starting"):
        share_out([0, 1], hands, lambda _: None, retry_s=0.001)
    assert hands["a"].away <= 1000 - CHANCES  # type: ignore[attr-defined]
