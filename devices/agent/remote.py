"""A device of another board, reached through the agent that runs there."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from devices.agent.protocol import RefusedError
from devices.artifact import Artifact, Format
from devices.device import DeviceInfo, LoadedModel
from devices.errors import DeviceError
from devices.measurement import REFUSED, Measurement, MeasureSettings
from devices.paths import user_path
from devices.registry import register_device

if TYPE_CHECKING:
    from devices.agent.link import Link


@register_device("remote")
class RemoteDevice:
    """A device of another board, measured there by the agent at a url (`nas devices serve` or the bundled file).

    Who it is does not depend on the agent's address, so equal boards share their measurements.

    Args:
        url: of the agent: ``http://HOST:PORT`` or ``https://HOST:PORT``.
        device: which of the agent's devices; may be left out where it offers one.
        token_env: environment variable that holds the agent's token.
        token_file: file that holds it.
        certificate: file with the certificate to trust, where the agent's is not signed by an authority.
        wait_s: a measurement that has not come back after this long has failed, other clients' turns included.
        unreachable_s: an agent that has not been reached for this long is given up; restarting one may take as long.

    Raises:
        DeviceError: an option of the wrong kind.
    """

    name: ClassVar[str] = "remote"

    def __init__(
        self,
        *,
        url: str | None = None,
        device: str | None = None,
        token_env: str | None = None,
        token_file: str | None = None,
        certificate: str | None = None,
        wait_s: float = 3600.0,
        unreachable_s: float = 60.0,
    ) -> None:
        texts = {"url": url, "device": device, "token_env": token_env}
        texts |= {"token_file": token_file, "certificate": certificate}
        for option, text in texts.items():
            if text is not None and not isinstance(text, str):
                raise DeviceError(f"remote device option {option} is {text!r}; give a text")
        for option, value in {"wait_s": wait_s, "unreachable_s": unreachable_s}.items():
            if isinstance(value, bool) or not (math.isfinite(value) and value > 0):
                raise DeviceError(f"remote device option {option} is {value!r}; give seconds, more than 0")
        if token_env is not None and token_file is not None:
            raise DeviceError("remote device options token_env and token_file exclude each other; give one")
        self._url, self._device, self._token_env = url, device, token_env
        self._token_file, self._certificate = _at_home(token_file), _at_home(certificate)
        self._wait_s, self._unreachable_s = wait_s, unreachable_s
        self._made: Link | None = None

    @property
    def formats(self) -> tuple[Format, ...]:
        """Kinds of files it can run; none while the agent cannot be asked."""
        try:
            return self._link().offer(hurry=True).formats
        except DeviceError:
            return ()

    def info(self) -> DeviceInfo:
        """Who the device on the board is, under the name it has here; unknown while the agent cannot be asked."""
        try:
            found = self._link().offer(hurry=True).info
        except DeviceError:
            return DeviceInfo(
                name=self.name,
                kind="cpu",
                runtime="agent",
                runtime_version="missing",
                cpu="unknown",
                cores=1,
                machine="unknown",
                system="unknown",
            )
        return replace(found, name=self.name, options=(("measured_by", found.name), *found.options))

    def unavailable_reason(self) -> str | None:
        """Why nothing can be measured through the agent and what to do about it, or none."""
        try:
            return self._link().asked_offer(hurry=True).unavailable_reason
        except DeviceError as error:
            return str(error)

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        """Have a model file measured. Whatever goes wrong is a failed measurement, never an exception."""
        where = (("agent", str(self._url)),)
        try:
            made = self._link().measure(artifact, settings)
        except DeviceError as error:
            refused = ((REFUSED, error.code),) if isinstance(error, RefusedError) else ()
            return Measurement.failed(artifact, self.name, settings, str(error), (*where, *refused))
        return replace(made, device=self.name, environment=(*made.environment, *where))

    def open(self, artifact: Artifact, threads: int = 1) -> LoadedModel:
        """Load a model file into its runtime on the board; its images and logits travel.

        Raises:
            DeviceError: as for every device, or the agent cannot be reached.
        """
        return self._link().open(artifact, threads)

    def close(self) -> None:
        """Tell the agent that all results have arrived; it runs on."""
        if self._made is not None:
            with suppress(DeviceError):
                self._made.acknowledge(hurry=True)

    def _link(self) -> Link:
        """What HTTP needs is loaded when an agent is asked: a worker that measures has no use for it."""
        if self._made is None:
            from devices.agent.link import make_link  # noqa: PLC0415 (see above)

            if self._url is None:
                raise DeviceError(
                    "the remote device does not know its agent; give it the option url, such as "
                    "http://192.168.1.7:8765, where `nas devices serve` or `python agent.pyz serve` runs"
                )
            self._made = make_link(
                self._url,
                device=self._device,
                token_env=self._token_env,
                token_file=self._token_file,
                certificate=self._certificate,
                wait_s=self._wait_s,
                unreachable_s=self._unreachable_s,
            )
        return self._made


def _at_home(place: str | None) -> str | None:
    return None if place is None else str(user_path(place))
