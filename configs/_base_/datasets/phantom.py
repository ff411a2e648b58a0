# Phantom slices as mmcovid phantom makes them, laid out like the real sets:
# other paths, smaller slices, larger batches.
_base_ = './cncb.py'

data_root = 'data/phantom/'
image_scale = (192, 192)
num_seg, num_cls = 3, 4  # slices of each set in a batch

train_pipelines = _base_.train_pipelines
test_pipeline = _base_.test_pipeline
for pipeline in (*train_pipelines.values(), test_pipeline):
    for transform in pipeline:
        if transform['type'] == 'Resize':
            transform['scale'] = image_scale
del pipeline, transform

train_dataloader = dict(
    batch_size=num_seg + num_cls,
    sampler=dict(batch_size=num_seg + num_cls, source_ratio=[num_seg, num_cls]),
    dataset=dict(
        seg=dict(data_root=data_root, pipeline=train_pipelines['seg']),
        cls=dict(
            data_root=data_root,
            ann_file='covidx_ct/train_phantom.txt',
            pipeline=train_pipelines['cls'],
        ),
    ),
)
val_dataloader = dict(
    dataset=dict(
        pipeline=test_pipeline,
        seg=dict(data_root=data_root),
        cls=dict(data_root=data_root, ann_file='covidx_ct/val_phantom.txt', per_class=None),
    )
)
test_dataloader = dict(
    dataset=dict(
        pipeline=test_pipeline,
        seg=dict(data_root=data_root),
        cls=dict(data_root=data_root, ann_file='covidx_ct/test_phantom.txt'),
    )
)

coco, per_image = _base_.val_evaluator.metrics.seg
val_evaluator = dict(
    metrics=dict(seg=[dict(coco, ann_file=data_root + 'annotations/lesions_val.json'), per_image])
)
test_evaluator = dict(
    metrics=dict(seg=[dict(coco, ann_file=data_root + 'annotations/lesions_test.json'), per_image])
)
del coco, per_image
