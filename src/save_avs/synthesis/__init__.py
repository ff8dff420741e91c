"""Scenes composed from cutouts, sounds and backgrounds: training streams, videos and benchmark layouts."""
