"""Models in one ONNX file, that need no PyTorch to run."""
