"""The one file that describes a run, read from YAML and checked before anything is computed.

Every key has a type and most have a default; a key that is not known is refused with the nearest one that is.
"""

from nas.config.files import comparable, dump_yaml, load_config, make_config
from nas.config.pools import UnitSection
from nas.config.sections import Config
from nas.config.targets import DeviceSection, TargetSection
from nas.config.user_devices import default_places, user_devices
from nas.config.yaml_text import parse_yaml

__all__ = [
    "Config",
    "DeviceSection",
    "TargetSection",
    "UnitSection",
    "comparable",
    "default_places",
    "dump_yaml",
    "load_config",
    "make_config",
    "parse_yaml",
    "user_devices",
]
