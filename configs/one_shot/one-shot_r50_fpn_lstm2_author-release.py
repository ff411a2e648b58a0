_base_ = ['./one-shot_r50_fpn_lstm2_cncb.py', '../_base_/models/author_release.py']
model = _base_.author_release
