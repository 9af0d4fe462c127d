(function executeRule(current, previous) {
    //= config

    try {
        if (isRelayed(current) || (previous && isRelayed(previous))) { // resolved, or reopened
            //= content
            makeRequest(payload(content)).executeAsync();
        }
    } catch (error) {
        gs.error('relay ' + RELAY.name + ': ' + numberOf(current) + ' was not sent: ' + messageOf(error));
    }

    //= functions
})(current, previous);
