_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py', '../_base_/datasets/cncb_seg.py',
    '../_base_/schedules/adam_150k.py', '../_base_/default_runtime.py'
]
