"""Seeing a training: what it tells, who listens, the record and the report of a run."""
