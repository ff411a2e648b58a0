_base_ = ['./one-shot_r18_fpn_lstm2_cncb.py', '../_base_/models/finer_fpn.py']
model = _base_.stride8
