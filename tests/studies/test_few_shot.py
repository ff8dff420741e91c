"""The few-shot study: training, results, the command."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from save_avs.errors import UsageError
from save_avs.metrics.mask_metrics import ClipTable
from save_avs.models import save_model
from save_avs.synthesis.corpus import Corpus
from studies import few_shot
from studies.cli import main
from studies.composed_benchmarks.clips import LayoutRequest
from studies.composed_benchmarks.layouts import write_layout
from studies.few_shot import FewShotConfig, training
from studies.few_shot.baselines import Gavs, ProtoNet
from studies.few_shot.episodes import scene_data
from studies.few_shot.methods import TITLES, FinetuningMethod
from studies.few_shot.results import FewShotResults, FewShotScores
from studies.few_shot.study import claim_folder, score_trials
from studies.few_shot.training import compute_loss, train_on_clips, train_on_episodes, train_on_frames
from tests.support.few_shot_data import QUICK, frozen_model, make_few_shot_corpus, quick
from tests.support.tiny_model import shake, tiny_model


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_few_shot_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def seen(root):
    return scene_data(frozen_model(), root, quick()).seen


def moved(network, before):
    return {name for name, p in network.state_dict().items() if not torch.equal(p, before[name])}


def state(network):
    return {name: p.clone() for name, p in network.state_dict().items()}


def test_finetuning_trains_adapters_and_decoder_of_a_copy(seen):
    model = frozen_model()
    before = state(model)
    finetuning = FinetuningMethod(model, epochs=8, batch_size=4, lr=3e-3)
    assert finetuning.adapt(None, 0) is model
    copy = finetuning.adapt(seen, 0)
    assert not moved(model, before)
    learned = moved(copy, before)
    assert learned and all(
        ".adapter." in n or n.startswith(("audio_adapter", "sam.mask_decoder")) for n in learned
    )
    assert compute_loss(copy, seen) < compute_loss(model, seen)
    again = finetuning.adapt(seen, 0)
    assert not moved(again, state(copy)) and moved(finetuning.adapt(seen, 1), state(copy))


def test_gavs_trains_its_prompt_and_adapters(seen):
    torch.manual_seed(0)
    net = Gavs(frozen_model(), hidden=16)
    before, at_first = state(net), compute_loss(net.eval(), seen).item()
    train_on_frames(net, seen, epochs=20, batch_size=6, lr=3e-3, seed=0)
    assert {name.split(".")[0] for name in moved(net, before)} == {"prompt", "align", "decoder"}
    assert all(".adapter." in name for name in moved(net, before) if name.startswith("decoder"))
    assert compute_loss(net, seen).item() < at_first and not net.training


def test_gavs_own_recipe_is_adamw_on_one_clip_per_step(seen, monkeypatch):
    """Steps, optimizer and cross-entropy, against AdamW written out for a first step: rate times the sign."""
    torch.manual_seed(0)
    net, asked = Gavs(frozen_model(), hidden=16), []
    net.prompt.noise_scale.data.zero_()  # no noise
    clips = [seen.take([0, 1]), seen.take([2]), seen.take([3, 4, 5])]
    start = {name: p.detach().clone() for name, p in net.named_parameters()}
    net.train()
    loss = loss_of(net, clips[1])
    names = [n for n, p in net.named_parameters() if "prompt.mlp" in n]
    slopes = torch.autograd.grad(loss, [dict(net.named_parameters())[n] for n in names])
    monkeypatch.setattr(training, "cross_entropy", lambda n, f: (asked.append(f), loss_of(n, f))[1])
    train_on_clips(net, [clips[1]], epochs=1, lr=1e-3, seed=0)
    for name, slope in zip(names, slopes, strict=True):
        sure = slope.abs() > 1e-6
        expected = start[name] * (1 - 1e-3 * 0.01) - 1e-3 * slope.sign()
        found = dict(net.named_parameters())[name]
        assert sure.any() and torch.allclose(found[sure], expected[sure], atol=2e-5), name
    train_on_clips(net, clips, epochs=4, lr=1e-3, seed=0)
    sizes = [len(frames) for frames in asked[1:]]
    assert len(sizes) == 12 and all(sorted(sizes[k : k + 3]) == [1, 2, 3] for k in range(0, 12, 3))
    assert not net.training


def loss_of(network, frames):
    """Binary cross-entropy of the enlarged logits, frame by frame."""
    rows = []
    for logits, target in zip(network.segment(frames.features), frames.targets, strict=True):
        z = torch.nn.functional.interpolate(logits[None], target.shape, mode="bilinear")[0, 0]
        p = z.sigmoid().clamp(1e-7, 1 - 1e-7)
        rows.append(-(target * p.log() + ~target * (1 - p).log()).mean())
    return torch.stack(rows).mean()


def test_cross_entropy_is_at_each_frames_own_size(seen):
    torch.manual_seed(0)
    net = Gavs(frozen_model(), hidden=16).eval()
    with torch.no_grad():
        found, expected = training.cross_entropy(net, seen), loss_of(net, seen)
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_frames_are_grouped_by_clip(seen):
    mixed = replace(seen.take([0, 1, 2, 3]), clips=(7, 2, 7, 7))
    assert [(part.clips, len(part)) for part in mixed.by_clip()] == [((7, 7, 7), 3), ((2,), 1)]
    assert torch.equal(mixed.by_clip()[0].masks, mixed.masks[[0, 2, 3]])


def test_protonet_trains_its_temperatures_on_episodes(seen):
    net = ProtoNet(frozen_model())
    train_on_episodes(net, seen, episodes=5, ways=2, shots=2, queries=1, lr=0.1, seed=0)
    assert net.log_image_scale.exp().item() != pytest.approx(
        20
    ) and net.log_audio_scale.exp().item() != pytest.approx(20)


def run(root, folder, **changes):
    model, config = frozen_model(), quick(**changes)
    return score_trials(model, scene_data(model, root, config), config, folder)


def same(one, other):
    return all(
        a.sources == b.sources and np.array_equal(a.tables[m].curve, b.tables[m].curve)
        for a, b in zip(one, other, strict=True)
        for m in TITLES
    )


@pytest.mark.exhaustive
def test_trials_are_reproducible_and_resumable(root, tmp_path):
    whole = run(root, tmp_path / "one")
    assert len(whole) == 9 and set(whole[0].tables) == set(TITLES)
    kept = sorted((tmp_path / "one" / "trials").iterdir())
    lost, stays = kept[4], kept[0].stat().st_mtime_ns
    lost.unlink()
    again = run(root, tmp_path / "one")  # with its baselines from the folder
    assert same(whole, again) and lost.exists() and kept[0].stat().st_mtime_ns == stays
    assert same(whole, run(root, tmp_path / "two"))
    assert not same(whole, run(root, tmp_path / "three", seed=1))


def test_claim_folder_refuses_other_settings(tmp_path):
    claim_folder(tmp_path / "study", {"seed": 0})
    claim_folder(tmp_path / "study", {"seed": 0})
    with pytest.raises(UsageError, match="other settings"):
        claim_folder(tmp_path / "study", {"seed": 1})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(UsageError, match="not the folder of a few-shot study"):
        claim_folder(tmp_path / "other", {"seed": 0})


def scores(shots, episode, **ious):
    """Two clips an episode, in one of which each class sounds."""

    def table(values):
        values, two = np.array(values, float), np.ones(2)
        return ClipTable(np.arange(2), two, values, two, np.zeros((2, 255)), np.zeros((2, 4)))

    names = ("bell", "drum")
    return FewShotScores(
        shots, (episode,) * 2, names, {m: table(v) for m, v in ious.items()}, dict.fromkeys(ious, 0.5)
    )


def test_results_are_means_and_paired_differences_over_episodes():
    rng = np.random.default_rng(0)
    ours, theirs = rng.uniform(0.4, 0.6, (2, 6, 2))
    none = [scores(0, f"e{k}", save=ours[k], protonet=theirs[k]) for k in range(6)]
    some = [scores(1, f"e{k}", save=ours[k] + 0.2, protonet=theirs[k]) for k in range(6)]
    found = FewShotResults(none + some)
    assert found.estimate("save", 0).value == pytest.approx(ours.mean())
    assert found.estimate("save", 0).count == 6
    assert found.estimate("save", 0).low < ours.mean() < found.estimate("save", 0).high
    gains = found.gains()
    assert (gains["save", 1].value, gains["save", 1].low) == pytest.approx((0.2, 0.2))
    assert gains["protonet", 1].value == pytest.approx(0, abs=1e-9)
    assert gains["save", 1].p == pytest.approx(2 * 2 / 2**6)  # all swaps, two of which are as extreme; Holm
    beside = found.differences_from("save")
    assert set(beside) == {("protonet", 0), ("protonet", 1)}
    assert beside["protonet", 1].value == pytest.approx(theirs.mean() - ours.mean() - 0.2)
    assert found.by_class(1)["drum"]["save"] == pytest.approx(ours[:, 1].mean() + 0.2)


def test_gains_need_the_same_queries():
    found = FewShotResults([scores(0, "a", save=[0.5, 0.5]), scores(1, "b", save=[0.5, 0.5])])
    assert found.gains() == {}


@pytest.fixture
def command(monkeypatch):
    """The command with small budgets."""
    budget = {k: v for k, v in QUICK.items() if k not in {"shots", "episodes", "ways"}}
    monkeypatch.setattr(few_shot, "FewShotConfig", partial(FewShotConfig, **budget))
    return lambda *words: main(["few-shot", *map(str, words)])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    network = tiny_model()
    shake(network)
    return save_model(network, tmp_path_factory.mktemp("model") / "tiny")


def rows(folder, name):
    return list(csv.DictReader((folder / "report" / f"{name}.csv").read_text().splitlines()))


def test_command_reports_on_scenes_and_resumes(command, model, root, tmp_path, capsys):
    words = (model, "--root", root, "--shots", "2,0", "--episodes", 2, "--ways", 2, "--precision", "fp32")
    study = tmp_path / "study"
    assert command(*words, "-o", study) == 0
    assert [row["method"] for row in rows(study, "miou")] == list(TITLES.values())
    assert "* shots: [0, 2]" in (study / "report/report.md").read_text()
    assert "episode-001-2-shot done" in capsys.readouterr().err and rows(study, "gains")
    assert command(*words, "-o", study) == 0
    out, err = capsys.readouterr()
    assert "mIoU, difference from SAVE" in out and "shot done" not in err
    assert command(*words, "--seed", 1, "-o", study) == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.exhaustive
def test_command_reports_on_v3(command, model, root, tmp_path):
    corpora = {split: Corpus.load(root, split) for split in ("train", "val", "zero-shot")}
    tree = write_layout("v3", LayoutRequest(corpora, 12, 5, (40, 48)), tmp_path / "tree")
    words = (model, "--data", "v3", "--root", tree, "--shots", "0,1", "--precision", "fp32")
    study = tmp_path / "study"
    assert command(*words, "-o", study) == 0
    assert not (study / "report/gains.csv").exists()  # each number of shots has its own test
    gavs = [row for row in rows(study, "published") if row["method"].startswith("GAVS")]
    assert float(gavs[0]["0 shots"]) == pytest.approx(0.5471)
    assert float(gavs[0]["1 shot"]) == pytest.approx(0.6289)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "s4"), "unknown data 's4'"),
        (("--data", "v3"), "requires --root"),
        (("--shots", "one"), "give numbers"),
        (("no-such-model",), "no-such-model"),
    ],
    ids=["unknown data", "no root", "no numbers", "unknown model"],
)
def test_usage_error_before_any_work(command, words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(*words) == 2
    assert message in capsys.readouterr().err and not list(tmp_path.iterdir())
