"""All cases by name."""

from __future__ import annotations

from tests.support.hostile import dataset_cases as tree_cases
from tests.support.hostile import document_cases, media_damage, media_odd, media_places, weight_cases

_PARTS = (media_damage, media_odd, media_places, weight_cases, document_cases, tree_cases)
CASES = {case.name: case for part in _PARTS for case in part.cases()}
