"""The command line of the studies."""
