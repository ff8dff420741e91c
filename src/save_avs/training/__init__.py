"""Training: a recipe of stages, one loop, exact resume."""

from save_avs._extras import require

require("train", "accelerate", "omegaconf")
