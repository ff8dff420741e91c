"""Other programs than torch that compute a SAVE, and the choice among them."""

from save_avs.model.runtimes.registry import NAMES, RUNTIMES, open_runtime
from save_avs.model.runtimes.running import RuntimeModel

__all__ = ["NAMES", "RUNTIMES", "RuntimeModel", "open_runtime"]
