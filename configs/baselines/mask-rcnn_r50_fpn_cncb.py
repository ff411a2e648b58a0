_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/cncb_seg.py',
    '../_base_/schedules/adam_30k.py',
    '../_base_/default_runtime.py',
]
default_hooks = dict(checkpoint=dict(save_best='coco/segm_mAP'))
