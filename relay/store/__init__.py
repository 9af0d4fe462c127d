"""The only room that knows Redis. Every key that the relay writes:

All keys of an integration begin with `relay:{<integration>}:` (one hash tag: one cluster slot, so that one script sees them all).

| key             | type   | written by            | lives                    | what                                                   |
|-----------------|--------|-----------------------|--------------------------|--------------------------------------------------------|
| `queue`         | stream | accept, take, settle  | for ever                 | deliveries to push now, `d` = delivery id; group `workers` |
| `retry`         | zset   | settle                | while there are some     | delivery id → due (Unix ms)                            |
| `d:<id>`        | hash   | accept, take, settle  | pending: for ever; dead: until replayed or discarded; discarded: `RELAY_RETENTION`, then swept | the delivery's record, see below |
| `t:<sys_id>`    | hash   | accept, take, settle  | as its deliveries; then, where that is longer, its mark for `RELAY_RETENTION` and its identities for `dedupe.window` | the ticket: mark, last accepted delivery, identities |
| `in:pending`, `in:dead`, `in:discarded` | zset | accept, settle, discard | as the records | delivery ids, which sort by time: scores are 0 |
| `in:delivered`, `in:superseded` | zset | accept, settle, reclaim | `RELAY_RETENTION`, then swept | delivery ids, each followed by a space and its record, packed (prelude.lua): it has no hash any more |
| `circuit`       | hash   | settle, take, circuit | for ever                 | failures in a row; why and since when it is parked, how it is probed |
| `token`         | string | tokens                | until it expires         | IEM's access token, or the last refusal to give one    |
| `token:lock`    | string | tokens                | while one is fetched     | who fetches                                            |
| `audit`         | stream | every script          | `RELAY_AUDIT_RETENTION`, and until sealed | the audit trail                       |
| `r:<id>`        | hash   | accept                | until replayed or discarded | a rejection                                         |
| `rejections`    | zset   | accept                | as the rejections        | rejection id → last seen (Unix ms)                     |
| `lookups`       | zset   | accept, lookups       | while there are some     | delivery id → when its resolver is to be looked up (Unix ms); while one is at it, when its lease ends |
| `virima`        | hash   | lookups, circuit      | while Virima fails       | why and since when lookups are parked, and when somebody resumed them |
| `virima:parked:<config>` | hash | lookups          | while Virima fails       | failures in a row with one configuration, how it is probed |
| `virima:<digest>` | string | lookups             | `virima.cache`           | what was found out of a user; with `:lock` who is at it |
| `mapping`       | hash   | trail                 | for ever                 | what the trail recorded last of the mapping file (its digest, or that it was refused), and since when |
| `mapping:good`  | string | last_good             | for ever; a day after its file was removed | the last good version of the mapping file              |
| `counts`        | hash   | settle                | for ever                 | how often attempts ended as `delivered`, `retrying`, `dead`; `latency_ms`: time from acceptance to Success, summed up |
| `rate`          | string | rate                  | 3 s                      | when the next webhook is due by `rate_limit` (Unix ms) |
| `publisher`     | hash   | publisher             | for ever                 | what IEM was told of the integration last, and when (`publish:`) |
| `publisher:lease` | string | publisher           | while one tells IEM      | which process does |
| `seals`         | stream | trail                 | as the records           | the seals over `audit`, one behind the other           |
| `seals:anchor`  | hash   | trail                 | for ever                 | the last seal that was dropped                         |
| `numbers`       | hash   | accept                | as the deliveries        | ticket number → sys_id                                 |

Keys without a tag: `relay:integrations` (set: integrations that had an update, until nothing is left of them), `relay:workers` (zset, worker id → last heartbeat, Unix ms), `relay:probe` (the readiness check's own),
and the channel `relay:wake`, on which accept and settle name an integration that has work: a hint, never needed for correctness.

A record's fields: what the update says (`sys_id number table itsm_state iem_state version updated_at resolved_by`), where it comes
from (`mapping from created_at`, `via`: which of a field's paths yielded it, where it was not the first), how it stands (`status reason finished_at superseded_by duplicates`), where it is now (`place`:
`queue` with `entry`, `flight` with `lease` and `fence`, `retry` with `next_at`, `behind` another delivery of its ticket), and its
attempts (`tries` counted ones, `attempts` in all, `a1 a2 …` one line each, of very many the first and the last ones). A closed dead letter
has `closed` (why) and, where it was replayed, `replayed_as`; the new delivery has `replay_of`.

A ticket's fields: the `mark` (the newest times of receipt and of update and the highest version that it has seen), `state` (the last
accepted IEM state), `last` (that delivery's id), `d:<id>` for each of its other deliveries, `flight` (the one that is being pushed: the
lease on the ticket), and `i:<identity>` = delivery id and how long after that one's acceptance it is forgotten (ms).
"""
