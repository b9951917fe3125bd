from __future__ import annotations

import pytest

from devices.environment import cpu_features_in, cpu_model, cpu_model_in, describe_environment

X86 = "processor\t: 0\nmodel\t\t: 167\nmodel name\t: Some CPU @ 2 GHz\n\nprocessor\t: 1\nmodel name\t: Another\n"
BOARD = "processor\t: 0\nCPU part\t: 0xd08\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n"
OTHER = ARM.replace("0xd0c", "0xd05")
NAMED = "model name\t: ARMv8 Processor rev 1 (v8l)\n" + ARM  # as kernels for Jetsons and 32-bit ARM have it


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (X86, "Some CPU @ 2 GHz"),
        (BOARD, "Raspberry Pi 4 Model B Rev 1.4"),
        (ARM, "ARM 1x 0x41 0xd0c 0x3"),
        (f"{OTHER}\n{OTHER}\n{ARM}", "ARM 2x 0x41 0xd05 0x3 + 1x 0x41 0xd0c 0x3"),
        (f"{ARM}\nHardware\t: BCM2835\n", "BCM2835 ARM 1x 0x41 0xd0c 0x3"),
        (NAMED, "ARM 1x 0x41 0xd0c 0x3"),
        ("", None),
        ("model name\t:\n", None),
    ],
)
def test_model_name_is_found_on_every_kind_of_processor(text: str, name: str | None) -> None:
    assert cpu_model_in(text) == name


@pytest.mark.parametrize(
    ("text", "board", "name"),
    [
        (ARM, "Radxa ROCK 5B", "Radxa ROCK 5B"),
        (NAMED, "NVIDIA Jetson Orin Nano Developer Kit", "NVIDIA Jetson Orin Nano Developer Kit"),
        (ARM, "linux,dummy-virt", "ARM 1x 0x41 0xd0c 0x3"),
        (X86, "", "Some CPU @ 2 GHz"),
        ("isa\t: rv64imafdc\n", "StarFive VisionFive 2 v1.2A", "StarFive VisionFive 2 v1.2A"),
    ],
)
def test_board_is_who_its_processor_is_unless_it_is_any(text: str, board: str, name: str) -> None:
    assert cpu_model_in(text, board) == name


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("flags\t\t: fpu avx512_vnni sse4_2 avx2x amx_int8\n", "sse4_2 avx512_vnni amx_int8"),
        ("Features\t: fp asimd crc32 asimddp\n", "asimd asimddp"),
        ("flags\t\t:\n", ""),
        ("", ""),
    ],
)
def test_features_are_those_that_matter(text: str, features: str) -> None:
    assert cpu_features_in(text) == features


def test_environment_is_pairs_of_texts() -> None:
    facts = dict(describe_environment())
    assert facts["cpu"] == cpu_model() != ""
    assert int(facts["cores"]) >= 1
    assert all(isinstance(value, str) for value in facts.values())
