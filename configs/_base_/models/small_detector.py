# A Mask R-CNN with fewer channels and boxes, for phantom slices: neck, heads and thresholds.
channels = 64
small_detector = dict(
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=channels),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(scales=[4], ratios=[0.5, 1.0, 2.0]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(in_channels=channels, fc_out_channels=128),
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(num_convs=1, in_channels=channels, conv_out_channels=channels),
    ),
    test_cfg=dict(rpn=dict(nms_pre=400, max_per_img=128), rcnn=dict(max_per_img=32)),
)
del channels
