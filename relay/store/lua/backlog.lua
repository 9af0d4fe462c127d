-- How an integration stands: pending, the id of the oldest pending ('' for none), retrying, dead, rejections, parked reason,
-- lookups that wait, why Virima is left alone.
local oldest = redis.call('ZRANGE', key('in:pending'), 0, 0)
return { redis.call('ZCARD', key('in:pending')), oldest[1] or '', redis.call('ZCARD', key('retry')), redis.call('ZCARD', key('in:dead')),
  redis.call('ZCARD', key('rejections')), redis.call('HGET', key('circuit'), 'reason') or '',
  redis.call('ZCARD', key('lookups')), redis.call('HGET', key('virima'), 'reason') or '' }
