// Returns the values of a ticket, under the keys that the relay's mapping reads.
function describe(record) {
    var person = record.resolved_by || record.closed_by; // some tables have only closed_by
    var values = {
        sys_id: record.getUniqueValue(),
        state: {value: string(record.getValue('state')), display_value: string(record.getDisplayValue('state'))},
        table: RELAY.table, // also for records of tables that extend this one
        number: record.getValue('number'),
        version: record.getValue('sys_mod_count'),
        updated_at: record.getValue('sys_updated_on'),
        resolved_by: person && person.email
    };
    var body = {};
    for (var name in RELAY.fields) {
        if (RELAY.fields.hasOwnProperty(name)) {
            setValue(body, RELAY.fields[name], name === 'state' ? values.state : string(values[name]));
        }
    }
    return body;
}

// Sets the value in `body` to which the keys of `path` lead.
function setValue(body, path, value) {
    for (var i = 0; i < path.length - 1; i++) {
        if (!Object.prototype.hasOwnProperty.call(body, path[i])) {
            body[path[i]] = {};
        }
        body = body[path[i]];
    }
    body[path[path.length - 1]] = value;
}

// Returns the text to post. It is ASCII, so that every system reads and signs the same bytes.
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

// Compares as the relay does: 6, 06 and 6.0 are equal; labels are equal without case and spaces.
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
