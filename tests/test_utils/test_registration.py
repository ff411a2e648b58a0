import subprocess
import sys


def test_absent_optional_packages_are_no_news():
    """What MMDetection says of them at each start does not reach the user; other words do."""
    code = "import mmcovid, mmdet.datasets, mmdet.evaluation\nprint('loaded')"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == 'loaded\n'
    assert 'faster_coco_eval' not in done.stderr


def test_other_words_are_told():
    code = """if True:
        from mmcovid.utils import registration
        with registration._without_notes():
            print('one')
            print('Could not import OneDL. Skipping OneDL datasets.')
            print('two')
    """
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == 'one\ntwo\n'
