var timestamp = unixSeconds();
request.setRequestHeader(RELAY.timestamp_header, timestamp);
signed = timestamp + '.' + text;
