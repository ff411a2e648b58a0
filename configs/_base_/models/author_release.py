# As the author released LSTM-2: base anchors in whole pixels, proposals ranked by their logits,
# boxes that may shrink without a limit, no linear layer of Eq. 16, few and certain lesions in
# testing. For checkpoints that tools/model_converters/author_checkpoint.py made.
author_release = dict(
    rpn_head=dict(
        type='mmcovid.LogitRankedRPNHead',
        anchor_generator=dict(type='mmcovid.RoundedAnchorGenerator'),
        bbox_coder=dict(type='mmcovid.GrowthLimitedBBoxCoder')),
    roi_head=dict(bbox_head=dict(bbox_coder=dict(type='mmcovid.GrowthLimitedBBoxCoder'))),
    attention_head=dict(context_filter=False),
    test_cfg=dict(rcnn=dict(score_thr=0.75, max_per_img=4)))
