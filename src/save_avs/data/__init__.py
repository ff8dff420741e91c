"""Data sets: clips with the pixels that sound; the composer that makes them out of cutouts and sounds."""
