_base_ = './one-shot_x50-32x4d_fpn_lstm2_cncb.py'
model = dict(
    rpn_head=dict(
        type='mmcovid.LogitRankedRPNHead',
        anchor_generator=dict(type='mmcovid.RoundedAnchorGenerator'),
        bbox_coder=dict(type='mmcovid.GrowthLimitedBBoxCoder')),
    roi_head=dict(bbox_head=dict(bbox_coder=dict(type='mmcovid.GrowthLimitedBBoxCoder'))),
    attention_head=dict(context_filter=False),
    test_cfg=dict(rcnn=dict(score_thr=0.75, max_per_img=4)))
