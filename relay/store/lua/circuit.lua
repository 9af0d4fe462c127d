-- Parks or resumes an integration for an operator, or sets it aside while no mapping file describes how to deliver.
-- KEYS[1]  the integration's queue
-- ARGV[1]  now (Unix ms)
-- ARGV[2]  park, resume or set_aside
-- ARGV[3]  the actor
-- ARGV[4]  why
-- Returns  the reason for which the integration was parked before, or ''

local action, actor, why = ARGV[2], ARGV[3], ARGV[4]
local circuit_key = key('circuit')
local circuit = read(circuit_key, 'reason', 'by_hand', 'since', 'parked_ms')

local function park()
  if not circuit.reason then redis.call('HSET', circuit_key, 'since', now) end
  redis.call('HSET', circuit_key, 'reason', 'by_hand', 'by_hand', actor, 'why', why)
  redis.call('HDEL', circuit_key, 'probe_at', 'probing_until', 'step', 'config', 'streak', 'set_aside')
  audit('parked', { actor = actor }, { reason = 'by_hand', why = why, before = circuit.reason })
end

-- An integration that an operator parked is delivered for at once. One that IEM's answers parked is probed at once,
-- and resumes if the probe succeeds.
local function resume()
  if not circuit.by_hand then
    redis.call('HSET', circuit_key, 'probe_at', now)
  else
    redis.call('HSET', circuit_key, 'parked_ms', tonumber(circuit.parked_ms or 0) + now - tonumber(circuit.since))
    redis.call('HDEL', circuit_key, 'reason', 'by_hand', 'why', 'since')
  end
  audit('resumed', { actor = actor }, { reason = circuit.reason, why = why })
  wake()
end

-- Parks until a worker that delivers for the integration takes from it.
local function set_aside()
  if circuit.reason then return end
  redis.call('HSET', circuit_key, 'since', now, 'reason', why, 'set_aside', '1')
  redis.call('HDEL', circuit_key, 'streak')
  audit('parked', { actor = actor }, { reason = why })
end

if action == 'park' then park()
elseif action == 'set_aside' then set_aside()
elseif circuit.reason then resume() end
-- An operator who resumes an integration has corrected something: Virima is also called again.
if action == 'resume' and redis.call('HEXISTS', key('virima'), 'reason') == 1 then
  redis.call('HSET', key('virima'), 'resumed_at', now)
end
return circuit.reason or ''
