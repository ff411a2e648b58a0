_base_ = [
    '../_base_/models/one-shot_r18_fpn_lstm2.py',
    '../_base_/datasets/cncb.py',
    '../_base_/schedules/adam_30k.py',
    '../_base_/default_runtime.py',
]
