"""What a recipe may choose between, by name; light to import."""

from typing import Literal

Policy = Literal["stop", "skip"]
Precision = Literal["fp32", "bf16", "fp16"]
Sharding = Literal["none", "full"]
Tracker = Literal["tensorboard", "wandb", "mlflow"]
