"""The REST service and the web page: jobs on disk, worker processes that run them, and who may see what."""
