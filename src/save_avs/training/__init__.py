"""Training: a recipe of stages, one loop, exact resume."""
