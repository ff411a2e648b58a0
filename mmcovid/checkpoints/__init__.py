"""Checkpoints: safe loading, safetensors, the author's, publishing."""
