"""Search spaces: architectures, their lowering into networks, and readers that only count."""

# Importing a space's module registers it, and its published networks.
from search_spaces import attentivenas as _attentivenas  # noqa: F401
from search_spaces import efficientformer as _efficientformer  # noqa: F401
from search_spaces import fbnet as _fbnet  # noqa: F401
from search_spaces import mcunet as _mcunet  # noqa: F401
from search_spaces import mnasnet as _mnasnet  # noqa: F401
from search_spaces import mobilenetv2 as _mobilenetv2  # noqa: F401
from search_spaces import mobilenetv3 as _mobilenetv3  # noqa: F401
from search_spaces import mobilenetv3_family as _mobilenetv3_family  # noqa: F401
from search_spaces import nasbench201 as _nasbench201  # noqa: F401
from search_spaces import ofa_proxylessnas as _ofa_proxylessnas  # noqa: F401
from search_spaces import proxylessnas as _proxylessnas  # noqa: F401
from search_spaces import resnet as _resnet  # noqa: F401
from search_spaces import spaceevo as _spaceevo  # noqa: F401
from search_spaces import staged_options as _staged_options  # noqa: F401
from search_spaces.architecture import Architecture
from search_spaces.builder import NetworkBuilder, make_divisible
from search_spaces.cost import flash_bytes, macs, node_macs, node_parameters, parameters
from search_spaces.errors import SpaceError
from search_spaces.hand_made import hand_made_networks
from search_spaces.memory import peak_activation_bytes
from search_spaces.network import Network, Node
from search_spaces.network_json import network_from_json, network_to_json
from search_spaces.published import PublishedNetwork, get_published, published_names, register_published
from search_spaces.registry import describe_space, get_space, register_space, space_module, space_names
from search_spaces.space import Condition, Decision, SearchSpace

__all__ = [
    "Architecture",
    "Condition",
    "Decision",
    "Network",
    "NetworkBuilder",
    "Node",
    "PublishedNetwork",
    "SearchSpace",
    "SpaceError",
    "describe_space",
    "flash_bytes",
    "get_published",
    "get_space",
    "hand_made_networks",
    "macs",
    "make_divisible",
    "network_from_json",
    "network_to_json",
    "node_macs",
    "node_parameters",
    "parameters",
    "peak_activation_bytes",
    "published_names",
    "register_published",
    "register_space",
    "space_module",
    "space_names",
]
