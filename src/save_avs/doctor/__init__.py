"""What this installation has to work with: software, codecs, machine, disk."""

from __future__ import annotations

from save_avs.doctor.examination import examine
from save_avs.doctor.finding import Finding

__all__ = ["Finding", "examine"]
