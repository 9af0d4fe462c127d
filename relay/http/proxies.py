"""The proxy that the environment names. The relay uses it only if `RELAY_PROXIES` says so."""

from __future__ import annotations

from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy


def proxy_of_environment(url: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, ALL_PROXY and NO_PROXY name for `url`, or None.

    Plain http is used for this machine only, without a proxy.
    """
    if urlsplit(url).scheme != "https":
        return None
    proxy: str | None = select_proxy(url, get_environ_proxies(url))
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
