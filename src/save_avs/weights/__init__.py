"""Pretrained weights: a registry, downloads, a cache, safe reading and strict loading."""
