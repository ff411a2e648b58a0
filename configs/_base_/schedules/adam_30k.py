# The published optimiser. An epoch is as many iterations as there are training slices to classify,
# 3,000; the paper does not state their number. 10 epochs are those of the author's release with
# LSTM; 50 epochs, as in his release before, are max_iters=150_000.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=30_000, val_interval=3_000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-5, weight_decay=1e-3, fused=True),
    accumulative_counts=1,
)  # batches whose gradients make a step
param_scheduler = []  # a constant learning rate
