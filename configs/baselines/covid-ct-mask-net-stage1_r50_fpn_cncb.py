_base_ = [
    '../_base_/models/covid-ct-mask-net-stage1_r50_fpn.py',
    '../_base_/datasets/cncb_seg.py',
    '../_base_/schedules/adam_30k.py',
    '../_base_/default_runtime.py',
]
# lungs are background
lesions = dict(dataset=dict(seg=dict(metainfo=dict(classes=('ggo', 'consolidation')))))
train_dataloader = lesions
val_dataloader = lesions
test_dataloader = lesions
default_hooks = dict(checkpoint=dict(save_best='coco/segm_mAP'))
