"""SAVE = SAM + adapters + audio backbone: its config, how it is built, loaded and saved."""
