"""Limited HTTP exchanges with the services that the relay calls. Only this package imports requests and urllib3."""
