"""Composed scenes in the folders of S4, MS3, AVSS, V3 and AVS-Synthetic, for use without the archives."""
