-- Counts a webhook against its integration's rate limit, by the generic cell rate algorithm with bursts of one second.
-- KEYS[1]  the integration's queue
-- ARGV[1]  now (Unix ms)
-- ARGV[2]  webhooks per second
-- Returns  0 if the webhook is within the limit, otherwise the wait until the next one is (ms)

local interval = 1000 / tonumber(ARGV[2])
local rate = key('rate')
local due = math.max(now, tonumber(redis.call('GET', rate) or 0))
-- A clock that was set back must not lock the senders out.
if due > now + 2000 then due = now end
local early = due - now - (1000 - interval)
if early > 0 then return math.ceil(early) end
redis.call('SET', rate, due + interval, 'PX', 3000)
return 0
