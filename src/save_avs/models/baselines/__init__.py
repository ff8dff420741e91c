"""What SAVE is compared with, behind the model's interface: ProtoNet, RelationNet, GAVS's audio prompt."""

from save_avs.models.baselines.baseline import Baseline, Features, extract_features
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
