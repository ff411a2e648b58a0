_base_ = ['./one-shot_x101-32x8d_fpn_lstm2_cncb.py', '../_base_/models/author_release.py']
model = _base_.author_release
