"""Look installed packages up among known vulnerabilities: python .ci/audit.py FOLDER_OF_PACKAGES.

It needs pip-audit. What could not be looked up is told and fails nothing: a registry may not have
the database, and a check that found nothing to check is no check that was passed.
"""

import json
import subprocess
import sys


def main(folder: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, '-m', 'pip_audit', '--path', folder),
            *('--format', 'json', '--progress-spinner', 'off'),
        ],
        capture_output=True,
        text=True,
    )
    try:
        packages = json.loads(done.stdout)['dependencies']
    except ValueError:
        print(f'NOT AUDITED: {(done.stderr.strip().splitlines() or ["no pip-audit"])[-1]}')
        return
    known = [package for package in packages if 'vulns' in package]
    print(f'{len(known)} of {len(packages)} packages could be looked up')
    if not known:
        print('NOT AUDITED: the registry tells no vulnerabilities')
    to_mend = 0
    for package in known:
        for found in package['vulns']:
            print(
                f'{package["name"]} {package["version"]}: {found["id"]}, '
                f'mended in {", ".join(found["fix_versions"]) or "no version yet"}'
            )
            to_mend += bool(found['fix_versions'])
    if to_mend:
        raise SystemExit(f'{to_mend} known vulnerabilities: raise the bounds in requirements/')


if __name__ == '__main__':
    main(sys.argv[1])
