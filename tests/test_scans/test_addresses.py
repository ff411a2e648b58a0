import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcovid.scans.addresses import PLAIN_HOSTS, Address, check_no_secrets, is_address

UID = st.lists(st.integers(0, 10**6), min_size=2, max_size=6).map(lambda n: '.'.join(map(str, n)))
NAME = st.from_regex(r'[a-z][a-z0-9-]{0,10}', fullmatch=True)


@given(
    host=NAME,
    port=st.sampled_from(['', ':8042']),
    prefix=st.lists(NAME, max_size=3),
    study=UID,
    series=st.none() | UID,
)
def test_any_address_is_read_as_it_is_written(host, port, prefix, study, series):
    path = ''.join(f'/{part}' for part in prefix)
    address = Address('dicomweb', host + port, path, study, series)
    assert Address.parse(str(address)) == address
    assert is_address(str(address))
    assert address.service == f'https://{host}{port}{path}'


@pytest.mark.parametrize(
    'text',
    [
        'dicomweb://host',
        'dicomweb://host/studies',
        'dicomweb://host/studies/abc',
        'dicomweb://host/studies/1.2/series/',
        'dicomweb://host/studies/1.2/series/1.3/instances/1.4',
        'dicomweb:///studies/1.2',
        'dicomweb+http://evil.org@127.0.0.1/studies/1.2',
        'dicomweb+http://evil.org#127.0.0.1/studies/1.2',
        'DicomWeb://host/studies/1.2',
        'dicomweb://host/../studies/1.2#3',
    ],
)
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match='no address of a study or series'):
        Address.parse(text)


@pytest.mark.parametrize('host', ['localhost', '127.0.0.1:8042', '127.9.9.9', '[::1]:8042'])
def test_this_machine_may_be_talked_to_without_encryption(host):
    assert Address.parse(f'dicomweb+http://{host}/studies/1.2').service == f'http://{host}'


@pytest.mark.parametrize('host', ['pacs', 'localhost.evil.org', '127.0.0.1.evil.org', '10.0.0.1'])
def test_other_hosts_only_if_the_user_names_them(host, monkeypatch):
    with pytest.raises(ValueError, match='without encryption'):
        Address.parse(f'dicomweb+http://{host}/studies/1.2')
    monkeypatch.setenv(PLAIN_HOSTS, 'pacs,10.0.0.1')
    if host in ('pacs', '10.0.0.1'):
        Address.parse(f'dicomweb+http://{host}:80/studies/1.2')


@pytest.mark.parametrize(
    'text',
    [
        'dicomweb://me:s3cret@host/studies/1.2',
        'dicomweb://host/studies/1.2?token=s3cret',
        'DICOMweb://me:s3cret@host/studies/1.2',
        'https://me:s3cret@host/studies/1.2',
    ],
)
def test_secrets_are_refused_and_not_repeated(text):
    with pytest.raises(ValueError, match=r'\.netrc') as error:
        check_no_secrets(['a.nii', text])
    assert 's3cret' not in str(error.value)
    check_no_secrets(['what@is?.nii', 'dicomweb://host/studies/1.2'])
