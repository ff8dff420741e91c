"""The tiny corpus, on disk and in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from save_avs.synthesis.corpus import Corpus
from tests.support.tiny_corpus import make_corpus


@pytest.fixture(scope="session")
def corpus_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def train(corpus_root: Path) -> Corpus:
    return Corpus.load(corpus_root, "train")


@pytest.fixture(scope="session")
def test(corpus_root: Path) -> Corpus:
    return Corpus.load(corpus_root, "test")
