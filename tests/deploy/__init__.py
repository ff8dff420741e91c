"""The files in deploy/, by tools that know their formats."""
