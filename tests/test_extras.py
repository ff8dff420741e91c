"""The line that installs an extra: it works where it is printed, and does not name the package."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from save_avs import _extras
from save_avs._extras import extras, install_line

ROOT = Path(__file__).parents[1]


@pytest.fixture
def with_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_extras, "find_spec", lambda _: True)
    monkeypatch.setattr("shutil.which", lambda _: str(Path(sys.executable).with_name("pip")))


@pytest.mark.usefixtures("with_pip")
def test_clone_installs_its_own_extra(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    assert install_line("serve") == 'pip install -e ".[serve]"'
    monkeypatch.chdir(tmp_path)
    assert install_line("serve") == f'pip install -e "{ROOT}[serve]"'


@pytest.mark.usefixtures("with_pip")
def test_installed_package_names_what_the_extra_requires(monkeypatch, tmp_path):
    monkeypatch.setattr(_extras, "__file__", str(tmp_path / "site-packages" / "save_avs" / "_extras.py"))
    lines = [
        "numpy>=1",
        "ray[data]>=2.44; extra == 'cluster'",
        'pyarrow<30,>=17 ; (python_version > "3") and extra == "cluster"',
        "pyarrow<30,>=17; extra == 'all'",
    ]
    monkeypatch.setattr(_extras, "requires", lambda _: lines)
    assert set(extras()) == {"cluster"}
    words = shlex.split(install_line("cluster"))
    assert words[:2] == ["pip", "install"]
    assert [Requirement(word).name for word in words[2:]] == ["ray", "pyarrow"]
    assert Requirement(words[2]).extras == {"data"} and str(Requirement(words[3]).specifier) == "<30,>=17"


def test_installer_is_the_one_of_this_environment(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/pip")
    assert install_line("serve").startswith(f"{sys.executable} -m pip install ")
    monkeypatch.setattr(_extras.PathFinder, "find_spec", lambda _: None)
    assert install_line("serve").startswith(f"uv pip install --python {sys.executable} ")
