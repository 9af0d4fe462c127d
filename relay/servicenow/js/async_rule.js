(function executeRule(current, previous) {
    //= config

    if (!previous || isRelayed(current) || isRelayed(previous)) { // an async rule may have no `previous`: then all is posted
        var answer = postWithRetry();
        if (answer.status < 200 || answer.status > 299) {
            gs.error('relay ' + RELAY.name + ': ' + numberOf(current) + ' was not accepted: ' + told(answer));
        }
    }

    // Returns the last answer. What was refused would be refused again; a repeat does no harm, the relay recognises it.
    function postWithRetry() {
        //= content
        var text = payload(content);
        var answer = post(text);
        for (var tries = 1; tries < RELAY.most_tries && isWorthAnotherTry(answer.status); tries++) {
            answer = post(text);
        }
        return answer;
    }

    function isWorthAnotherTry(status) {
        return status === 0 || status === 429 || status >= 500;
    }

    //= functions
})(current, previous);
