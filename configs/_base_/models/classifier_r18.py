# A whole-slice classifier with ordinary BatchNorm: statistics of the batch in training, running
# ones in testing.
model = dict(
    type='mmcovid.SliceClassifier',
    data_preprocessor=dict(type='mmcovid.SliceDataPreprocessor', pad_size_divisor=32),
    backbone=dict(
        type='ResNet',
        depth=18,
        num_stages=4,
        out_indices=(3,),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'),
    ),
    image_head=dict(type='mmcovid.PooledLinearHead', in_channels=512),
)
