"""A corpus's manifest, whatever stands in it: read, or refused in a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from save_avs.errors import UsageError
from save_avs.synthesis.corpus import CORPUS_SPLITS, Manifest
from tests.support.corruption import BOUNDED, documents

WHOLE = {
    "splits": {"cutouts/a/b.png": ["train"]},
    "test_from_s": {"sounds/a.wav": 1.5},
    "zero_shot": ["b"],
    "promptable": ["c"],
    "license": "CC0",
}
NAMES = st.text(max_size=5)


@BOUNDED
@given(content=documents(WHOLE))
def test_any_document_is_read_or_refused(tmp_path_factory, content):
    root = tmp_path_factory.getbasetemp()
    (root / "corpus.json").write_bytes(content)
    try:
        manifest = Manifest.load(root)
    except UsageError as error:
        assert "\n" not in str(error)
    else:
        assert manifest.serves("a", "train") in (True, False)


@BOUNDED
@given(
    manifest=st.builds(
        Manifest,
        splits=st.dictionaries(
            NAMES, st.lists(st.sampled_from(CORPUS_SPLITS), max_size=2).map(tuple), max_size=2
        ),
        test_from_s=st.dictionaries(NAMES, st.floats(0, 100), max_size=2),
        zero_shot=st.lists(NAMES, max_size=2).map(tuple),
        promptable=st.lists(NAMES, max_size=2).map(tuple),
        license=NAMES,
    )
)
def test_written_manifest_reads_back_equal(tmp_path_factory, manifest):
    root = tmp_path_factory.getbasetemp()
    manifest.save(root)
    assert Manifest.load(root) == manifest


@pytest.mark.parametrize("second", ["NaN", "Infinity"])
def test_test_start_that_is_not_a_number_is_refused(tmp_path, second):
    (tmp_path / "corpus.json").write_text(f'{{"test_from_s": {{"sounds/a/a.wav": {second}}}}}')
    with pytest.raises(UsageError, match=r"corpus\.json: test_from_s\.sounds/a/a\.wav"):
        Manifest.load(tmp_path)
