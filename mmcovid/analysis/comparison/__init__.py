"""Train and test several systems, and lay their figures side by side."""
