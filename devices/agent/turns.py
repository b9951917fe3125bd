"""Who may use a board next: one at a time, clients in rotation, and nobody for ever."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from devices.agent.limits import Limits
from devices.agent.protocol import RefusedError
from devices.errors import DeviceError

HUNG = "an earlier model has hung on this board and still does; restart the agent"
_KEPT_PLACES = 64


class HungError(DeviceError):
    """The board hangs, and nothing can be done there."""


@dataclass(eq=False)
class Turn:
    """Something to be done while nothing else is done on the board.

    Attributes:
        client: whose turn it is.
        work: what is done; the future gets its result.
        limit_s: work that takes longer has hung.
        wanted: whether anybody still waits for it, asked when it would begin; if not, the future is cancelled.
    """

    client: str
    work: Callable[[], Any]
    limit_s: float
    wanted: Callable[[], bool] = lambda: True
    future: Future[Any] = field(default_factory=Future)


class FairQueue:
    """Turns in order, where each client's first comes before any client's second. Not safe between threads.

    A client whose turn is taken out keeps its place in the rotation, so that asking again is no worse than waiting.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Turn]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def count(self, client: str) -> int:
        """How many turns of a client wait."""
        return len(self._waiting.get(client, ()))

    def add(self, turn: Turn) -> None:
        """Put a turn behind the other ones of its client."""
        self._waiting.setdefault(turn.client, deque()).append(turn)

    def take(self) -> Turn:
        """The next turn; its client goes to the end of the rotation."""
        client, turns = next(place for place in self._waiting.items() if place[1])
        turn = turns.popleft()
        self._waiting.move_to_end(client)
        if not turns:
            del self._waiting[client]
        return turn

    def remove(self, turn: Turn) -> bool:
        """Take a turn out, and say whether it was there."""
        turns = self._waiting.get(turn.client, deque())
        if turn not in turns:
            return False
        turns.remove(turn)
        for client in [client for client, left in self._waiting.items() if not left][:-_KEPT_PLACES]:
            del self._waiting[client]
        return True

    def ahead_of(self, turn: Turn) -> int:
        """How many turns would be taken before this one if no more came."""
        clients = list(self._waiting)
        place = self._waiting[turn.client].index(turn)
        before = clients.index(turn.client)
        return (
            sum(
                min(len(turns), place + (position < before))
                for position, (client, turns) in enumerate(self._waiting.items())
                if client != turn.client
            )
            + place
        )


class TurnTaker:
    """Takes the turns of a board, one after the other.

    Work that hangs cannot be stopped from outside. Its turn ends with an error, and so does every later one until the
    hung work ends after all: measuring beside it would give figures of two models at once.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._queue = FairQueue()
        self._changed = threading.Condition()
        self._stopping = False
        self._hung: threading.Thread | None = None
        self._thread = threading.Thread(target=self._take_turns, name="turns", daemon=True)

    def start(self) -> None:
        """Begin with the first turn."""
        self._thread.start()

    def stop(self, within_s: float) -> bool:
        """Take no more turns, and say whether the present one has ended within this time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(within_s)
        return not self._thread.is_alive()

    @property
    def hung(self) -> bool:
        """Whether earlier work still hangs."""
        return self._hung is not None and self._hung.is_alive()

    @property
    def waiting(self) -> int:
        """How many turns wait."""
        with self._changed:
            return len(self._queue)

    def add(self, turn: Turn, *, limited: bool = True) -> None:
        """Queue a turn.

        Args:
            turn: to be taken after those that wait.
            limited: whether it may be refused; not where it was promised before the agent was started anew.

        Raises:
            RefusedError: too many wait already, of this client or of all.
        """
        with self._changed:
            mine = self._queue.count(turn.client)
            if limited and (len(self._queue) >= self._limits.waiting or mine >= self._limits.waiting_per_client):
                message = f"{len(self._queue)} turns wait already, {mine} of this client; ask again later"
                raise RefusedError(429, "queue_full", message)
            self._queue.add(turn)
            self._changed.notify_all()

    def withdraw(self, turn: Turn) -> bool:
        """Give up a turn, and say whether it had not begun."""
        with self._changed:
            return self._queue.remove(turn)

    def ahead_of(self, turn: Turn) -> int:
        """How many turns come before this one; 0 if it is being taken."""
        with self._changed:
            try:
                return self._queue.ahead_of(turn)
            except (KeyError, ValueError):
                return 0

    def _take_turns(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or len(self._queue))
                if self._stopping:
                    return
                turn = self._queue.take()
            if not turn.wanted():
                turn.future.cancel()
            elif self.hung:
                turn.future.set_exception(HungError(HUNG))
            else:
                self._take(turn)

    def _take(self, turn: Turn) -> None:
        thread = threading.Thread(target=_work, args=(turn,), daemon=True)
        thread.start()
        thread.join(turn.limit_s)
        if thread.is_alive():
            self._hung = thread
            with suppress(InvalidStateError):
                turn.future.set_exception(
                    HungError(f"no answer from the device after {turn.limit_s:g} s: it has hung; restart the agent")
                )


def _work(turn: Turn) -> None:
    try:
        result = turn.work()
    except BaseException as error:  # a device that asks the interpreter to end has failed like any other
        known = error if isinstance(error, Exception) else DeviceError(f"{type(error).__name__}: {error}")
        with suppress(InvalidStateError):
            turn.future.set_exception(known)
    else:
        with suppress(InvalidStateError):
            turn.future.set_result(result)
