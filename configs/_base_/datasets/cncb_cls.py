# Training on the slice set of cncb.py alone, in larger batches; validation and test as there.
_base_ = './cncb.py'

num_cls = 8  # slices in a batch
train_pipeline = [
    *_base_.train_dataloader.dataset.cls.pipeline[:-1],
    dict(type='mmcovid.PackSliceInputs'),
]
train_dataloader = dict(
    batch_size=num_cls,
    sampler=dict(_delete_=True, type='mmcovid.InfiniteSampler'),
    dataset=dict(seg=None, cls=dict(pipeline=train_pipeline)),
)
