"""A model that leaves this program: a folder with its graph, what to know of it, and a runner."""
