"""What SAVE is compared with, behind the model's interface: ProtoNet, RelationNet, GAVS's audio prompt."""

from save_avs.baselines.baseline import Baseline, Features, look
from save_avs.baselines.gavs import Gavs
from save_avs.baselines.protonet import ProtoNet
from save_avs.baselines.prototypes import Recalling, Support
from save_avs.baselines.relationnet import RelationNet

__all__ = ["Baseline", "Features", "Gavs", "ProtoNet", "Recalling", "RelationNet", "Support", "look"]
