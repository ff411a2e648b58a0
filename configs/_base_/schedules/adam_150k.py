# The published optimiser. An epoch is as many iterations as there are training slices to classify,
# 3,000; the paper does not state their number: 50 epochs are our choice.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=150_000, val_interval=3_000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-5, weight_decay=1e-3, fused=True))
param_scheduler = []  # a constant learning rate
