"""Label Studio ML backend: masks of the sounding objects on frames, and their tracks as boxes on videos."""

import json
import os
from collections import defaultdict
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from label_studio_ml.model import LabelStudioMLBase

import save_avs

MODEL = os.environ.get("SAVE_AVS_MODEL", "save-small")
FPS = float(os.environ.get("SAVE_AVS_FPS", "0")) or None


@lru_cache(maxsize=1)
def load(name: str) -> Any:
    """Load a model, once."""
    return save_avs.load_model(name)


@lru_cache(maxsize=8)
def segment(path: str) -> save_avs.SegmentationResult:
    """Segment a video; the last eight are kept, since each of their frames is a task."""
    return save_avs.segment(path, model=load(MODEL), fps=FPS, track=True, outputs=("labelstudio",))


def brushes(result: save_avs.SegmentationResult, time: float) -> list[dict[str, Any]]:
    """Return the regions of the frame nearest to a time in seconds."""
    i = int(np.abs(result.times - time).argmin())
    with TemporaryDirectory() as folder:
        file = result[i : i + 1].save(Path(folder) / "frame") / "masks.labelstudio.json"
        (task,) = json.loads(file.read_text("utf-8"))
    return task["predictions"][0]["result"]


def boxes(result: save_avs.SegmentationResult) -> list[dict[str, Any]]:
    """Return a region for each tracked object, with a box in percent on each frame that shows it."""
    height, width = result.video_masks.size
    tracks: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for frame in result:
        for found in frame.objects or ():
            left, top, across, down = found.box
            area = {"x": left / width, "y": top / height, "width": across / width, "height": down / height}
            keyframe = {"frame": frame.source_index + 1, "time": frame.time, "rotation": 0}
            tracks[found.id].append(keyframe | {side: 100 * share for side, share in area.items()})
    following = dict(pairwise(frame.source_index + 1 for frame in result))
    for track in tracks.values():
        for now, then in zip(track, [*track[1:], {"frame": None}], strict=True):
            now["enabled"] = following.get(now["frame"], 0) == then["frame"]  # else it disappears here
    duration = result.video.duration or result[-1].time + 1 / result.video.fps
    extent = {"framesCount": round(duration * result.video.fps), "duration": duration}
    return [
        {"id": f"object-{number}", "type": "videorectangle", "value": {**extent, "sequence": track}}
        for number, track in tracks.items()
    ]


class SoundingObjects(LabelStudioMLBase):
    """Predicts for the first BrushLabels or VideoRectangle of the interface, with its first label."""

    def predict(self, tasks: list[dict], context: dict | None = None, **options: Any) -> list[dict]:
        """Return a prediction for each task; its data names the video, and for masks the time."""
        return [self._predict(task) for task in tasks]

    def _predict(self, task: dict) -> dict[str, Any]:
        config, data = self.parsed_label_config, task["data"]
        found = (item for item in config.items() if item[1]["type"] in ("BrushLabels", "VideoRectangle"))
        name, tag = next(found, ("", {"type": None}))
        masks = tag["type"] == "BrushLabels"
        labels = [label for each in config.values() for label in each["labels"]]
        if not (name and labels and "video" in data and ("time" in data or not masks)):
            raise ValueError(f"task {task.get('id')}: see the labeling interfaces and data in README.md")
        result = segment(self.get_local_path(data["video"], task_id=task.get("id")))
        regions = brushes(result, float(data["time"])) if masks else boxes(result)
        for region in regions:
            region.update(from_name=name, to_name=tag["to_name"][0])
            region["value"]["brushlabels" if masks else "labels"] = labels[:1]
        score = float(result.scores.max(initial=0))
        return {"model_version": result.model["name"], "score": score, "result": regions}
