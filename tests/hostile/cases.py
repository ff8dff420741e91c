"""All cases by name."""

from __future__ import annotations

import document_cases
import media_damage
import media_odd
import media_places
import tree_cases
import weight_cases

_PARTS = (media_damage, media_odd, media_places, weight_cases, document_cases, tree_cases)
CASES = {case.name: case for part in _PARTS for case in part.cases()}
