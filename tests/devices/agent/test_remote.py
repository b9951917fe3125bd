"""A remote device over a real connection: what goes right, and that whatever goes wrong is a row or a clear refusal."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devices import Artifact, DeviceError, FakeDevice, Measurement, MeasureSettings, get_device
from devices.agent.server import Agent
from devices.measurement import AGE

Serve = Callable[..., Agent]
Model = Callable[..., Artifact]
WORDS = "correct-horse-battery-staple"


def test_a_board_measures_what_the_device_on_it_measures(
    serve: Serve, remote: Any, model: Model, settings: MeasureSettings
) -> None:
    device = remote(serve({"cpu": FakeDevice(seed=3)}).url)
    here = FakeDevice(seed=3).measure(model(), settings)
    there = device.measure(model(), settings)
    assert there.error is None
    assert there.latencies_s == here.latencies_s
    assert dict(there.environment)["agent"].startswith("http://127.0.0.1:")
    assert device.unavailable_reason() is None
    assert device.formats == ("onnx", "tflite")


def test_identity_is_the_boards_and_not_the_addresses(serve: Serve, remote: Any) -> None:
    one = remote(serve({"cpu": FakeDevice()}, directory="one").url)
    other = remote(serve({"another-name": FakeDevice()}, directory="other").url)
    assert one.info() == other.info()
    assert one.info().cpu == "simulated"
    assert dict(one.info().options)["measured_by"] == "fake"
    different = remote(serve({"cpu": FakeDevice(seed=1)}, directory="different").url)
    assert different.info().key != one.info().key


def test_asking_again_measures_again_once_the_result_has_arrived(
    serve: Serve, remote: Any, counting: Any, model: Model, settings: MeasureSettings
) -> None:
    device = remote(serve({"cpu": counting}).url)
    for expected in (1, 2, 3):
        assert device.measure(model(), settings).ok
        assert len(counting.measured) == expected


def test_a_result_that_was_not_acknowledged_is_kept_for_whoever_asks(
    serve: Serve, remote: Any, counting: Any, model: Model, settings: MeasureSettings
) -> None:
    url = serve({"cpu": counting}).url
    first = remote(url).measure(model(), settings)
    second = remote(url).measure(model(), settings)  # as if the first process had been killed before it kept the result
    assert first == second
    assert len(counting.measured) == 1


def test_two_clients_that_race_for_one_measurement_get_the_same(
    serve: Serve, remote: Any, counting: Any, model: Model, settings: MeasureSettings
) -> None:
    counting.go_on.clear()
    url, artifact, made = serve({"cpu": counting}).url, model(), []
    threads = [threading.Thread(target=lambda: made.append(remote(url).measure(artifact, settings))) for _ in range(3)]
    for thread in threads:
        thread.start()
    counting.begun.wait(120)
    counting.go_on.set()
    for thread in threads:
        thread.join(120)
    assert len(set(made)) == 1 and made[0].ok and len(made) == 3
    assert len(counting.measured) == 1


def test_clients_that_race_for_one_board_take_turns(
    serve: Serve, remote: Any, counting: Any, model: Model, settings: MeasureSettings
) -> None:
    url = serve({"one": counting, "other": counting}).url
    made: list[Measurement] = []
    # Written before the race: two clients ask for each.
    models = {name: [model(f"{name} {i}".encode()) for i in range(5)] for name in ("one", "other")}

    def campaign(name: str) -> None:
        device = remote(url, device=name)
        for artifact in models[name]:
            made.append(device.measure(artifact, settings))

    threads = [threading.Thread(target=campaign, args=(name,)) for name in models for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [it.error for it in made] == [None] * 20
    assert counting.most_at_once == 1
    assert len(set(counting.measured)) == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no token; give the agent's token with the option token_file or token_env"),
        ({"token": "another-horse-battery-staple"}, "another token than the agent's"),
        ({"token_env": "HWNAS_TEST_UNSET"}, "HWNAS_TEST_UNSET .* is not set"),
        ({"token_file": "no/such/file"}, "no/such/file"),
    ],
)
def test_a_wrong_token_is_a_row_with_what_to_do(
    *, options: dict[str, str], message: str, serve: Serve, remote: Any, model: Model, settings: MeasureSettings,
    tmp_path: Path, log: list[str],
) -> None:  # fmt: skip
    agent = serve({"cpu": FakeDevice()}, token=WORDS)
    if "token" in options:
        (tmp_path / "token").write_text(options["token"])
        options = {"token_file": str(tmp_path / "token")}
    device = remote(agent.url, **options)
    failed = device.measure(model(), settings)
    assert failed.error is not None
    assert re.search(message, failed.error)
    assert re.search(message, str(device.unavailable_reason()))
    assert not any("horse" in line for line in log)


def test_files_of_the_options_may_lie_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text("two\nlines")
    for options, message in (
        ({"url": "http://board", "token_file": "~/token"}, "has to be one line"),
        ({"url": "https://board", "certificate": "~/none"}, f"cannot use the certificate {tmp_path / 'none'}"),
    ):
        assert message in str(get_device("remote", options).unavailable_reason())


def test_the_right_token_opens(
    *,
    serve: Serve,
    remote: Any,
    model: Model,
    settings: MeasureSettings,
    monkeypatch: pytest.MonkeyPatch,
    log: list[str],
) -> None:
    agent = serve({"cpu": FakeDevice()}, token=WORDS)
    monkeypatch.setenv("HWNAS_TEST_WORDS", WORDS + "\n")
    assert remote(agent.url, **{"token_env": "HWNAS_TEST_WORDS"}).measure(model(), settings).ok
    assert log and not any(WORDS in line for line in log)


def test_failures_of_the_device_are_rows_and_are_tried_again(
    serve: Serve, remote: Any, counting: Any, model: Model, settings: MeasureSettings
) -> None:
    device = remote(serve({"cpu": counting}).url)
    counting.error = MemoryError("no memory")
    assert device.measure(model(), settings).error == "MemoryError: no memory"
    counting.error = SystemExit(3)
    assert device.measure(model(), settings).error == "SystemExit: 3"
    counting.error = None
    assert device.measure(model(), settings).ok


def test_a_hung_device_is_a_row_and_nothing_is_measured_beside_it(
    serve: Serve, remote: Any, counting: Any, model: Model, settings: MeasureSettings
) -> None:
    counting.go_on.clear()
    agent = serve({"cpu": counting, "healthy": FakeDevice()}, grace_s=0.2)
    hasty = replace(settings, timeout_s=0.2)
    stuck, healthy = remote(agent.url, device="cpu"), remote(agent.url, device="healthy")
    assert healthy.unavailable_reason() is None
    assert "has hung" in str(stuck.measure(model(), hasty).error)
    assert "restart the agent" in str(healthy.measure(model(), settings).error)
    assert health(agent) == 503
    assert "restart the agent" in str(healthy.unavailable_reason())
    counting.go_on.set()
    while health(agent) == 503:
        time.sleep(0.01)
    assert healthy.unavailable_reason() is None
    # Somebody else asks: that the board hung is not kept for them.
    assert remote(agent.url, device="cpu").measure(model(), hasty).ok
    assert remote(agent.url, device="healthy").measure(model(), settings).ok


def health(agent: Agent) -> int:
    connection = http.client.HTTPConnection(agent.url.partition("//")[2], timeout=30)
    connection.request("GET", "/health")
    status = connection.getresponse().status
    connection.close()
    return status


def test_settings_and_files_that_the_agent_does_not_take_are_rows(
    serve: Serve, remote: Any, model: Model, settings: MeasureSettings
) -> None:
    agent = serve({"cpu": FakeDevice()}, artifact_bytes=1000, disk_bytes=1500, timeout_s=100.0)
    device = remote(agent.url)
    assert "allows at most 100" in str(device.measure(model(), replace(settings, timeout_s=101.0)).error)
    assert "takes 1 to 1000" in str(device.measure(model(b"x" * 1001), settings).error)
    assert "is empty" in str(device.measure(model(b""), settings).error)
    assert [device.measure(model(bytes([i]) * 900), settings).error for i in range(4)] == [None] * 4


def test_the_device_has_to_be_chosen_where_there_are_several(
    serve: Serve, remote: Any, model: Model, settings: MeasureSettings
) -> None:
    url = serve({"one": FakeDevice(), "other": FakeDevice()}).url
    assert "choose one with the option device: one, other" in str(remote(url).measure(model(), settings).error)
    assert "no device 'third'" in str(remote(url, device="third").unavailable_reason())
    assert remote(url, device="other").measure(model(), settings).ok


def test_a_board_without_room_says_so_until_somebody_may_try_again(
    serve: Serve, remote: Any, model: Model, settings: MeasureSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = serve({"cpu": FakeDevice()}, free_bytes=2**60)
    device = remote(agent.url)
    assert device.unavailable_reason() is None
    assert "no room" in str(device.measure(model(), settings).error)
    assert "no room for 5 more bytes" in str(remote(agent.url).unavailable_reason())
    monkeypatch.setattr("devices.agent.server._FULL_S", 0.0)
    assert device.unavailable_reason() is None


def test_a_result_that_waited_is_as_old_as_it_is(
    serve: Serve, remote: Any, counting: Any, model: Model, settings: MeasureSettings
) -> None:
    counting.simulated = False
    agent = serve({"cpu": counting})
    began_s = time.monotonic()
    first = dict(remote(agent.url).measure(model(), settings).environment)
    time.sleep(0.3)
    again = dict(remote(agent.url).measure(model(), settings).environment)
    assert len(counting.measured) == 1
    assert float(first[AGE]) >= 0.0
    assert 0.3 <= float(again[AGE]) <= time.monotonic() - began_s


def test_another_board_at_the_same_address_is_not_taken_for_the_first(
    serve: Serve, remote: Any, model: Model, settings: MeasureSettings
) -> None:
    agent = serve({"cpu": FakeDevice()})
    device = remote(agent.url)
    assert device.measure(model(), settings).ok
    port = int(agent.url.rpartition(":")[2])
    agent.stop()
    serve({"cpu": FakeDevice(seed=1)}, directory="other", port=port)
    assert "is another than at the beginning" in str(device.measure(model(), settings).error)


def test_no_agent_is_a_row_and_a_reason(remote: Any, model: Model, settings: MeasureSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    device = remote(f"http://127.0.0.1:{port}", unreachable_s=0.3)
    assert "is it running" in str(device.measure(model(), settings).error)
    assert "is it running" in str(device.unavailable_reason())
    assert device.formats == () and device.info().runtime_version == "missing"
    nowhere = get_device("remote")
    assert "option url" in str(nowhere.unavailable_reason())
    assert "option url" in str(nowhere.measure(model(), settings).error)
    with pytest.raises(DeviceError, match="option url"):
        nowhere.open(model())


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://board"}, {"url": "http://user:secret@board:1"}, {"url": "http://board:port"},
        {"url": "http://board/path"}, {"url": "https://board", "certificate": "no/such/file"},
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_used_are_reasons(options: dict[str, str]) -> None:
    reason = str(get_device("remote", options).unavailable_reason())
    assert "http://HOST:PORT" in reason or "no/such/file" in reason
    assert "secret" not in reason


@pytest.mark.parametrize("options", [{"url": 1}, {"wait_s": 0}, {"unreachable_s": True}, {"token": "x"},
                                     {"token_env": "A", "token_file": "b"}])  # fmt: skip
def test_options_of_the_wrong_kind_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(DeviceError, match="remote"):
        get_device("remote", options)


def test_waiting_ends(serve: Serve, remote: Any, counting: Any, model: Model, settings: MeasureSettings) -> None:
    counting.go_on.clear()
    url = serve({"cpu": counting}).url
    failed = remote(url, wait_s=0.3).measure(model(), settings)
    assert "wait_s" in str(failed.error) and "turns before it" in str(failed.error)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc")
def test_nothing_is_left_behind_by_many_measurements(
    serve: Serve, remote: Any, model: Model, settings: MeasureSettings
) -> None:
    device = remote(serve({"cpu": FakeDevice()}).url)

    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    assert device.measure(model(), settings).ok
    until, before = time.monotonic() + 60, held()
    for i in range(40):
        assert device.measure(model(bytes([i])), settings).ok
    while held() > before:  # the last connections are being closed
        assert time.monotonic() < until
        time.sleep(0.01)
