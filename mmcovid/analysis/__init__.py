"""What people make of predictions: reports, explanations, comparisons."""
