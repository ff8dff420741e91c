"""Scenes composed from cutouts, sounds and backgrounds, with exact masks."""
