"""Pieces of work that several hands do; what a hand that is lost was at, another one does."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, Protocol, TypeVar

from nas.errors import NasError

RETRY_S: Final = 30.0
"""After how long a hand that was lost tries again whether it is back."""

CHANCES: Final = 4
"""How often a hand that was felled is asked whether it is well before it is given up: a board takes time to start."""

_Piece = TypeVar("_Piece")
_Piece_contra = TypeVar("_Piece_contra", contravariant=True)


class LostError(NasError):
    """Whoever was at a piece of work is gone, and the piece is not done."""


class UnfitError(LostError):
    """Whoever was at a piece of work can do nothing now, whatever the piece."""


class FelledError(LostError):
    """What the piece asked for may be what brought its hand down, so the hand itself may be well.

    Whoever raises it sees to it that no piece does so without end.
    """


class Hand(Protocol[_Piece_contra]):
    """Does one piece after the other, in a thread of its own."""

    def ready(self) -> None:
        """Return when work can begin, which may take long.

        Raises:
            LostError: it cannot begin.
        """
        ...

    def do(self, piece: _Piece_contra) -> None:
        """Do a piece.

        Raises:
            LostError: the hand is lost; doing the piece again goes on where this one stopped.
            FelledError: the same, and only asking can tell whether the hand is well.
        """
        ...

    def stop(self) -> None:
        """Let ``ready`` and ``do`` raise ``LostError`` soon, wherever they are."""
        ...


def share_out(
    pieces: Iterable[_Piece],
    hands: Mapping[str, Hand[_Piece]],
    note: Callable[[str], None],
    *,
    retry_s: float = RETRY_S,
) -> None:
    """Have all pieces done, each hand at one at a time; a hand that is lost comes back when it can.

    Args:
        pieces: in the order they are taken.
        hands: by name.
        note: told in a sentence that a hand was lost or is back, from its thread.
        retry_s: after how long a hand that was lost tries again.

    Raises:
        LostError: every hand is lost; one that was felled only once it has been asked in vain.
        Exception: what a hand raised beside.
    """
    table = _Table(pieces, len(hands))
    threads = [
        threading.Thread(target=_work, args=(table, name, hand, note, retry_s), name=name, daemon=True)
        for name, hand in hands.items()
    ]
    for thread in threads:
        thread.start()
    try:
        table.wait_for_the_end()
    finally:
        table.end()
        for hand in hands.values():
            hand.stop()
        for thread in threads:
            thread.join()
    if table.error is not None:
        raise table.error


def _work(table: _Table[_Piece], name: str, hand: Hand[_Piece], note: Callable[[str], None], retry_s: float) -> None:
    """What a hand's thread does."""
    while not table.ended:
        try:
            hand.ready()
            if table.found(name):
                note(f"{name} is back")
            piece = table.take(name)
            if piece is None:
                return
            hand.do(piece)
            table.done(name)
        except LostError as error:
            if table.lost(name, str(error), felled=isinstance(error, FelledError)):
                note(f"{name} was lost ({error}); others take over")
            table.pause(retry_s)
        except BaseException as error:  # told in the thread that asked for the work
            table.end(error)


class _Table(Generic[_Piece]):
    """Where the pieces lie. Safe between threads."""

    def __init__(self, pieces: Iterable[_Piece], hands: int) -> None:
        self._waiting = deque(pieces)
        self._hands = hands
        self._at_work: dict[str, _Piece] = {}
        self._lost: dict[str, str] = {}
        self._chances: dict[str, int] = {}
        self._changed = threading.Condition()
        self.ended = not self._waiting
        self.error: BaseException | None = None

    def wait_for_the_end(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.ended)

    def pause(self, seconds: float) -> None:
        """Wait for a time, or until the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended, seconds)

    def take(self, name: str) -> _Piece | None:
        """The next piece for a hand; waits while others may still give one back; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or self._waiting)
            if self.ended:
                return None
            self._at_work[name] = self._waiting.popleft()
            return self._at_work[name]

    def done(self, name: str) -> None:
        """A hand's piece is done."""
        with self._changed:
            del self._at_work[name]
            if not (self._waiting or self._at_work):
                self.end()

    def found(self, name: str) -> bool:
        """A hand can begin; whether it was lost before."""
        with self._changed:
            self._chances.pop(name, None)
            return self._lost.pop(name, None) is not None and not self.ended

    def lost(self, name: str, reason: str, *, felled: bool = False) -> bool:
        """A hand is lost, and its piece lies here again; whether that is news."""
        with self._changed:
            news = name not in self._lost and not self.ended
            self._lost[name] = reason
            self._chances[name] = CHANCES if felled else self._chances.get(name, 0) - 1
            if name in self._at_work:
                piece = self._at_work.pop(name)
                # What felled one should meet another, and is met last: the one that it felled may be the first to ask.
                (self._waiting.append if felled else self._waiting.appendleft)(piece)
                self._changed.notify_all()
            if len(self._lost) == self._hands and max(self._chances.values()) <= 0:
                self.end(LostError("; ".join(f"{hand}: {why}" for hand, why in self._lost.items())))
            return news

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more is to be done, for this reason; the first one counts."""
        with self._changed:
            if not self.ended:
                self.ended, self.error = True, error
                self._changed.notify_all()
