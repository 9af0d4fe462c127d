function makeRequest(text) {
    var request = new sn_ws.RESTMessageV2(RELAY.rest_message, RELAY.http_method);
    request.setEndpoint(property(RELAY.url_property));
    request.setHttpTimeout(RELAY.timeout_ms);
    request.setRequestHeader('Content-Type', 'application/json');
    //= sign
    request.setRequestBody(text);
    return request;
}

function property(name) {
    var value = string(gs.getProperty(name));
    if (!value) {
        throw new Error('the system property ' + name + ' is not set');
    }
    return value;
}

function messageOf(error) {
    return String((error && error.message) || error);
}
