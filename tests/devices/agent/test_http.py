"""What an agent answers to clients that are rude, slow or hostile."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from devices import Artifact, DeviceError, FakeDevice, MeasureSettings
from devices.agent.protocol import MeasureRequest, PredictRequest
from devices.agent.server import Agent
from devices.agent.wire import pack

Serve = Callable[..., Agent]
WORDS = "correct-horse-battery-staple"


def port_of(agent: Agent) -> int:
    return int(agent.url.rpartition(":")[2])


def said(agent: Agent, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Everything that comes back for raw bytes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port_of(agent)), timeout=60) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
            while block := connection.recv(65536):
                answer += block
        except OSError:  # cut off, as is the agent's right
            pass
    return answer


def http(agent: Agent, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, Any]]:
    lines = {
        "Host": "127.0.0.1",
        "Content-Length": str(len(body)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    answer = said(agent, f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    status, _, rest = answer.partition(b"\r\n")
    return int(status.split()[1]), json.loads(rest.partition(b"\r\n\r\n")[2] or b"{}")


def test_health_and_versions_need_no_token_and_all_else_does(serve: Serve) -> None:
    agent = serve({"cpu": FakeDevice()}, token=WORDS)
    assert http(agent, "GET", "/health") == (200, {"status": "ok", "name": "hwnas-agent"})
    assert http(agent, "GET", "/protocol")[1]["versions"] == [1]
    for method, path in (
        ("GET", "/metrics"), ("GET", "/v1/devices"), ("GET", "/v1/artifacts/" + "0" * 64), ("POST", "/v1/measurements"),
        ("PUT", "/v1/artifacts/" + "0" * 64), ("POST", "/v1/predictions"), ("GET", "/nowhere"), ("GET", "/health/"),
        ("DELETE", f"/v1/measurements/{'0' * 64}/{'0' * 16}?client=me"), ("GET", "/health/../v1/devices"),
    ):  # fmt: skip
        for given in ({}, {"Authorization": f"Bearer {WORDS}x"}, {"Authorization": f"Basic {WORDS}"},
                      {"Authorization": "Bearer"}, {"Authorization": "Bearer \xe9"}):  # fmt: skip
            assert http(agent, method, path, **given)[0] == 401
    assert http(agent, "GET", "/v1/devices", Authorization=f"bearer {WORDS}")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404), ("POST", "/health", 404), ("GET", "/v2/devices", 400), ("GET", "/v1/artifacts/..%2f..", 404),
        ("GET", "/v1/artifacts/../../journal.sqlite", 404), ("PUT", "/v1/artifacts/" + "A" * 64, 404),
        ("DELETE", f"/v1/measurements/{'0' * 64}/../../x?client=me", 404), ("PATCH", "/v1/devices", 501),
        ("DELETE", f"/v1/measurements/{'0' * 64}/{'0' * 16}?client=../x", 400),
        ("DELETE", f"/v1/measurements/{'0' * 64}/{'0' * 16}?client=me", 200),
    ],
)  # fmt: skip
def test_paths_that_lead_nowhere(method: str, path: str, status: int, serve: Serve) -> None:
    agent = serve({"cpu": FakeDevice()})
    answer = said(agent, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status)


def test_a_version_that_is_not_spoken_is_told_both_sides_versions(serve: Serve) -> None:
    told = http(serve({"cpu": FakeDevice()}), "GET", "/v7/devices")[1]["error"]
    assert told["code"] == "version"
    assert "speaks version 7 of the protocol, this side 1" in told["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": 9}', b"\x00" * 50, b"[" * 60_000])
def test_malformed_messages_are_refused(body: bytes, serve: Serve) -> None:
    agent = serve({"cpu": FakeDevice()})
    for path in ("/v1/measurements", "/v1/predictions"):
        status, told = http(agent, "POST", path, body)
        assert (status, told["error"]["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("change", "images", "code"),
    [({"count": 2}, 768, "malformed"), ({}, 767, "malformed"), ({"device": "gpu"}, 768, "unknown_device"),
     ({}, 768, "artifact_missing"), ({"count": 2**26, "artifact": {}}, 768, "malformed")],
)  # fmt: skip
def test_images_that_do_not_fit_are_refused(
    change: dict[str, Any], images: int, code: str, serve: Serve, model: Callable[..., Artifact]
) -> None:
    message = {**PredictRequest("me", "cpu", model(), 1, 1).to_json(), **change}
    status, told = http(serve({"cpu": FakeDevice()}), "POST", "/v1/predictions", pack(message, bytes(images)))
    assert status in (400, 404, 409) and told["error"]["code"] == code


def test_requests_of_no_or_too_great_length_are_refused(
    serve: Serve, model: Callable[..., Artifact], settings: MeasureSettings
) -> None:
    agent = serve({"cpu": FakeDevice()}, artifact_bytes=1000)
    sha256 = "0" * 64
    assert http(agent, "POST", "/v1/measurements", b"x" * 70_000)[0] == 413
    assert http(agent, "PUT", f"/v1/artifacts/{sha256}", b"x" * 70_000, Content_Range="bytes 0-69999/70000")[0] == 413
    assert http(agent, "PUT", f"/v1/artifacts/{sha256}", b"x" * 10, Content_Range="bytes 0-9/99999")[0] == 413
    assert http(agent, "PUT", f"/v1/artifacts/{sha256}", b"x" * 10, Content_Range="bytes 0-5/10")[0] == 400
    assert http(agent, "PUT", f"/v1/artifacts/{sha256}", b"x" * 10)[0] == 400
    assert http(agent, "POST", "/v1/measurements", Content_Length="-1")[0] == 411
    assert http(agent, "POST", "/v1/measurements", Content_Length="1e3")[0] == 411
    assert http(agent, "POST", "/v1/measurements", b"0\r\n\r\n", Transfer_Encoding="chunked")[0] == 411
    message = {**MeasureRequest("me", "cpu", model(), settings).to_json(), "wait_s": -1}
    assert http(agent, "POST", "/v1/measurements", json.dumps(message).encode())[0] == 400


def test_an_upload_that_ends_early_or_is_corrupt_is_not_taken_for_whole(serve: Serve) -> None:
    agent = serve({"cpu": FakeDevice()})
    content = b"0123456789"
    path = f"/v1/artifacts/{hashlib.sha256(content).hexdigest()}"
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nContent-Range: bytes 0-9/10\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port_of(agent))) as connection:
        connection.sendall(head.encode() + content[:4])
    until = time.monotonic() + 30
    while http(agent, "GET", path)[1]["received"] != 4:
        assert time.monotonic() < until
    assert http(agent, "PUT", path, content[3:], Content_Range="bytes 3-9/10")[1]["error"]["code"] == "offset"
    assert http(agent, "PUT", path, b"garbag", Content_Range="bytes 4-9/10")[1]["error"]["code"] == "digest"
    assert http(agent, "GET", path)[1] == {"version": 1, "received": 0, "whole": False}
    assert http(agent, "PUT", path, content, Content_Range="bytes 0-9/10")[1]["whole"]


def test_slow_clients_are_cut_off_and_others_served(serve: Serve) -> None:
    agent = serve({"cpu": FakeDevice()}, request_s=1.0, bytes_per_s=10_000_000)
    head = b"POST /v1/measurements HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    assert said(agent, *[bytes([byte]) for byte in head[:20]], pause_s=0.1) == b""
    answer = said(agent, head, b"x", b"x", pause_s=1.0)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    assert http(agent, "GET", "/health")[0] == 200


def test_no_more_is_read_before_the_body_than_headers_need(serve: Serve, log: list[str]) -> None:
    agent = serve({"cpu": FakeDevice()}, token=WORDS)
    words = b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"A: %s\r\n" % (b"x" * 20_000) * 3
    assert said(agent, words + b"\r\n").startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(("127.0.0.1", port_of(agent)), timeout=60) as connection:
        connection.sendall(words + b"A: %s" % (b"x" * 10_000))  # and no end of headers
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    assert any("longer than it may be" in line for line in log)


def test_silence_ends_an_upload_and_lets_go_of_its_file(serve: Serve) -> None:
    agent = serve({"cpu": FakeDevice()}, request_s=1.0, bytes_per_s=100)
    content = b"0123456789" * 20_000
    path = f"/v1/artifacts/{hashlib.sha256(content).hexdigest()}"
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\nContent-Range: bytes 0-199999/200000\r\n"
    )
    answer = said(agent, f"{head}\r\n".encode() + content[:150_000])  # its length would allow 2000 s
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    there = http(agent, "GET", path)[1]["received"]
    assert 100_000 < there <= 150_000
    assert http(agent, "PUT", path, content[there:], Content_Range=f"bytes {there}-199999/200000")[1]["whole"]


def test_too_many_connections_are_told_to_come_again(serve: Serve) -> None:
    agent = serve({"cpu": FakeDevice()}, connections=2)
    idle = [socket.create_connection(("127.0.0.1", port_of(agent))) for _ in range(2)]
    answer = said(agent, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 503 ")
    for connection in idle:
        connection.close()
    until = time.monotonic() + 30
    while not said(agent, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 200 "):
        assert time.monotonic() < until


def test_without_a_token_web_pages_are_refused(serve: Serve) -> None:
    agent = serve({"cpu": FakeDevice()})
    assert http(agent, "GET", "/v1/devices", Host="evil.example:8765")[0] == 403
    assert http(agent, "GET", "/v1/devices", Host="")[0] == 403
    assert http(agent, "POST", "/v1/measurements", b"{}", Origin="http://evil.example")[0] == 403
    for host in ("localhost", "127.0.0.1:8765", "[::1]:8765"):
        assert http(agent, "GET", "/v1/devices", Host=host)[0] == 200


def test_the_log_holds_requests_and_no_secrets(serve: Serve, log: list[str]) -> None:
    agent = serve({"cpu": FakeDevice()}, token=WORDS)
    http(agent, "GET", f"/v1/devices?token={WORDS}", Authorization=f"Bearer {WORDS}")
    said(agent, b"GET /\x1b[31m\xff HTTP/1.1\r\nHost: localhost\r\n\r\n")
    said(agent, WORDS.encode() * 100 + b"\r\n\r\n")
    assert any("GET /v1/devices 200" in line for line in log)
    assert any("could not be read: 400" in line for line in log)
    assert all(line.isprintable() and line.isascii() for line in log)
    assert not any(WORDS in line for line in log)


def test_metrics_are_what_prometheus_reads(
    serve: Serve, remote: Any, model: Callable[..., Artifact], settings: MeasureSettings
) -> None:
    agent = serve({"cpu": FakeDevice()})
    remote(agent.url).measure(model(), settings)
    answer = said(agent, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").decode()
    assert 'hwnas_agent_measurements_total{device="cpu",outcome="made"} 1\n' in answer
    assert 'hwnas_agent_requests_total{method="POST",status="200"} 1\n' in answer
    assert "hwnas_agent_uploaded_bytes_total 5\n" in answer
    assert "hwnas_agent_results_kept 1\n" in answer
    assert "# TYPE hwnas_agent_hung gauge\nhwnas_agent_hung 0\n" in answer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": "0.0.0.0"}, "a token is needed"),  # noqa: S104 (refused)
        ({"token": "short"}, "16 or more"),
        ({"token": "new\nline" * 5}, "16 or more"),
        ({"host": "192.0.2.1", "token": WORDS}, "cannot listen"),
    ],
)
def test_an_agent_that_would_not_be_safe_does_not_start(options: dict[str, str], message: str, serve: Serve) -> None:
    with pytest.raises(DeviceError, match=message):
        serve({"cpu": FakeDevice()}, **options)


def test_two_agents_do_not_share_a_directory(serve: Serve) -> None:
    serve({"cpu": FakeDevice()})
    with pytest.raises(DeviceError, match="another agent is using"):
        serve({"cpu": FakeDevice()})


@pytest.mark.skipif(which("openssl") is None, reason="no openssl to make a certificate with")
def test_connections_are_encrypted_and_only_the_named_certificate_is_trusted(
    *,
    serve: Serve,
    remote: Any,
    model: Callable[..., Artifact],
    settings: MeasureSettings,
    tmp_path: Path,
    log: list[str],
) -> None:
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=board"
    files = {name: tmp_path / f"{name}.pem" for name in ("certificate", "key")}
    command = [*words.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(files["key"]), "-out", str(files["certificate"])]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files["certificate"], files["key"])
    agent = serve({"cpu": FakeDevice()}, token=WORDS, tls=tls)
    (tmp_path / "token").write_text(WORDS)
    options = {"token_file": str(tmp_path / "token"), "unreachable_s": 0.2}
    assert remote(agent.url, certificate=str(files["certificate"]), **options).measure(model(), settings).ok
    assert "is not trusted" in str(remote(agent.url, **options).measure(model(), settings).error)
    plain = agent.url.replace("https", "http")
    assert "no answer from the agent" in str(remote(plain, **options).measure(model(), settings).error)
    assert any("connection failed: SSL" in line for line in log)
