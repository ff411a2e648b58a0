_base_ = ['./one-shot_r18_fpn_lstm2_cncb.py', '../_base_/models/author_release.py']
model = _base_.author_release
