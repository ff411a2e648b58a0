default_scope = 'mmdet'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='mmcovid.CheckpointHook',  # whole files only
        by_epoch=False,
        interval=3_000,
        max_keep_ckpts=3,
        save_best=['coco/segm_mAP', 'image/weighted_f1'],  # one of each task
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    iteration_seed=dict(type='mmcovid.IterationSeedHook'),
    visualization=dict(type='mmcovid.SliceVisualizationHook'),
    model_card=dict(type='mmcovid.ModelCardHook'),
    work_dir_lock=dict(type='mmcovid.WorkDirLockHook'),
    divergence=dict(type='mmcovid.DivergenceHook', max_loss=1e4),
    stop_signal=dict(type='mmcovid.StopSignalHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

# for TensorBoard add dict(type='TensorboardVisBackend')
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='mmcovid.OneShotVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=False)

# with the seed a resumed training goes on as an unbroken one
randomness = dict(seed=0)
log_level = 'INFO'
load_from = None
resume = False
