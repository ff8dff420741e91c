"""Other programs than torch that compute a SAVE, and the choice among them."""

from save_avs.runtimes.registry import RUNTIME_NAMES, RUNTIMES, open_runtime
from save_avs.runtimes.runtime_model import RuntimeModel

__all__ = ["RUNTIMES", "RUNTIME_NAMES", "RuntimeModel", "open_runtime"]
