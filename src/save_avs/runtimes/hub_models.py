"""Models on the Hugging Face Hub, with the signatures of ``huggingface_hub.PyTorchModelHubMixin``.

Functions rather than the mixin: `SAVE` stays a plain ``nn.Module`` that knows no client, and its weights are
checked, and completed by the published ones it was built on, before a model exists.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from save_avs.errors import UsageError
from save_avs.models.pretrained import PretrainedPaths
from save_avs.models.save import SAVE
from save_avs.models.serialization import CONFIG, WEIGHTS, save_model
from save_avs.runtimes.loading import BUNDLED, load_model
from save_avs.weights.hub import HubRepository, fetch_from_hub, push_folder

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_METRICS = {"miou": ("mean_iou", "mIoU"), "f": ("f1", "F-score")}  # in a report: as the Hub has them


def from_pretrained(
    pretrained_model_name_or_path: str | Path,
    *,
    force_download: bool = False,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    revision: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    pretrained: PretrainedPaths = None,
) -> SAVE:
    """Load a SAVE from the Hugging Face Hub, a folder or a bundled name, in evaluation mode.

    Args:
        pretrained_model_name_or_path: ``owner/name``, unless a folder or a bundled model has that name.
        force_download: even what is cached.
        token: of the Hub, instead of HF_TOKEN or the one of ``hf auth login``; False sends none.
        cache_dir: instead of the Hub's own cache.
        local_files_only: ask no server.
        revision: a branch, a tag or a commit.
        device: as `load_model` takes it.
        precision: as `load_model` takes it; to train or to save the model, ``fp32``.
        pretrained: where to look for the checkpoints it was built on.

    Raises:
        UsageError: when there is no such model, or it is not cached and may not be downloaded.
        SaveAvsError: when the Hub refuses it or cannot be reached.
        DataError: when a file is not the one that the Hub lists.
    """
    source = pretrained_model_name_or_path
    if str(source) not in BUNDLED and not Path(source).is_dir():
        name = str(source) if revision is None else f"{source}@{revision}"
        source = fetch_from_hub(
            HubRepository.parse(name),
            (CONFIG, WEIGHTS),
            force_download=force_download,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
    return load_model(source, device=device, precision=precision, pretrained=pretrained)


def save_pretrained(
    model: SAVE,
    save_directory: str | Path,
    *,
    repo_id: str | None = None,
    push_to_hub: bool = False,
    model_card_kwargs: Mapping[str, Any] | None = None,
    **push_to_hub_kwargs: Any,
) -> str | None:
    """Write a model folder: config.json, model.safetensors and a model card.

    Args:
        model: loaded in ``fp32``, or built.
        save_directory: to write into.
        repo_id: with ``push_to_hub``, the repository; by default the folder's name.
        push_to_hub: upload it too.
        model_card_kwargs: metadata of a new card (``huggingface_hub.ModelCardData``): license, datasets, ...;
            ``eval_report``: the report.json of ``save-avs eval``, whose scores it shows with their intervals.
        push_to_hub_kwargs: of `push_to_hub`.

    Returns:
        The URL of the commit, None if nothing was uploaded.

    Raises:
        UsageError: when the model cannot be saved, or the report is none.
        SaveAvsError: when the Hub refuses it or cannot be reached.
    """
    metadata = dict(model_card_kwargs or {})
    if report := metadata.pop("eval_report", None):
        metadata["eval_results"] = report_results(report)
    folder = save_model(model, save_directory, **metadata)
    return push_folder(folder, repo_id or folder.name, **push_to_hub_kwargs) if push_to_hub else None


def push_to_hub(
    model: SAVE,
    repo_id: str,
    *,
    commit_message: str = "Push model using huggingface_hub.",
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    create_pr: bool | None = None,
    allow_patterns: list[str] | str | None = None,
    ignore_patterns: list[str] | str | None = None,
    delete_patterns: list[str] | str | None = None,
    model_card_kwargs: Mapping[str, Any] | None = None,
) -> str:
    """Upload a model to the Hugging Face Hub as one commit; its repository is created if there is none.

    Args:
        model: loaded in ``fp32``, or built.
        repo_id: owner/name, or a name of your own account.
        commit_message: of the commit.
        private: of a new repository; None for the account's default.
        token: instead of HF_TOKEN or the one of ``hf auth login``.
        branch: to commit to, else ``main``.
        create_pr: propose the commit instead.
        allow_patterns: names of the files to upload, by default all.
        ignore_patterns: names of files to leave out.
        delete_patterns: names of files to remove from the repository.
        model_card_kwargs: as `save_pretrained` takes them.

    Returns:
        The URL of the commit.

    Raises:
        UsageError: when the model cannot be saved, or the report is none.
        SaveAvsError: when the Hub refuses it or cannot be reached.
    """
    with TemporaryDirectory() as folder:
        save_pretrained(model, folder, model_card_kwargs=model_card_kwargs)
        return push_folder(
            Path(folder),
            repo_id,
            commit_message=commit_message,
            private=private,
            token=token,
            branch=branch,
            create_pr=create_pr,
            allow_patterns=allow_patterns,
            ignore_patterns=ignore_patterns,
            delete_patterns=delete_patterns,
        )


def report_results(report: str | Path) -> list["EvalResult"]:
    """Return the scores of a report.json as a model card's results, each with its 95 % interval.

    Raises:
        UsageError: when the file is not a report of ``save-avs eval`` on clips.
    """
    from huggingface_hub import EvalResult

    try:
        document = json.loads(Path(report).read_text("utf-8"))
        info = document["info"]
        return [
            EvalResult(
                task_type="image-segmentation",
                dataset_type=info["data"],
                dataset_name=info["data"],
                dataset_split=info["split"],
                metric_type=kind,
                metric_name=f"{title}, protocol {protocol}",
                metric_value=group[metric]["value"],
                metric_args={
                    "confidence_interval_95": [group[metric]["low"], group[metric]["high"]],
                    "clips": group["clips"],
                },
            )
            for protocol, scores in document["protocols"].items()
            for group in (scores["overall"],)
            for metric, (kind, title) in _METRICS.items()
            if metric in group
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{report} is not a report.json of save-avs eval: give one on clips") from error
