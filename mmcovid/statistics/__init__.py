"""Figures with their intervals, of arrays: nothing here knows of files or models."""
