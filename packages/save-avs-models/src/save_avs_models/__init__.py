"""Data of save-avs; save-tiny/README.md and scenes/LICENCE.md have its licenses."""
