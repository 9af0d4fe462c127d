-- Whether an integration's senders are within their rate: the generic cell rate algorithm, a second's worth at once at most.
-- ARGV[2] webhooks per second. Returns 0 where this one may pass, else after how long the next one may (ms).

local interval = 1000 / tonumber(ARGV[2])
local rate = key('rate')
local due = math.max(now, tonumber(redis.call('GET', rate) or 0))
-- A clock that was set back must not shut anybody out.
if due > now + 2000 then due = now end
local early = due - now - (1000 - interval)
if early > 0 then return math.ceil(early) end
redis.call('SET', rate, due + interval, 'PX', 3000)
return 0
