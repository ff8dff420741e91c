"""Baselines with a SAVE's interface: ProtoNet, RelationNet and GAVS's audio prompt."""

from save_avs.models.baselines.base import Baseline, Features, extract_features
from save_avs.models.baselines.gavs import Gavs
from save_avs.models.baselines.protonet import ProtoNet
from save_avs.models.baselines.prototypes import PrototypeBaseline, Support
from save_avs.models.baselines.relationnet import RelationNet

__all__ = [
    "Baseline",
    "Features",
    "Gavs",
    "ProtoNet",
    "PrototypeBaseline",
    "RelationNet",
    "Support",
    "extract_features",
]
