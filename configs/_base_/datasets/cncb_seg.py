# The lesion set of cncb.py alone.
_base_ = './cncb.py'

train_pipeline = [
    *_base_.train_dataloader.dataset.seg.pipeline[:-1],
    dict(type='mmcovid.PackSliceInputs'),
]
train_dataloader = dict(
    batch_size=_base_.num_seg,
    sampler=dict(_delete_=True, type='mmcovid.InfiniteSampler'),
    dataset=dict(cls=None, seg=dict(pipeline=train_pipeline)),
)
val_dataloader = dict(dataset=dict(cls=None))
test_dataloader = dict(dataset=dict(cls=None))

val_evaluator = dict(metrics=dict(_delete_=True, seg=_base_.val_evaluator.metrics.seg))
test_evaluator = dict(metrics=dict(_delete_=True, seg=_base_.test_evaluator.metrics.seg))
