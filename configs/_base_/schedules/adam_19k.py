# The published optimiser and 50 epochs of 3,000 slices, as in adam_150k.py, in batches of 8.
_base_ = './adam_150k.py'
train_cfg = dict(max_iters=18_750, val_interval=1_875)
