# Second stage of COVID-CT-Mask-Net: the detector of the first stage, frozen, with an image head.
_base_ = './covid-ct-mask-net-stage1_r50_fpn.py'

model = dict(
    type='mmcovid.CovidCTMaskNet',
    stage1=None,  # the checkpoint of the first stage
    backbone=dict(init_cfg=None),
    roi_head=dict(
        type='mmcovid.RankingRoIHead', roi_ranking=dict(num_rois=256, iou_threshold=0.75)
    ),
    image_head=dict(type='mmcovid.RegionalFeaturesHead', hidden_channels=1024),
    train_cfg=None,
    test_cfg=dict(detect_cls_slices=False),
)

# a batch in which no slice has a RoI trains the image head only
find_unused_parameters = True
