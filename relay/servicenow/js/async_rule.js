(function executeRule(current, previous) {
    //= config

    if (!previous || isRelayed(current) || isRelayed(previous)) { // without `previous`, every change is posted
        var answer = postWithRetry();
        if (answer.status < 200 || answer.status > 299) {
            gs.error('relay ' + RELAY.name + ': ' + numberOf(current) + ' was not accepted: ' + describeAnswer(answer));
        }
    }

    // Returns the last answer. A refused ticket is not posted again. A repeat does no harm: the relay recognises it.
    function postWithRetry() {
        //= content
        var text = payload(content);
        var answer = post(text);
        for (var tries = 1; tries < RELAY.max_tries && isRetryable(answer.status); tries++) {
            answer = post(text);
        }
        return answer;
    }

    function isRetryable(status) {
        return status === 0 || status === 429 || status >= 500;
    }

    //= functions
})(current, previous);
