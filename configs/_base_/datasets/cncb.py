# Two data sets in one batch: CNCB-NCOV lesion masks (branch seg) and COVIDx-CT slices (branch cls).
# Splits and sizes are the paper's; docs/en/prepare_data.md says how to make the files.
data_root = 'data/cncb/'
image_scale = (512, 512)
num_seg, num_cls = 1, 1  # slices of each set in a batch
branches = ['seg', 'cls']

load_slice = [
    dict(type='mmcovid.LoadImageFromFile', color_type='unchanged'),  # 16 bit stay 16 bit
    dict(type='mmcovid.ToThreeChannels'),
]
train_pipelines = dict(
    seg=[
        *load_slice,
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type='Resize', scale=image_scale, keep_ratio=False),
        dict(type='MultiBranch', branch_field=branches, seg=[dict(type='mmcovid.PackSliceInputs')]),
    ],
    cls=[
        *load_slice,
        dict(type='Resize', scale=image_scale, keep_ratio=False),
        dict(type='MultiBranch', branch_field=branches, cls=[dict(type='mmcovid.PackSliceInputs')]),
    ],
)
test_pipeline = [
    *load_slice,
    dict(type='Resize', scale=image_scale, keep_ratio=False),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='mmcovid.PackSliceInputs'),
]

train_lesions = dict(
    type='mmcovid.LesionDataset',
    data_root=data_root,
    ann_file='annotations/lesions_train.json',
    data_prefix=dict(img='ct_lesion_seg/image/'),
    pipeline=train_pipelines['seg'],
)
train_slices = dict(
    type='mmcovid.SliceDataset',
    data_root=data_root,
    ann_file='covidx_ct/annotations/train_3000.json',  # 1,000 of each class
    data_prefix=dict(img='covidx_ct/2A_images/'),
    pipeline=train_pipelines['cls'],
)
train_dataloader = dict(
    batch_size=num_seg + num_cls,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(
        type='mmcovid.MultiSourceSampler',
        batch_size=num_seg + num_cls,
        source_ratio=[num_seg, num_cls],
    ),
    batch_sampler=None,
    dataset=dict(type='mmcovid.TwoTaskDataset', seg=train_lesions, cls=train_slices),
)

val_lesions = dict(  # patients held out of the 650 slices that are not for testing
    type='mmcovid.LesionDataset',
    data_root=data_root,
    ann_file='annotations/lesions_val.json',
    data_prefix=dict(img='ct_lesion_seg/image/'),
    test_mode=True,
)
val_slices = dict(
    type='mmcovid.SliceDataset',
    data_root=data_root,
    ann_file='covidx_ct/val_COVIDx-CT.txt',
    data_prefix=dict(img='covidx_ct/2A_images/'),
    per_class=500,  # all 21,000 in each epoch would cost more than the training
    test_mode=True,
)
test_lesions = dict(val_lesions, ann_file='annotations/lesions_test.json')
test_slices = dict(val_slices, ann_file='covidx_ct/test_COVIDx-CT.txt', per_class=None)

val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    # no rounding up: no slice is counted twice when several GPUs test
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='mmcovid.TwoTaskDataset', seg=val_lesions, cls=val_slices, pipeline=test_pipeline
    ),
)
test_dataloader = dict(
    val_dataloader,
    dataset=dict(
        type='mmcovid.TwoTaskDataset', seg=test_lesions, cls=test_slices, pipeline=test_pipeline
    ),
)

val_evaluator = dict(
    type='mmcovid.TaskEvaluator',
    metrics=dict(
        seg=[
            dict(
                type='mmcovid.LesionMetric',  # COCO's average precision
                ann_file=data_root + 'annotations/lesions_val.json',
                metric=['bbox', 'segm'],
                classwise=True,
                format_only=False,
            ),
            dict(type='mmcovid.PerImageAP'),  # that of the author's releases
        ],
        cls=dict(type='mmcovid.ImageLevelMetric'),
    ),
)
coco, per_image = val_evaluator['metrics']['seg']
test_evaluator = dict(
    val_evaluator,
    metrics=dict(
        val_evaluator['metrics'],
        seg=[dict(coco, ann_file=data_root + 'annotations/lesions_test.json'), per_image],
    ),
)
del coco, per_image
