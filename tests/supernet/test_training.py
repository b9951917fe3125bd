from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from search_spaces import SearchSpace, get_space
from supernet import (
    SubnetEvaluator,
    Supernet,
    SupernetError,
    TrainData,
    TrainProgress,
    TrainSettings,
    load_supernet,
    train,
)
from supernet.checkpoint import load_checkpoint
from supernet.data import TrainBatches
from supernet.schedule import learning_rate

SETTINGS = TrainSettings(
    epochs=8, batch_size=16, learning_rate=0.1, warmup_epochs=0.5, crop_padding=1, threads=1, checkpoint_every_s=0
)


class StoppedError(Exception):
    pass


def stop_at(step: int) -> Callable[[TrainProgress], None]:
    def progress(at: TrainProgress) -> None:
        if at.step >= step:
            raise StoppedError

    return progress


def weights(directory: Path) -> bytes:
    return (directory / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def trained(tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trained")
    train(tiny_space, coloured_squares, SETTINGS, directory)
    return directory


def test_a_trained_supernet_tells_the_classes_apart_at_every_size(
    trained: Path, tiny_space: SearchSpace, coloured_squares: TrainData
) -> None:
    supernet = load_supernet(tiny_space, trained)
    data, split = coloured_squares, coloured_squares.split
    evaluator = SubnetEvaluator(supernet, data.images, data.preprocessing, split.calibration, split.test)
    assert evaluator.accuracy(tiny_space.largest()) >= 0.9
    assert evaluator.accuracy(tiny_space.smallest()) >= 0.8


def test_the_log_has_a_row_an_epoch(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    watched = {f"validation_accuracy_{name}" for name in ("smallest", "largest", "random")}
    assert all({"loss", "learning_rate", "seconds", *watched} <= row.keys() for row in rows)


@pytest.mark.parametrize("solo_share", [0.0, 0.5])
def test_a_stopped_run_resumes_to_the_same_weights(
    solo_share: float, tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, epochs=2, solo_share=solo_share)
    train(tiny_space, coloured_squares, settings, tmp_path / "whole")
    for step in (1, 3, 6):
        # Progress is reported twice a second; every step here would be too quick for it.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("supernet.records._PROGRESS_EVERY_S", 0.0)
            with pytest.raises(StoppedError):
                train(tiny_space, coloured_squares, settings, tmp_path / "parts", stop_at(step))
    train(tiny_space, coloured_squares, settings, tmp_path / "parts")
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    logs = [
        [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in text.splitlines()]
        for text in ((tmp_path / part / "log.jsonl").read_text() for part in ("parts", "whole"))
    ]
    assert logs[0] == logs[1]


def test_bfloat16_trains_too(tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path) -> None:
    settings = replace(SETTINGS, precision="bfloat16")
    supernet = train(tiny_space, coloured_squares, settings, tmp_path)
    assert all(p.dtype == torch.float32 for p in supernet.parameters())
    row = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert row["validation_accuracy_largest"] >= 0.8


def test_other_settings_do_not_continue_a_checkpoint(
    trained: Path, tiny_space: SearchSpace, coloured_squares: TrainData
) -> None:
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    with pytest.raises(SupernetError, match=r"train\.learning_rate is 0\.2 and was 0\.1\. Go on with those"):
        train(tiny_space, coloured_squares, replace(SETTINGS, learning_rate=0.2), trained)
    fewer = replace(coloured_squares.split, train=coloured_squares.split.train[:-1], calibration=np.arange(0))
    fewer = replace(fewer, calibration=fewer.train[::3])
    with pytest.raises(SupernetError, match=r"settings: the division of the images is '\w+' and was '\w+'\. Go"):
        train(tiny_space, replace(coloured_squares, split=fewer), SETTINGS, trained)
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


@pytest.mark.parametrize("damage", ["cut", "flip", "pointer", "step"])
def test_a_damaged_checkpoint_is_refused_and_left_as_it_is(
    damage: str, trained: Path, tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    for path in trained.glob("checkpoint*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = next(tmp_path.glob("*.safetensors"))
    content = bytearray(tensors.read_bytes())
    if damage == "cut":
        tensors.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[-1] ^= 1
        tensors.write_bytes(content)
    elif damage == "pointer":
        (tmp_path / "checkpoint.json").write_text("{")
    else:
        pointer = tmp_path / "checkpoint.json"
        pointer.write_text(json.dumps(json.loads(pointer.read_text()) | {"step": float("inf")}))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SupernetError, match="damaged"):
        train(tiny_space, coloured_squares, SETTINGS, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_loss_that_is_not_finite_stops_with_advice_and_keeps_the_last_checkpoint(
    tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, learning_rate=1e3, warmup_epochs=0, gradient_clip=0, momentum=0.99)
    settings = replace(settings, epochs=30, evaluate_every=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.nn.functional.cross_entropy", _nan_after(5))
        with pytest.raises(SupernetError, match=r"lower train\.learning_rate"):
            train(tiny_space, coloured_squares, settings, tmp_path)
    assert json.loads((tmp_path / "checkpoint.json").read_text())["step"] >= 1
    assert not (tmp_path / "weights.safetensors").exists()


def _nan_after(calls: int) -> object:
    real, made = torch.nn.functional.cross_entropy, 0

    def loss(*args: torch.Tensor, **kwargs: float) -> torch.Tensor:
        nonlocal made
        made += 1
        result: torch.Tensor = real(*args, **kwargs)  # type: ignore[arg-type]
        return result * float("nan") if made > calls * 4 else result

    return loss


def test_weights_of_another_space_or_none_are_refused(trained: Path, tmp_path: Path) -> None:
    other = get_space("mobilenetv3_32", {"classes": 4})
    with pytest.raises(SupernetError, match="does not hold weights of space"):
        load_supernet(other, trained)
    with pytest.raises(SupernetError, match="nas train"):
        load_supernet(other, tmp_path)


def test_a_checkpoint_of_an_earlier_version_says_so(
    trained: Path, tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    for path in trained.glob("checkpoint*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    pointer = json.loads((tmp_path / "checkpoint.json").read_text())
    del pointer["identity"]
    (tmp_path / "checkpoint.json").write_text(json.dumps(pointer | {"fingerprint": "f" * 64}))
    with pytest.raises(SupernetError, match="made by an earlier version"):
        train(tiny_space, coloured_squares, SETTINGS, tmp_path)


@pytest.mark.parametrize("what", ["alone, growing, then all", "all"])
def test_the_sandwich_takes_the_steps_that_its_paper_writes_down(
    what: str, tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    """Section 3.1 as a plain loop, to the last bit; also what this trainer did before it had strategies."""
    growing = what != "all"
    settings = replace(SETTINGS, epochs=2, precision="float32", evaluate_every=2, random_subnets=1)
    settings = replace(settings, solo_share=0.42 if growing else 0.0, grow_resolution=growing)
    trained = train(tiny_space, coloured_squares, settings, tmp_path)

    data, expected = coloured_squares, Supernet(tiny_space)
    batches = TrainBatches(
        data.images.images,
        data.images.labels,
        data.preprocessing,
        batch_size=16,
        seed=0,
        crop_padding=1,
        padding="reflect",
        flip=True,
        indices=data.split.train,
    )
    shared = expected.shared
    groups = [
        {"params": [p for name, p in shared.named_parameters() if shared.is_decayed(name)], "weight_decay": 3e-5},
        {"params": [p for name, p in shared.named_parameters() if not shared.is_decayed(name)], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.SGD(groups, 0.1, 0.9, nesterov=True)
    largest, total = tiny_space.largest(), 2 * batches.steps_per_epoch
    alone = settings.solo_share * total
    for step in range(total):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(settings, step, batches.steps_per_epoch)
        inputs, labels = batches.batch(step)
        if step < alone:
            first, others = replace(largest, choices=(int(step / alone * 2), *largest.choices[1:])), []
        else:
            rng = np.random.default_rng((0, 2, step))
            first, others = largest, [tiny_space.smallest(), tiny_space.sample(rng)]
        logits = expected(inputs, first)
        torch.autograd.backward(F.cross_entropy(logits, labels, label_smoothing=0.1))
        targets = logits.detach().softmax(1)
        for arch in others:
            torch.autograd.backward(F.cross_entropy(expected(inputs, arch), targets))
        torch.nn.utils.clip_grad_value_(expected.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    for name, value in expected.shared.named_parameters():
        assert torch.equal(trained.shared.get_parameter(name), value), name


def test_the_average_of_the_weights_is_what_is_judged_and_saved(
    tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, epochs=1, precision="float32", ema_decay=0.5)
    plain = train(tiny_space, coloured_squares, replace(settings, ema_decay=0.0), tmp_path / "plain")
    averaged = train(tiny_space, coloured_squares, settings, tmp_path / "averaged")
    saved = load_supernet(tiny_space, tmp_path / "averaged")
    checkpoint = load_checkpoint(tmp_path / "averaged")
    assert checkpoint is not None
    for name, value in averaged.shared.named_parameters():
        assert torch.equal(saved.shared.get_parameter(name), value)
        # The average follows the weights; it does not lead them elsewhere.
        assert torch.equal(checkpoint.tensors[f"weight:{name}"], plain.shared.get_parameter(name))
        assert torch.equal(checkpoint.tensors[f"average:{name}"], value)
    assert any(not torch.equal(plain.shared.get_parameter(n), v) for n, v in averaged.shared.named_parameters())


def test_float16_scales_its_losses_and_resumes_to_the_same_weights(
    tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, epochs=2, precision="float16", evaluate_every=2)
    train(tiny_space, coloured_squares, settings, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("supernet.records._PROGRESS_EVERY_S", -1.0)
        with pytest.raises(StoppedError):
            train(tiny_space, coloured_squares, settings, tmp_path / "parts", stop_at(4))
    checkpoint = load_checkpoint(tmp_path / "parts")
    assert checkpoint is not None
    assert checkpoint.tensors["loss_scale"][0] > 1
    train(tiny_space, coloured_squares, settings, tmp_path / "parts")
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_cuda_is_refused_where_there_is_none(tiny_space: SearchSpace) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SupernetError, match="PyTorch sees no GPU"):
        TrainSettings(device="cuda").resolve_device()
