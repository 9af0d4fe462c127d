var signed = text;
//= timestamp
var signature = mac(signed, property(RELAY.key_property));
//= encoding
request.setRequestHeader(RELAY.signature_header, signature);
