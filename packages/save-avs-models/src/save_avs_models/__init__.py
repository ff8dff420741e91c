"""Data of save-avs; save-small/README.md and scenes/LICENCE.md have its licenses."""
