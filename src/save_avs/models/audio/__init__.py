"""Audio backbones: one network per file, and a registry."""
