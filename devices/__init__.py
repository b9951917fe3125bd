"""Devices that model files are measured on. Needs only numpy and the runtime to be measured."""

from devices.agent.remote import RemoteDevice
from devices.android import AndroidDevice
from devices.artifact import Artifact, Format, Precision, Workload
from devices.boards import BOARDS, Board, get_board
from devices.device import Device, DeviceInfo, LoadedModel
from devices.errors import DeviceError
from devices.fake import FakeDevice
from devices.litert_arena import TensorArena, tensor_arena
from devices.litert_cpu import LiteRTCPU
from devices.measurement import MOST_THREADS, Measurement, MeasureSettings
from devices.onnxruntime_cpu import OnnxRuntimeCPU
from devices.onnxruntime_tensorrt import OnnxRuntimeTensorRT
from devices.openvino_cpu import OpenVinoCPU
from devices.registry import describe_device, device_factory, device_names, get_device, register_device
from devices.runtime_model import RuntimeModel
from devices.tensorrt import TensorRTDevice
from devices.worker_device import WorkerDevice

__all__ = [
    "BOARDS",
    "MOST_THREADS",
    "AndroidDevice",
    "Artifact",
    "Board",
    "Device",
    "DeviceError",
    "DeviceInfo",
    "FakeDevice",
    "Format",
    "LiteRTCPU",
    "LoadedModel",
    "MeasureSettings",
    "Measurement",
    "OnnxRuntimeCPU",
    "OnnxRuntimeTensorRT",
    "OpenVinoCPU",
    "Precision",
    "RemoteDevice",
    "RuntimeModel",
    "TensorArena",
    "TensorRTDevice",
    "WorkerDevice",
    "Workload",
    "describe_device",
    "device_factory",
    "device_names",
    "get_board",
    "get_device",
    "register_device",
    "tensor_arena",
]
