-- Closes dead letters and rejections that are not to be replayed.
-- KEYS[1]   the integration's queue
-- ARGV[1]   now (Unix ms)
-- ARGV[2]   the actor
-- ARGV[3]   why
-- ARGV[4…]  ids of deliveries or of rejections
-- Returns   how many were closed; the others were not dead letters or rejections

local actor, why = ARGV[2], ARGV[3]

local function discard_dead_letter(id)
  local letter = read(delivery_key(id), 'status', 'sys_id', 'number', 'reason')
  if letter.status ~= 'dead' then return 0 end
  close_dead_letter(id, { closed = why })
  audit('dead', { id = id, sys_id = letter.sys_id, number = letter.number, actor = actor },
    { discarded = true, why = why, reason = letter.reason })
  return 1
end

local function discard_rejection(id)
  if redis.call('ZREM', key('rejections'), id) == 0 then return 0 end
  redis.call('DEL', key('r:' .. id))
  audit('rejected', { actor = actor }, { discarded = true, why = why, rejection_id = id })
  return 1
end

local closed = 0
for index = 4, #ARGV do closed = closed + discard_dead_letter(ARGV[index]) + discard_rejection(ARGV[index]) end
return closed
