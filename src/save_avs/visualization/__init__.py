"""Results as people see them: overlay, matte, timeline, contact sheet, plots, HTML pages."""
