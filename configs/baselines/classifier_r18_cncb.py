_base_ = [
    '../_base_/models/classifier_r18.py',
    '../_base_/datasets/cncb_cls.py',
    '../_base_/schedules/adam_30k.py',
    '../_base_/default_runtime.py',
]
# it finds no lesions to test
val_dataloader = dict(dataset=dict(seg=None))
test_dataloader = dict(dataset=dict(seg=None))
val_evaluator = dict(metrics=dict(_delete_=True, cls=dict(type='mmcovid.ImageLevelMetric')))
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='image/weighted_f1'))
