_base_ = [
    '../_base_/models/classifier_r18.py',
    '../_base_/datasets/phantom_cls.py',
    '../_base_/schedules/adam_phantom.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(init_cfg=None))
# it finds no lesions to test
val_dataloader = dict(dataset=dict(seg=None))
test_dataloader = dict(dataset=dict(seg=None))
val_evaluator = dict(metrics=dict(_delete_=True, cls=dict(type='mmcovid.ImageLevelMetric')))
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(
        interval=_base_.max_iters // 2, max_keep_ckpts=1, save_best='image/weighted_f1'
    ),
)
