"""Trainable parts that SAVE adds to a frozen SAM, and freezing the rest."""
