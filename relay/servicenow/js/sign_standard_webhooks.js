var id = string(gs.generateGUID());
var timestamp = unixSeconds();
request.setRequestHeader('webhook-id', id);
request.setRequestHeader('webhook-timestamp', timestamp);
request.setRequestHeader('webhook-signature', 'v1,' +
    mac(id + '.' + timestamp + '.' + text, property(RELAY.key_property).replace(/^whsec_/, '')));
