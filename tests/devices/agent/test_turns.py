from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.agent.limits import Limits
from devices.agent.protocol import RefusedError
from devices.agent.turns import FairQueue, Turn, TurnTaker


def turn(client: str) -> Turn:
    return Turn(client, lambda: client, 10.0)


@given(st.lists(st.sampled_from("abc") | st.none(), max_size=30))
def test_no_client_waits_for_anothers_second_turn(order: list[str | None]) -> None:
    queue, waiting = FairQueue(), []
    for client in order:  # none: take one
        if client is not None:
            waiting.append(turn(client))
            queue.add(waiting[-1])
        elif waiting:
            waiting.remove(queue.take())
    assert len(queue) == len(waiting)
    told = {id(it): queue.ahead_of(it) for it in waiting}
    taken = [queue.take() for _ in waiting]
    assert [told[id(it)] for it in taken] == list(range(len(taken)))
    for client in "abc":
        mine = [it for it in taken if it.client == client]
        assert mine == [it for it in waiting if it.client == client]
    for round_ in range(len(taken)):  # until a client has none left, all have had as many turns, or one less
        counts = [sum(it.client == c for it in taken[: round_ + 1]) for c in "abc"]
        left = [counts[i] for i, c in enumerate("abc") if any(it.client == c for it in taken[round_ + 1 :])]
        assert not left or max(counts) - min(left) <= 1


def test_removed_turns_are_not_taken() -> None:
    queue, turns = FairQueue(), [turn("a"), turn("b"), turn("a")]
    for it in turns:
        queue.add(it)
    assert queue.remove(turns[1]) and not queue.remove(turns[1])
    assert queue.count("a") == 2 and queue.count("b") == 0
    assert [queue.take(), queue.take()] == [turns[0], turns[2]]


def test_who_gives_up_a_turn_keeps_the_place_in_the_rotation() -> None:
    queue = FairQueue()
    for it in (first := turn("patient"), turn("a"), turn("b")):
        queue.add(it)
    assert queue.remove(first)
    assert [queue.take().client, queue.take().client] == ["a", "b"]
    for it in (turn("a"), turn("b"), asked := turn("patient")):
        queue.add(it)
    assert queue.ahead_of(asked) == 0 and queue.take() is asked
    assert [queue.take().client for _ in range(len(queue))] == ["a", "b"]


def test_places_of_those_who_do_not_come_back_are_not_kept_for_ever() -> None:
    queue = FairQueue()
    for number in range(1000):
        queue.add(given_up := turn(str(number)))
        queue.remove(given_up)
    assert len(queue) == 0 and len(queue._waiting) <= 100


def test_too_many_turns_are_refused() -> None:
    taker = TurnTaker(Limits(waiting=3, waiting_per_client=2))
    taker.add(turn("a"))
    taker.add(turn("a"))
    with pytest.raises(RefusedError, match="2 of this client"):
        taker.add(turn("a"))
    taker.add(turn("b"))
    with pytest.raises(RefusedError, match="3 turns wait already"):
        taker.add(turn("c"))
    taker.add(turn("c"), limited=False)
    assert taker.waiting == 4


def test_turns_that_nobody_wants_any_more_are_left_out() -> None:
    taker = TurnTaker(Limits())
    unwanted = Turn("a", lambda: 1, 10.0, wanted=lambda: False)
    taker.add(unwanted)
    taker.add(last := turn("a"))
    taker.start()
    assert last.future.result(10) == "a"
    assert unwanted.future.cancelled()
    assert taker.stop(10)


def test_stopping_waits_for_the_present_turn_only_so_long() -> None:
    taker, go_on = TurnTaker(Limits()), threading.Event()
    taker.add(Turn("a", lambda: go_on.wait(120), 130.0))
    taker.start()
    while taker.waiting:
        pass
    assert not taker.stop(0.05)
    go_on.set()
    assert taker.stop(10)
