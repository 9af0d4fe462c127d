request.setRequestHeader(RELAY.key_header, RELAY.key_prefix + property(RELAY.key_property));
