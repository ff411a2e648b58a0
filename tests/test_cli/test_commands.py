"""The command ``mmcovid`` itself."""

import subprocess
import sys

import pytest
from no_stack import run_without_stack

from mmcovid import __version__, cli
from mmcovid.cli import COMMANDS, find_command, main


@pytest.mark.parametrize('name', COMMANDS)
def test_help_of_each_command_has_an_example(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([*name.split(), '--help'])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f'usage: mmcovid {name} ') and f'  mmcovid {name}' in out


def test_help_lists_the_commands(capsys):
    for argv in ([], ['--help']):
        assert main(argv) is None
        out = capsys.readouterr().out
        assert all(f'  {name} ' in out for name in COMMANDS)
    main(['convert'])
    out = capsys.readouterr().out
    assert 'convert ictcf' in out and 'publish' not in out


def test_unknown_command():
    with pytest.raises(SystemExit, match="no command 'trian'"):
        main(['trian', 'config.py'])


def test_version(capsys):
    main(['--version'])
    assert capsys.readouterr().out == f'mmcovid {__version__}\n'


def test_two_words_are_one_command():
    assert find_command(['convert', 'ictcf', 'data']) == ('convert ictcf', ['data'])
    assert find_command(['train', 'config.py']) == ('train', ['config.py'])
    assert find_command(['convert'])[0] is None


def test_broken_stack_is_a_sentence(monkeypatch):
    def check():
        raise ImportError('mmcv is not installed; to mend it, run: pip install mmcv')

    monkeypatch.setattr(cli, 'check_stack', check)
    with pytest.raises(SystemExit, match='error: mmcv is not installed; to mend it'):
        main(['train', 'config.py'])


def test_commands_without_the_stack():
    free = [name for name, each in COMMANDS.items() if not each.needs_stack]
    done = run_without_stack(
        'from mmcovid.cli import main\n'
        f'for name in {free!r}:\n'
        '    try:\n'
        '        main([*name.split(), "--help"])\n'
        '    except SystemExit as end:\n'
        '        assert end.code == 0\n'
    )
    assert done.returncode == 0, done.stderr
    assert all(f'usage: mmcovid {name} ' in done.stdout for name in free)


def test_module_is_the_command():
    for module in ('mmcovid', 'mmcovid.cli'):
        done = subprocess.run(
            [sys.executable, '-m', module, '--version'], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith('mmcovid ')
