"""Metric mathematics: chunks, pyramids, grids. No files, no sockets, no SQL."""
