"""Clips in tar files, after WebDataset's convention, read at any place by way of an index."""
