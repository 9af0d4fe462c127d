"""The only package that uses Redis. This table lists every key that the relay writes.

All keys of an integration begin with `relay:{<integration>}:`. The braces make a hash tag: all these keys are in one cluster slot, so that
one script can use them all. Lua scripts write most of them; their names are in the column "written by".

| key             | type   | written by            | lifetime                 | content                                                |
|-----------------|--------|-----------------------|--------------------------|--------------------------------------------------------|
| `queue`         | stream | accept, take, settle, reclaim | unlimited        | deliveries to push now: `d` = delivery id; consumer group `workers` |
| `retry`         | zset   | settle, take          | while it has members     | delivery id → due (Unix ms)                            |
| `d:<id>`        | hash   | accept, take, settle, reclaim, discard | pending: unlimited; dead: until replayed or discarded; discarded: `RELAY_RETENTION` | the delivery's record, see below |
| `t:<sys_id>`    | hash   | accept, take, settle, reclaim | as its deliveries; after that, its mark for `RELAY_RETENTION` and its identities for `dedupe.window` | the ticket: mark, last accepted delivery, identities, see below |
| `in:pending`, `in:dead`, `in:discarded` | zset | accept, settle, reclaim, discard | as the records | delivery ids, which sort by time: every score is 0 |
| `in:delivered`, `in:superseded` | zset | accept, settle, reclaim | `RELAY_RETENTION` | delivery id, a space and the packed record (prelude.lua): a finished delivery has no hash |
| `circuit`       | hash   | settle, take, circuit | unlimited                | failures in a row; if parked, the reason, since when, and how it is probed |
| `token`         | string | `TokenStore`          | until it expires         | IEM's access token, or its refusal of the last fetch   |
| `token:lock`    | string | `TokenStore`          | during a fetch           | the process that fetches a token                       |
| `audit`         | stream | all but page, find, backlog and rate | `RELAY_AUDIT_RETENTION`, and until sealed | the audit trail          |
| `r:<id>`        | hash   | accept                | until replayed or discarded | a rejection                                         |
| `rejections`    | zset   | accept                | as the rejections        | rejection id → last seen (Unix ms)                     |
| `lookups`       | zset   | accept, lookups       | while it has members     | delivery id → when to look up its resolver (Unix ms); during a lookup, the end of its lease |
| `virima`        | hash   | lookups, circuit      | while Virima fails       | why and since when lookups are parked, and when an operator resumed them |
| `virima:parked:<config>` | hash | lookups          | while Virima fails       | failures in a row with one configuration, and how it is probed |
| `virima:<digest>` | string | `LookupQueue`       | `virima.cache`           | the cached result of a lookup; with `:lock`, the process that looks up |
| `mapping`       | hash   | trail                 | unlimited                | the state of the mapping file that the trail recorded last (its digest, or that it was refused), and since when |
| `mapping:good`  | string | `LastGoodMappings`    | unlimited; one day after its file was removed | the last good version of the mapping file |
| `counts`        | hash   | settle                | unlimited                | number of attempts that ended as `delivered`, `retrying`, `dead`; `latency_ms`: the sum of the times from acceptance to Success |
| `rate`          | string | rate                  | 3 s                      | when the next webhook is due under `rate_limit` (Unix ms) |
| `publisher`     | hash   | publisher             | unlimited                | what was published to IEM last, and when (`publish` block) |
| `publisher:lease` | string | publisher           | while a process publishes | the process that publishes                            |
| `seals`         | stream | trail                 | as the records           | the chain of seals over `audit`                        |
| `seals:anchor`  | hash   | trail                 | unlimited                | the last seal that was dropped                         |
| `numbers`       | hash   | accept                | as the deliveries        | ticket number → sys_id                                 |

Keys without a hash tag: `relay:integrations` (set: integrations that have records), `relay:workers` (zset: worker id → latest heartbeat,
Unix ms) and `relay:probe` (written by the readiness check). Scripts publish the name of an integration that has work on the channel
`relay:wake`. This is a hint: workers also poll.

Fields of a delivery's record: what the update says (`sys_id number table itsm_state iem_state version updated_at resolved_by`); its origin
(`mapping from created_at`; `via`: the fields that were not read by their first path, each with the path's number); its status (`status
reason finished_at superseded_by duplicates`); its place (`place`: `queue` with `entry`, `flight` with `lease` and `fence`, `retry` with
`next_at`, or `behind` another delivery of its ticket); and its attempts (`tries`: counted ones; `attempts`: all; `a1 a2 …`: one line each,
only the first and the last ones if there are many). A closed dead letter has `closed` (why) and, if it was replayed, `replayed_as`. The
delivery that replays it has `replay_of`.

Fields of a ticket: `mark` (the highest version, date and time of receipt of the updates accepted so far; collapsed duplicates count, late
updates do not), `state` (the last accepted IEM state), `last` (the delivery with that state), `d:<id>` for each other delivery, `flight` (the delivery that a worker
pushes: it holds the lease on the ticket), and `i:<identity>`: a delivery id, and the time after that delivery's acceptance when the
identity is forgotten (ms).
"""
