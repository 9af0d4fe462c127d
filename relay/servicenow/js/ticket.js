// What is told of a ticket, where the relay's mapping looks for it.
function describe(record) {
    var person = record.resolved_by || record.closed_by; // a table without the first has the second
    var facts = {
        sys_id: record.getUniqueValue(),
        state: {value: string(record.getValue('state')), display_value: string(record.getDisplayValue('state'))},
        table: RELAY.table, // also of records of a table that extends it
        number: record.getValue('number'),
        version: record.getValue('sys_mod_count'),
        updated_at: record.getValue('sys_updated_on'),
        resolved_by: person && person.email
    };
    var body = {};
    for (var name in RELAY.fields) {
        if (RELAY.fields.hasOwnProperty(name)) {
            place(body, RELAY.fields[name], name === 'state' ? facts.state : string(facts[name]));
        }
    }
    return body;
}

// Puts `value` into `body` behind the keys of `path`.
function place(body, path, value) {
    for (var i = 0; i < path.length - 1; i++) {
        if (!Object.prototype.hasOwnProperty.call(body, path[i])) {
            body[path[i]] = {};
        }
        body = body[path[i]];
    }
    body[path[path.length - 1]] = value;
}

// Returns the text to post. In ASCII, so that every system on the way reads and signs the same bytes.
function payload(content) {
    for (var i = RELAY.envelope.length - 1; i >= 0; i--) {
        var outer = {};
        outer[RELAY.envelope[i]] = content;
        content = outer;
    }
    return JSON.stringify(content).replace(/[\u007f-\uffff]/g, function (character) {
        return '\\u' + ('00' + character.charCodeAt(0).toString(16)).slice(-4);
    });
}

function isRelayed(record) {
    return isListed(record.getValue('state')) || isListed(record.getDisplayValue('state'));
}

// Compares as the relay does: 6, 06 and 6.0 are one; labels ignore case and spaces.
function isListed(state) {
    var key = string(state).replace(/\s+/g, '').toLowerCase().toUpperCase();
    var number = /^([+-]?)0*(\d+)(\.0*)?$/.exec(key);
    if (number) {
        key = (number[1] === '-' && number[2] !== '0' ? '-' : '') + number[2];
    }
    for (var i = 0; i < RELAY.states.length; i++) {
        if (RELAY.states[i] === key) {
            return true;
        }
    }
    return false;
}

function numberOf(record) {
    return string(record.getValue('number')) || string(record.getUniqueValue());
}

function string(value) {
    return value === null || value === undefined ? '' : String(value);
}
