import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcovid.checkpoints.whole import find_whole, is_whole, numbered_checkpoints
from mmcovid.utils.errors import TrainingError


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('whole') / 'iter_1.pth'
    torch.save(dict(state_dict=dict(weight=torch.arange(100.0))), path)
    return path


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_part_of_a_file_is_not_whole(checkpoint, data):
    content = checkpoint.read_bytes()
    part = checkpoint.with_name('part.pth')
    part.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert not is_whole(part)


@settings(max_examples=30, deadline=None)
@given(byte=st.integers(0, 399), change=st.integers(1, 255))
def test_a_changed_weight_is_noticed(checkpoint, byte, change):
    content = bytearray(checkpoint.read_bytes())
    content[content.index(torch.arange(100.0).numpy().tobytes()) + byte] ^= change
    damaged = checkpoint.with_name('damaged.pth')
    damaged.write_bytes(content)
    assert is_whole(checkpoint) and not is_whole(damaged)


def test_numbers_are_no_text(tmp_path):
    for name in ('iter_9.pth', 'iter_10.pth', 'epoch_11.pth', 'iter_12.tmp', 'best_iter_13.pth'):
        (tmp_path / name).touch()
    found = [path.name for path in numbered_checkpoints(tmp_path, 'iter_{}.pth')]
    assert found == ['iter_10.pth', 'iter_9.pth']


def test_nothing_to_resume(tmp_path):
    assert find_whole(tmp_path, 'iter_{}.pth') == (None, [])
    (tmp_path / 'last_checkpoint').write_text('gone/iter_2.pth')
    with pytest.raises(TrainingError, match='1: iter_2.pth. Take them and last_checkpoint away'):
        find_whole(tmp_path, 'iter_{}.pth')
