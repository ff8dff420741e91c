"""Files and folders that appear complete or not at all, and checks of what a path is."""
