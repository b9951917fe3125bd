"""The config: defaults, errors that name what to do, and the shipped files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.config import comparable, dump_yaml, load_config, make_config, parse_yaml
from nas.errors import NasError
from nas.pipeline import prepare
from supernet import SupernetError

CONFIGS = Path(__file__).parents[2] / "experiments" / "configs"


PAIR = [{"name": "phone", "device": "fake"}, {"name": "board", "device": "fake"}]


def pool(*units: dict[str, Any], device: str = "fake") -> dict[str, Any]:
    return {"device": device, "units": list(units)}


def values(**changes: Any) -> dict[str, Any]:
    return {
        "space": {"name": "mobilenetv3_32"},
        "data": {"source": "digits"},
        "targets": [{"name": "chip", "device": "fake"}],
        **changes,
    }


def refused(given: dict[str, Any]) -> str:
    with pytest.raises(NasError) as caught:
        make_config(given)
    return str(caught.value)


def test_defaults_are_accuracy_and_the_latency_on_every_target() -> None:
    config = make_config(values())
    assert [(o.metric, o.direction) for o in config.objectives] == [
        ("accuracy", "maximize"),
        ("latency_s.chip", "minimize"),
    ]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_is_read_and_survives_being_written(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    config = load_config(path, data=None if "source: digits" in text else tmp_path)
    assert make_config(parse_yaml(dump_yaml(config), "dump")) == config


@pytest.mark.parametrize(
    ("given", "unknown", "meant"),
    [
        (values(serach={}), "serach", "search"),
        (values(train={"epoch": 3}), "train.epoch", "epochs"),
        (values(data={"source": "digits", "sise": 8}), "data.sise", "size"),
        (values(measure={"min_times": 1}), "measure.min_times", "min_time_s"),
        (values(targets=[{"name": "a", "device": "fake", "presision": "int8"}]), "targets.0.presision", "precision"),
        (values(limits=[{"metric": "macs", "at_mots": 1}]), "limits.0.at_mots", "at_most"),
        (values(predictor={"min_sperman": 0.5}), "predictor.min_sperman", "min_spearman"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_allowed_one(given: dict[str, Any], unknown: str, meant: str) -> None:
    message = refused(given)
    assert f"unknown key {unknown!r}" in message
    assert f"did you mean {meant!r}" in message


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (values(epochs=3), ["unknown key 'epochs'; did you mean 'train.epochs'?"]),
        (values(evaluations=3), ["did you mean 'search.evaluations' or 'confirm.evaluations'?"]),
        (
            values(space={"name": "mobilenetv3_32", "options": {"clases": 2}}),
            ["config: space.options.clases: space 'mobilenetv3_32' has no such option; did you mean 'classes'?"],
        ),
        (
            values(space={"name": "mobilenetv3_32", "options": {"resolutions": ["32px"]}}),
            ["space.options.resolutions is ['32px']; give a list of whole numbers, such as [16,"],
        ),
        (values(space={"name": "mobilenetv3-32"}), ["no space 'mobilenetv3-32'; did you mean 'mobilenetv3_32'?"]),
        (
            values(targets=[{"name": "a", "device": "android", "options": {"serail": "x"}}]),
            ["targets.0.options.serail: 'android' has no such option; did you mean 'serial'?"],
        ),
        (
            values(
                targets=[{"name": "a", "device": "own", "options": {"sed": 1}}],
                devices=[{"name": "own", "backend": "fake"}],
            ),
            ["targets.0.options.sed: 'fake' has no such option; did you mean 'seed'?"],
        ),
        (
            values(pools=[pool({"name": "u", "options": {"sed": 1}})]),
            ["unit 'u': options.sed: 'fake' has no such option; did you mean 'seed'?"],
        ),
        (
            values(search={"options": {"populaton": 8}}),
            ["search.options.populaton: strategy 'nsga2' has no such option; did you mean 'population'?"],
        ),
        (values(limits={"metric": "macs", "at_most": 1}), ["give a list: `- {metric: latency_s.chip, at_most: 0.02}`"]),
        (values(limits=[{"metric": "latency_s.chip", "at_most": "20 ms"}]), ["is '20 ms': give seconds, 0.02"]),
        (values(limits=[{"metric": "flash_bytes", "at_most": "500KB"}]), ["is '500KB': give bytes, 500000"]),
        (values(limits=[{"metric": "flash_bytes", "at_most": "4 MB"}]), ["is '4 MB': give bytes, 4000000"]),
        (
            values(limits=[{"metric": "flash_bytes", "at_most": "little"}]),
            ["give a plain number: seconds for"],
        ),
        (values(limits=[{"metric": "latency.chip", "at_most": 1}]), ["'latency.chip'; did you mean 'latency_s.chip'?"]),
        (
            values(fleet="known.safetensors"),
            ["give the keys how, weights; a file of known devices goes to predictor.fleet"],
        ),
        (values(targets={"name": "a", "device": "fake"}), ["give a list: `- {name: chip, device: onnxruntime_cpu}`"]),
        ({}, ["'space' is missing", "'data' is missing", "'targets' is missing"]),
        (values(train={"epochs": "ten"}), ["'train.epochs' is 'ten'", "integer"]),
        (values(train={"epochs": 0}), ["train.epochs is 0"]),
        (values(train={"strategy": "ofa"}), ["train.strategy is 'ofa'", "progressive_shrinking", "sandwich"]),
        (
            values(train={"strategy": "deps", "options": {"begin": 0.5}}),
            ["train.options.begin: strategy 'deps' has no such option", "ramp_epochs, start"],
        ),
        (values(train={"options": {"dropout": 2}}), ["train.options.dropout is 2; allowed: 0 to 0.9"]),
        (values(space={"name": "mobilenet"}), ["no space 'mobilenet'", "mobilenetv3_32"]),
        (values(space={"name": "mobilenetv3_32", "options": {"kernels": [4]}}), ["kernels"]),
        (values(data={"source": "tar"}), ["--data PATH"]),
        (values(data={"source": "disk"}), ["digits"]),
        (values(targets=[]), ["targets"]),
        (values(targets=[{"name": "a", "device": "onnxruntime"}]), ["no device 'onnxruntime'", "'onnxruntime_cpu'"]),
        (values(targets=[{"name": "a", "device": "fake"}] * 2), ["two targets are named 'a'"]),
        (values(fleet={}), ["a fleet is of several targets"]),
        (values(targets=PAIR, fleet={"weights": {"phoen": 1}}), ["no target 'phoen'", "phone"]),
        (values(targets=PAIR, fleet={"weights": {"phone": 0}}), ["fleet.weights.phone"]),
        (values(targets=PAIR, fleet={"how": "best"}), ["'fleet.how'", "worst"]),
        (values(targets=[*PAIR, {"name": "fleet", "device": "fake"}], fleet={}), ["a target is named 'fleet'"]),
        (
            values(targets=PAIR, fleet={}, objectives=[{"metric": "latency_s.phone", "direction": "minimize"}]),
            ["target 'board' alone leaves nothing to improve"],
        ),
        (values(targets=[{"name": "../a", "device": "fake"}]), ["names a folder"]),
        (values(limits=[{"metric": "latency_s.phone", "at_most": 1}]), ["no metric 'latency_s.phone'", "chip"]),
        (values(limits=[{"metric": "macs", "at_most": -1}]), ["can be met by no network"]),
        (values(limits=[{"metric": "macs"}]), ["at_most"]),
        (values(limits=[{"metric": "accuracy", "at_least": 1.5}]), ["1 is perfect"]),
        (values(objectives=[{"metric": "speed", "direction": "maximize"}]), ["speed"]),
        (values(search={"strategy": "nsga"}), ["no strategy 'nsga'", "did you mean 'nsga2'"]),
        (values(predictor={"names": ["tabel"]}), ["no predictor 'tabel'"]),
        (values(split={"validation": 0.6, "test": 0.5}), ["nothing to train on"]),
        (values(train={"seed": 4}), ["train.seed is 4"]),
        (values(measure={"min_count": 0}), ["min_count"]),
        (values(measure={"visit": 2}), ["measure.visit", "leave it out"]),
        (values(measure={"ci_width": 0}), ["ci_width"]),
        (values(pools=[pool()]), ["pools.0.units"]),
        (values(pools=[pool({"name": "a"}, device="fakes")]), ["device 'fakes', which no target names", "'fake'"]),
        (values(pools=[pool({"name": "a"}), pool({"name": "b"})]), ["two pools are of device 'fake'"]),
        (values(pools=[pool({"name": "a"}, {"name": "a"})]), ["two units of device 'fake' are named 'a'"]),
        (values(pools=[pool({"name": "a", "resource": "GPU"})]), ["'GPU' is no custom resource", "ray start"]),
        (
            values(pools=[pool({"name": "a", "resource": "x"}, {"name": "b", "resource": "x"})]),
            ["units 'a' and 'b' share the resource 'x'"],
        ),
        (
            values(
                targets=[*PAIR, {"name": "cpu", "device": "onnxruntime_cpu"}],
                pools=[
                    pool({"name": "a", "resource": "x"}),
                    pool({"name": "a", "resource": "y"}, device="onnxruntime_cpu"),
                ],
            ),
            ["unit 'a' has two resources"],
        ),
    ],
)
def test_a_bad_value_is_told_with_what_is_allowed(given: dict[str, Any], words: list[str]) -> None:
    message = refused(given)
    for word in words:
        assert word in message


def test_targets_of_one_device_share_its_pool() -> None:
    units = [{"name": "pi-1", "options": {"url": "http://pi-1:8765"}}, {"name": "pi-2", "resource": "pi-2"}]
    remote = {"device": "remote", "options": {"token_file": "token"}}
    targets = [{"name": "ort", **remote}, {"name": "litert", **remote}, {"name": "chip", "device": "fake"}]
    config = make_config(values(targets=targets, pools=[pool(*units, device="remote")]))
    ort, litert, chip = config.targets
    assert config.units_of(ort) == config.units_of(litert) == config.pools[0].units
    assert config.units_of(chip) == ()
    assert config.device_of(ort) == ("remote", {"token_file": "token"})


def test_an_error_inside_a_list_does_not_make_another_of_the_list() -> None:
    message = refused(values(targets=[{"name": "a", "device": "fake", "precision": "fp16"}]))
    assert message.startswith("config: 'targets.0.precision' is 'fp16'")
    assert "at least 1 item" not in message
    assert "at least 1 item" in refused(values(targets=[]))


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    with pytest.raises(NasError, match=r"config\.yaml is empty; it must hold sections"):
        load_config(tmp_path / "config.yaml")


def test_all_errors_are_told_at_once() -> None:
    message = refused(values(serach={}, seed=-1))
    assert "2 errors" in message
    assert "serach" in message
    assert "seed" in message


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "seed: 1\nseed: 2\n", "\x00"])
def test_what_is_no_yaml_mapping_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(NasError, match=r"bad\.yaml"):
        load_config(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_overrides_reach_into_sections_and_lists(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(make_config(values())))
    overrides = [
        "train.epochs=3",
        "targets.0.options.seed=7",
        "space.options.resolutions=[16, 32]",
        "train.learning_rate=1e-3",
    ]
    config = load_config(path, overrides=overrides)
    assert config.train.epochs == 3
    assert config.train.learning_rate == pytest.approx(1e-3)
    assert config.targets[0].options == {"seed": 7}
    assert config.space.options["resolutions"] == [16, 32]


@pytest.mark.parametrize(
    "override",
    [
        "train.epochs",
        "=3",
        "targets.5.name=x",
        "seed.x=1",
        "targets.first.name=x",
        "targets.-1.name=x",
        "targets.².name=x",
        "targets.٠.name=x",
        f"targets.{'1' * 5000}.name=x",
    ],
    ids=lambda override: override[:20],
)
def test_an_override_that_is_none_is_refused(override: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(make_config(values())))
    with pytest.raises(NasError, match="--set"):
        load_config(path, overrides=[override])


def test_places_at_home_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.yaml").write_text("devices: [{name: mine, backend: fake}]")
    given = values(
        data={"source": "folder", "path": "~/photos"},
        predictor={"fleet": "~/known"},
        targets=[{"name": "chip", "device": "mine"}],
        devices="~/own.yaml",
    )
    config = make_config(given)
    assert (config.data.path, config.predictor.fleet) == (tmp_path / "photos", str(tmp_path / "known"))
    assert make_config(values(data={"source": "folder", "path": "~no body/x"})).data.path == Path("~no body/x")


def test_a_run_with_moved_images_is_the_same_run(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(make_config(values(data={"source": "folder", "path": "here"}))))
    here, there = load_config(path), load_config(path, data=Path("there"))
    assert there.data.path == Path("there")
    assert comparable(here) == comparable(there)
    assert comparable(load_config(path, overrides=["seed=9"])) != comparable(here)


@pytest.mark.parametrize(
    "given",
    [
        values(targets=5),
        values(targets="abc"),
        values(seed=2**64),
        values(boards=[{"name": ["x"], "flash_bytes": 1, "sram_bytes": 1}]),
        values(boards=[{"name": {}}]),
        values(devices="\0"),
        values(space={"name": "mobilenetv3_32", "options": {"widths": [1e308]}}),
        values(devices=[{"name": "a", "backend": "fake", "options": {"seed": 10**400}}]),
        values(space={"name": "mobilenetv3_32", "options": {"widths": [float("nan")]}}),
        values(space={"name": "mobilenetv3_32", "options": {"expansions": [float("inf")]}}),
        values(targets=[{"name": "a" * 300, "device": "fake"}]),
    ],
)
def test_odd_values_are_refused(given: dict[str, Any]) -> None:
    assert refused(given)


def test_a_file_that_is_no_config_does_not_fill_the_screen() -> None:
    message = refused(values(**{f"key{i}": 1 for i in range(5000)}))
    assert "5000 errors" in message
    assert "4980 more" in message
    assert len(message.splitlines()) < 30


def test_a_gpu_that_is_not_there_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SupernetError, match="no GPU"):
        prepare(make_config(values(train={"device": "cuda"})), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (values(threads=True), "'threads' is 'true'"),
        (values(train={"epochs": True}), "'train.epochs' is 'true'"),
        (values(profile={"networks": True}), "'profile.networks' is 'true'"),
        (values(data={"source": "digits", "limit": True}), "'data.limit' is 'true'"),
        (values(measure={"min_time_s": False}), "'measure.min_time_s' is 'false'"),
        (values(targets=[{"name": "a", "device": "fake", "threads": True}]), "'targets.0.threads' is 'true'"),
        (values(limits=[{"metric": "macs", "at_most": True}]), "'limits.0.at_most' is 'true'"),
    ],
)
def test_a_boolean_is_no_number(given: dict[str, Any], told: str) -> None:
    assert told in refused(given)


def test_a_boolean_stays_one_where_it_is_asked_for() -> None:
    assert make_config(values(train={"flip": False})).train.flip is False
    search = {"strategy": "optuna", "options": {"sampler_options": {"anything": True}}}
    assert make_config(values(search=search)).search.options == search["options"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("train", "learning_rate"),
        ("train", "weight_decay"),
        ("measure", "min_time_s"),
        ("predictor", "max_mape"),
        ("predictor", "min_spearman"),
        ("split", "test"),
    ],
)
def test_what_is_no_finite_number_is_refused(section: str, key: str, number: float) -> None:
    assert f"{section}.{key}" in refused(values(**{section: {key: number}}))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (values(threads=1e9), ["threads", "1024"]),
        (values(targets=[{"name": "a", "device": "fake", "threads": 10**9}]), ["targets.0.threads", "1024"]),
        (values(measure={"threads": 1e9}), ["threads", "1024"]),
        (values(measure={"min_count": 1e12}), ["min_count", "1000000"]),
        (values(train={"epochs": 10**9}), ["train.epochs is 1000000000", "whole numbers from 1 to 1,000,000"]),
        (values(profile={"networks": 5}), ["profile.networks", "greater than or equal to 6"]),
        (values(profile={"networks": 10**9}), ["profile.networks", "10000"]),
        (values(profile={"networks": 8}, predictor={"folds": 9}), ["predictor.folds is 9", "at most 8 folds"]),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused(given: dict[str, Any], words: list[str]) -> None:
    message = refused(given)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("sqlite:///shared.sqlite", "sqlite:///{here}/shared.sqlite"),
        ("sqlite:////lab/shared.sqlite", "sqlite:////lab/shared.sqlite"),
        ("sqlite:///~/shared.sqlite", "sqlite:///{home}/shared.sqlite"),
        ("postgresql+psycopg://lab:secret@server/nas", "postgresql+psycopg://lab:secret@server/nas"),
        ("no url", "no url"),
        (None, None),
    ],
)
def test_a_ledger_is_the_same_one_from_every_folder(
    given: str | None, kept: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    expected = kept and kept.format(here=tmp_path, home=tmp_path / "home")
    assert make_config(values(ledger=given)).ledger == expected
