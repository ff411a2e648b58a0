# Second stage; first train covid-ct-mask-net-stage1_r50_fpn_cncb.py.
_base_ = [
    '../_base_/models/covid-ct-mask-net_r50_fpn.py',
    '../_base_/datasets/cncb_cls.py',
    '../_base_/schedules/adam_30k.py',
    '../_base_/default_runtime.py',
]
model = dict(stage1='work_dirs/covid-ct-mask-net-stage1_r50_fpn_cncb/iter_30000.pth')
lesions = dict(classes=('ggo', 'consolidation'))
train_dataloader = dict(dataset=dict(metainfo=lesions))
val_dataloader = dict(dataset=dict(seg=dict(metainfo=lesions)))
test_dataloader = dict(dataset=dict(seg=dict(metainfo=lesions)))
