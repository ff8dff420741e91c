"""Learning from examples, and the whole study: what it keeps, what it finds, what it says."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import torch
import typer

from save_avs.errors import UsageError
from save_avs.metrics import ClipTable
from save_avs.models import save_model
from save_avs.models.baselines import Gavs, ProtoNet
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.layout_files import LayoutRequest
from save_avs.synthesis.layouts import write_layout
from studies.cli.study_few_shot import few_shot
from studies.few_shot import settings as settings_module
from studies.few_shot.findings import Findings
from studies.few_shot.learning import learn_episodes, learn_frames, loss
from studies.few_shot.methods import NAMES, Tune
from studies.few_shot.run import claim, run_study
from studies.few_shot.scores import TrialScores
from studies.few_shot.settings import Settings
from studies.few_shot.trials import from_scenes
from tests.support.few_shot_data import QUICK, frozen_model, make_few_shot_corpus, quick
from tests.support.tiny_model import shake, tiny_model


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_few_shot_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def seen(root):
    return from_scenes(frozen_model(), root, quick()).seen


def moved(network, before):
    return {name for name, p in network.state_dict().items() if not torch.equal(p, before[name])}


def state(network):
    return {name: p.clone() for name, p in network.state_dict().items()}


def test_only_a_copys_adapters_and_decoder_learn_from_examples(seen):
    model = frozen_model()
    before = state(model)
    tune = Tune(model, epochs=8, batch=4, lr=3e-3)
    assert tune.after(None, 0) is model
    copy = tune.after(seen, 0)
    assert not moved(model, before)
    learned = moved(copy, before)
    assert learned and all(
        ".adapter." in n or n.startswith(("audio_adapter", "sam.mask_decoder")) for n in learned
    )
    assert loss(copy, seen) < loss(model, seen)
    again = tune.after(seen, 0)
    assert not moved(again, state(copy)) and moved(tune.after(seen, 1), state(copy))


def test_gavs_learns_its_prompt_and_adapters_and_leaves_the_decoder(seen):
    torch.manual_seed(0)
    net = Gavs(frozen_model(), hidden=16)
    before, at_first = state(net), loss(net.eval(), seen).item()
    learn_frames(net, seen, epochs=20, batch=6, lr=3e-3, seed=0)
    assert {name.split(".")[0] for name in moved(net, before)} == {"prompt", "align", "decoder"}
    assert all(".adapter." in name for name in moved(net, before) if name.startswith("decoder"))
    assert loss(net, seen).item() < at_first and not net.training


def test_episodes_teach_protonet_how_sharply_to_compare(seen):
    net = ProtoNet(frozen_model())
    learn_episodes(net, seen, episodes=5, ways=2, shots=2, queries=1, lr=0.1, seed=0)
    assert net.looking.exp().item() != pytest.approx(20) and net.listening.exp().item() != pytest.approx(20)


def run(root, folder, **changes):
    model, settings = frozen_model(), quick(**changes)
    return run_study(model, from_scenes(model, root, settings), settings, folder)


def same(one, other):
    return all(
        a.sources == b.sources and np.array_equal(a.tables[m].curve, b.tables[m].curve)
        for a, b in zip(one, other, strict=True)
        for m in NAMES
    )


@pytest.mark.slow
def test_one_seed_gives_one_result_and_a_stopped_study_goes_on(root, tmp_path):
    whole = run(root, tmp_path / "one")
    assert len(whole) == 9 and set(whole[0].tables) == set(NAMES)
    kept = sorted((tmp_path / "one" / "trials").iterdir())
    lost, stays = kept[4], kept[0].stat().st_mtime_ns
    lost.unlink()
    again = run(root, tmp_path / "one")  # with its baselines from the folder
    assert same(whole, again) and lost.exists() and kept[0].stat().st_mtime_ns == stays
    assert same(whole, run(root, tmp_path / "two"))
    assert not same(whole, run(root, tmp_path / "three", seed=1))


def test_a_folder_is_one_studys(tmp_path):
    claim(tmp_path / "study", {"seed": 0})
    claim(tmp_path / "study", {"seed": 0})
    with pytest.raises(UsageError, match="other settings"):
        claim(tmp_path / "study", {"seed": 1})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(UsageError, match="holds no few-shot study"):
        claim(tmp_path / "other", {"seed": 0})


def scores(shots, episode, **ious):
    """Two clips an episode, in one of which each class sounds."""

    def table(values):
        values, two = np.array(values, float), np.ones(2)
        return ClipTable(np.arange(2), two, values, two, np.zeros((2, 255)), np.zeros((2, 4)))

    names = ("bell", "drum")
    return TrialScores(
        shots, (episode,) * 2, names, {m: table(v) for m, v in ious.items()}, dict.fromkeys(ious, 0.5)
    )


def test_findings_are_means_and_paired_differences_over_episodes():
    rng = np.random.default_rng(0)
    ours, theirs = rng.uniform(0.4, 0.6, (2, 6, 2))
    none = [scores(0, f"e{k}", save=ours[k], protonet=theirs[k]) for k in range(6)]
    some = [scores(1, f"e{k}", save=ours[k] + 0.2, protonet=theirs[k]) for k in range(6)]
    found = Findings(none + some)
    assert found.figure("save", 0).mean == pytest.approx(ours.mean())
    assert found.figure("save", 0).count == 6
    assert found.figure("save", 0).low < ours.mean() < found.figure("save", 0).high
    gains = found.gains()
    assert (gains["save", 1].value, gains["save", 1].low) == pytest.approx((0.2, 0.2))
    assert gains["protonet", 1].value == pytest.approx(0, abs=1e-9)
    assert gains["save", 1].p == pytest.approx(2 * 2 / 2**6)  # all swaps, two of which are as extreme; Holm
    beside = found.against("save")
    assert set(beside) == {("protonet", 0), ("protonet", 1)}
    assert beside["protonet", 1].value == pytest.approx(theirs.mean() - ours.mean() - 0.2)
    assert found.by_class(1)["drum"]["save"] == pytest.approx(ours[:, 1].mean() + 0.2)


def test_gains_need_the_same_questions():
    found = Findings([scores(0, "a", save=[0.5, 0.5]), scores(1, "b", save=[0.5, 0.5])])
    assert found.gains() == {}


@pytest.fixture
def command(monkeypatch):
    """The command with budgets of moments; it takes words as they are typed."""
    budget = {k: v for k, v in QUICK.items() if k not in {"shots", "episodes", "ways"}}
    monkeypatch.setattr(settings_module, "Settings", partial(Settings, **budget))
    app = typer.Typer()
    app.command()(few_shot)
    return lambda *words: app([str(word) for word in words], standalone_mode=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    network = tiny_model()
    shake(network)
    return save_model(network, tmp_path_factory.mktemp("model") / "tiny")


def test_the_command_reports_on_scenes(command, model, root, tmp_path, capsys):
    words = (model, "--root", root, "--shots", "2,0", "--episodes", 2, "--ways", 2, "--precision", "fp32")
    assert command(*words, "-o", tmp_path / "study", "--json") == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert [row["method"] for row in document["report"]["sheets"]["miou"]["rows"]] == list(NAMES.values())
    assert document["report"]["setting"]["shots"] == "[0, 2]" and "episode-001-2-shot done" in err
    assert {"report.html", "report.md", "miou.csv", "gains.csv"} <= {
        path.name for path in (tmp_path / "study" / "report").iterdir()
    }
    assert command(*words, "-o", tmp_path / "study") == 0  # once more, from what is there
    out, err = capsys.readouterr()
    assert "mIoU beside SAVE's" in out and "shot done" not in err
    with pytest.raises(UsageError, match="other settings"):
        command(*words, "--seed", 1, "-o", tmp_path / "study")


@pytest.mark.slow
def test_the_command_reports_on_v3(command, model, root, tmp_path, capsys):
    corpora = {split: Corpus.load(root, split) for split in ("train", "val", "zero-shot")}
    tree = write_layout("v3", LayoutRequest(corpora, 12, 5, (40, 48)), tmp_path / "tree")
    words = (model, "--data", "v3", "--root", tree, "--shots", "0,1", "--precision", "fp32")
    assert command(*words, "-o", tmp_path / "study", "--json") == 0
    sheets = json.loads(capsys.readouterr().out)["report"]["sheets"]
    assert "gains" not in sheets  # each number of shots has a test of its own
    gavs = [row for row in sheets["published"]["rows"] if row["method"].startswith("GAVS")]
    assert gavs[0]["0 shots"] == pytest.approx(0.5471) and gavs[0]["1 shot"] == pytest.approx(0.6289)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--data", "s4"), "unknown data 's4'"),
        (("--data", "v3"), "needs --root"),
        (("--data", "v3", "--root", "x", "--episodes", "3"), "leave --episodes"),
        (("--shots", "one"), "give numbers"),
        (("no-such-model",), "no model 'no-such-model'"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_made(command, words, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=says):
        command(*words)
    assert not list(tmp_path.iterdir())
