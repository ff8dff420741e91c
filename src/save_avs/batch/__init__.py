"""Very many clips into tables: worker processes or Ray, one result a clip, whatever dies on the way."""
