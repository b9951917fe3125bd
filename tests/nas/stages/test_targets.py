from __future__ import annotations

import pytest

from devices import FakeDevice
from nas.config import make_config
from nas.errors import NasError
from nas.stages.targets import make_targets


def test_device_that_names_no_kind_of_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [{"name": "board", "device": "fake"}]
    config = make_config({"space": {"name": "mobilenetv3_32"}, "data": {"source": "digits"}, "targets": targets})
    assert make_targets(config)[0].format == "onnx"
    monkeypatch.setattr(FakeDevice, "formats", ())  # as of an agent that has just gone away
    with pytest.raises(NasError, match="'board': device 'fake' names no kind of model file"):
        make_targets(config)
