"""Baselines with a SAVE's interface: ProtoNet, RelationNet and GAVS's audio prompt."""

from studies.few_shot.baselines.base import Baseline, Features, extract_features
from studies.few_shot.baselines.gavs import Gavs
from studies.few_shot.baselines.protonet import ProtoNet
from studies.few_shot.baselines.prototypes import PrototypeBaseline, Support
from studies.few_shot.baselines.relationnet import RelationNet

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
