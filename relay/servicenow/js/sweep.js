(function sweep() {
    //= config

    var counts = {};
    var numbers = [];
    var contents = [];
    var mayContinue = true;
    var tickets = new GlideRecord(RELAY.table);
    tickets.addEncodedQuery(RELAY.query);
    tickets.query();
    while (mayContinue && tickets.next()) {
        if (isRelayed(tickets)) {
            numbers.push(numberOf(tickets));
            contents.push(describe(tickets));
        }
        if (contents.length === RELAY.max_per_post) {
            mayContinue = postList();
        }
    }
    if (mayContinue && contents.length > 0) {
        postList();
    }
    gs.info('relay ' + RELAY.name + ': sweep of ' + RELAY.table + ': ' + summary());

    // Posts the collected tickets. Returns whether to continue: not if the relay would refuse every list.
    function postList() {
        //= content
        var answer = post(payload(content));
        var results = resultsOf(answer, contents.length);
        for (var i = 0; i < contents.length; i++) {
            count(numbers[i], results ? results[i] : {status: 'not accepted'});
        }
        var mayContinue = !!results || answer.status === 400 || answer.status === 413 || answer.status === 422;
        if (!results) {
            gs.error('relay ' + RELAY.name + ': ' + numbers[0] + ' to ' + numbers[numbers.length - 1] +
                ' were not accepted: ' + describeAnswer(answer) +
                (mayContinue ? '' : ' - the next run posts the rest'));
        }
        numbers = [];
        contents = [];
        return mayContinue;
    }

    // Returns the result of each of `length` tickets, or null if the relay did not accept the list.
    function resultsOf(answer, length) {
        var results = [];
        try {
            var body = JSON.parse(answer.body);
            if (answer.status === 207) {
                return body.results.length === length ? body.results : null;
            }
            if (answer.status === 422 && length === 1) {
                return [{status: 'rejected', errors: body.errors}];
            }
            if ((answer.status === 200 || answer.status === 202) && (length === 1 || body.status === 'journaled')) {
                while (results.length < length) {
                    results.push(body);
                }
                return results;
            }
        } catch (error) {
            return null; // the answer is not from the relay
        }
        return null;
    }

    function count(number, result) {
        counts[result.status] = (counts[result.status] || 0) + 1;
        if (result.status === 'rejected') {
            var first = (result.errors || [])[0] || {};
            gs.error('relay ' + RELAY.name + ': ' + number + ' was rejected: ' + first.field + ': ' + first.problem);
        }
    }

    function summary() {
        var parts = [];
        for (var status in counts) {
            if (counts.hasOwnProperty(status)) {
                parts.push(counts[status] + ' ' + status);
            }
        }
        return parts.join(', ') || 'nothing to post';
    }

    //= functions
})();
