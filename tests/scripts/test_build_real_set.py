"""The set of real photographs: its plan, its outlines, and the folder that is written from packages."""

import csv
import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from PIL import Image

from save_avs.errors import SaveAvsError, UsageError
from save_avs.evaluation.real_photographs import RealSet
from scripts import build_real_set as module
from scripts.build_real_set import build_real_set, fill_outline

PLAN = yaml.safe_load(Path(module.__file__).with_name("real_set.yaml").read_text("utf-8"))
KEPT_FOR_OTHERS = {"gcompris-qt-data", "plasma-workspace-wallpapers", "opencv-doc", "tuxpaint-stamps-default"}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build a package with a photograph 40 x 20 and a recording, and the plan of the two."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("requires dpkg-deb")
    root = tmp_path / "zoo"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: zoo\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: zoo\n"
    )
    colors = np.random.default_rng(0).integers(0, 256, (20, 40, 3), np.uint8)
    Image.fromarray(colors).save(root / "dog.png")
    soundfile.write(root / "bark.wav", np.sin(np.arange(16000) / 9), 16000)
    (tmp_path / "debs").mkdir()
    subprocess.run(["dpkg-deb", "--build", root, tmp_path / "debs/zoo_1_all.deb"], check=True)
    source = {"class": "dog", "package": "zoo", "author": "A", "license": "MIT"}
    image = {**source, "name": "rex", "path": "dog.png", "crop": [10, 0, 40, 20]}
    image |= {"sha256": hashlib.sha256((root / "dog.png").read_bytes()).hexdigest()}
    image |= {"outline": [[1.5, 1.5, 11.5, 1.5, 11.5, 6.5, 1.5, 6.5]]}
    plan = {"images": [image], "sounds": [{**source, "path": "bark.wav"}], "esc50": ["dog"]}
    (tmp_path / "real_set.yaml").write_text(yaml.safe_dump(plan))
    for name in ("esc50.yaml", "esc50_free.csv"):
        shutil.copy(Path(module.__file__).with_name(name), tmp_path)
    monkeypatch.setattr(module, "_DATA", tmp_path)
    return tmp_path / "debs"


def test_plan_has_the_photographs_it_claims_each_with_a_source_and_an_outline_inside():
    assert len(PLAN["images"]) == 29
    assert len({entry["class"] for entry in PLAN["images"]}) == 16
    assert len({(entry["class"], entry["name"]) for entry in PLAN["images"]}) == 29
    for entry in [*PLAN["images"], *PLAN["sounds"]]:
        assert entry["author"]
        assert entry["license"]
        assert entry["package"] not in KEPT_FOR_OTHERS
    for entry in PLAN["images"]:
        points = np.concatenate([np.reshape(ring, (-1, 2)) for ring in entry["outline"]])
        assert points.min() >= -0.5
        assert points.max() <= module.SIDE


def test_outline_covers_the_pixels_whose_centers_it_holds_and_a_second_ring_is_a_hole():
    square, hole = [2.5, 1.5, 8.5, 1.5, 8.5, 7.5, 2.5, 7.5], [4.5, 3.5, 6.5, 3.5, 6.5, 5.5, 4.5, 5.5]
    expected = np.zeros((10, 12), bool)
    expected[2:8, 3:9] = True
    np.testing.assert_array_equal(fill_outline([square], (12, 10)), expected)
    expected[4:6, 5:7] = False
    np.testing.assert_array_equal(fill_outline([square, hole], (12, 10)), expected)


def test_folder_is_what_eval_reads_with_recordings_of_the_last_fold_alone(packages, tmp_path):
    (tmp_path / "ESC-50").mkdir()
    for clip in ("5-203128-A-0.wav", "1-100032-A-0.wav"):
        shutil.copy(tmp_path / "zoo/bark.wav", tmp_path / "ESC-50" / clip)
    out = tmp_path / "out"
    assert build_real_set(out, esc50=tmp_path / "ESC-50", packages=packages) == {"dog": 1}
    data = RealSet.load(out)
    (name, stem, photo), *others = data.photos
    assert (name, stem, others) == ("dog", "rex", [])
    np.testing.assert_array_equal(photo.image, np.asarray(Image.open(tmp_path / "zoo/dog.png"))[:, 10:])
    expected = np.zeros((20, 30), bool)
    expected[2:7, 2:12] = True
    np.testing.assert_array_equal(photo.mask, expected)
    assert sorted(path.name for path in (out / "sounds/dog").iterdir()) == [
        "esc50-5-203128-A-0.wav",
        "zoo-bark.wav",
    ]
    sources = list(csv.DictReader((out / "sources.csv").read_text("utf-8").splitlines()))
    assert sources[0]["file"] == "images/dog/rex.png"
    assert {row["author"] for row in sources} >= {"A"}


def test_another_version_of_a_photograph_is_refused_and_nothing_is_written(packages, tmp_path):
    plan = yaml.safe_load((tmp_path / "real_set.yaml").read_text())
    plan["images"][0]["sha256"] = "0" * 64
    (tmp_path / "real_set.yaml").write_text(yaml.safe_dump(plan))
    with pytest.raises(SaveAvsError, match=r"zoo has another dog\.png"):
        build_real_set(tmp_path / "out", packages=packages)
    assert not (tmp_path / "out").exists()


def test_no_photograph_of_the_least_size_is_a_usage_error(packages, tmp_path):
    with pytest.raises(UsageError, match="choose a smaller"):
        build_real_set(tmp_path / "out", packages=packages, min_side=31)
    assert not (tmp_path / "out").exists()
