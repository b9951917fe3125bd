"""The one file that describes a run, read from YAML and checked before anything is computed.

Every key has a type and most have a default; a key that is not known is refused with the nearest one that is.
"""

from nas.config.files import comparable, dump_yaml, load_config, make_config, parse_yaml
from nas.config.sections import Config, TargetSection

__all__ = ["Config", "TargetSection", "comparable", "dump_yaml", "load_config", "make_config", "parse_yaml"]
