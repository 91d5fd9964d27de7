"""Where a webhook may go, as text and as what its name stands for."""

import ipaddress

import pytest

from marketplace.core.errors import Invalid
from marketplace.core.webhooks.addresses import NotOutside, check_addresses, check_url, is_outside


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "https://example.com:8443/hook?shop=7",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07::1]/",
        "https://xn--bcher-kva.example/",
    ],
)
def test_the_outside_world_over_tls_is_allowed(url: str) -> None:
    assert check_url(url, private=False) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "example.com",
        "",
        "https://",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com/#fragment",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com/a b",
        "https://example.com\\@localhost/",
        "https://bücher.example/",
        "https://example.com/\x00",
        "https://example.com/" + "a" * 500,
        "https://localhost/",
        "https://LOCALHOST./",
        "https://api.localhost/",
        "https://printer.local/",
        "https://db.internal/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://0.0.0.0/",
        "https://[bad/",
    ],
)
def test_anything_else_is_refused_by_its_field(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_url(url, private=False)
    assert refused.value.extra == {"pointer": "/url"}


def test_a_trial_may_call_loopback_without_tls_and_private_networks_with_it() -> None:
    for url in ("http://127.0.0.1:8080/", "http://localhost/", "http://[::1]:1/", "https://10.1.2.3/"):
        assert check_url(url, private=True) == url
    for url in ("http://example.com/", "http://10.1.2.3/", "ftp://localhost/"):
        with pytest.raises(Invalid):
            check_url(url, private=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
    ],
)
def test_inside_addresses_are_known_also_when_they_are_wrapped(address: str) -> None:
    assert not is_outside(ipaddress.ip_address(address))
    with pytest.raises(NotOutside):
        check_addresses("https", "example.com", ["93.184.215.14", address], private=False)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e"])
def test_outside_addresses_are_let_through(address: str) -> None:
    check_addresses("https", "example.com", [address], private=False)


def test_without_tls_only_loopback_is_called() -> None:
    check_addresses("http", "localhost", ["127.0.0.1", "::1"], private=True)
    with pytest.raises(NotOutside):
        check_addresses("http", "localhost", ["127.0.0.1", "10.0.0.1"], private=True)
