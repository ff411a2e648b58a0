# As the author released LSTM-2: no linear layer of Eq. 16, few and certain lesions in testing. For
# checkpoints that mmcovid convert author-checkpoint made.
author_release = dict(
    attention_head=dict(context_filter=False),
    test_cfg=dict(rcnn=dict(score_thr=0.75, max_per_img=4)),
)
