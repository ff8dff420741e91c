"""Audio backbones: one network a file, one registry."""
