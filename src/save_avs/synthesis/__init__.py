"""Scenes composed from cutouts, sounds and backgrounds: training streams and videos."""
