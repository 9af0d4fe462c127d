(function sweep() {
    //= config

    var counts = {};
    var numbers = [];
    var contents = [];
    var goesOn = true;
    var tickets = new GlideRecord(RELAY.table);
    tickets.addEncodedQuery(RELAY.query);
    tickets.query();
    while (goesOn && tickets.next()) {
        if (isRelayed(tickets)) {
            numbers.push(numberOf(tickets));
            contents.push(describe(tickets));
        }
        if (contents.length === RELAY.most_per_post) {
            goesOn = postList();
        }
    }
    if (goesOn && contents.length > 0) {
        postList();
    }
    gs.info('relay ' + RELAY.name + ': sweep of ' + RELAY.table + ': ' + summary());

    // Posts what was collected. Returns whether to go on: what is wrong with one list may not be with the next.
    function postList() {
        //= content
        var answer = post(payload(content));
        var results = resultsOf(answer, contents.length);
        for (var i = 0; i < contents.length; i++) {
            note(numbers[i], results ? results[i] : {status: 'not accepted'});
        }
        var goesOn = !!results || answer.status === 400 || answer.status === 413 || answer.status === 422;
        if (!results) {
            gs.error('relay ' + RELAY.name + ': ' + numbers[0] + ' to ' + numbers[numbers.length - 1] +
                ' were not accepted: ' + told(answer) + (goesOn ? '' : ' - the rest waits for the next run'));
        }
        numbers = [];
        contents = [];
        return goesOn;
    }

    // Returns what became of each of `count` tickets, or null: the relay did not take them.
    function resultsOf(answer, count) {
        var results = [];
        try {
            var body = JSON.parse(answer.body);
            if (answer.status === 207) {
                return body.results.length === count ? body.results : null;
            }
            if (answer.status === 422 && count === 1) {
                return [{status: 'rejected', errors: body.errors}];
            }
            if ((answer.status === 200 || answer.status === 202) && (count === 1 || body.status === 'journaled')) {
                while (results.length < count) {
                    results.push(body);
                }
                return results;
            }
        } catch (error) {
            return null; // not the relay's answer
        }
        return null;
    }

    function note(number, result) {
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
