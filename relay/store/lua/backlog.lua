-- Returns the backlog of an integration.
-- KEYS[1]  the integration's queue
-- ARGV[1]  now (Unix ms)
-- Returns  pending, the id of the oldest pending delivery or '', retrying, dead letters, rejections,
--          why the integration is parked ('' if it is not), waiting lookups, why the lookups are parked ('' if they
--          are not)

local oldest = redis.call('ZRANGE', key('in:pending'), 0, 0)
return { redis.call('ZCARD', key('in:pending')), oldest[1] or '', redis.call('ZCARD', key('retry')),
  redis.call('ZCARD', key('in:dead')), redis.call('ZCARD', key('rejections')), redis.call('HGET', key('circuit'), 'reason') or '',
  redis.call('ZCARD', key('lookups')), redis.call('HGET', key('virima'), 'reason') or '' }
