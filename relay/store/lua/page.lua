-- Some of an integration's deliveries, newest first.
-- ARGV[2] most; ARGV[3] least and ARGV[4] greatest created_at (ms); ARGV[5] the id before which to go on ('' from the newest);
-- ARGV[6] a JSON list of the statuses' indexes to look through; ARGV[7] a JSON object of what fields must be.
-- Returns '1' where there may be more, the last id looked at, then for each delivery its id and its fields, flat.

local most, least, greatest, before = tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local indexes, wanted = cjson.decode(ARGV[6]), cjson.decode(ARGV[7])

-- A filter that few records pass must not hold up the server: the page ends early, and the next one goes on from there.
local MOST_LOOKED_AT = 2000

local function newer_first(one, other)
  if one.created ~= other.created then return one.created > other.created end
  return one.id > other.id
end

-- The next ids of one index, from the newest.
local function next_ids(index, count)
  local found, offset = {}, 0
  while #found < count do
    local flat = redis.call('ZREVRANGEBYSCORE', key('in:' .. index), greatest, least, 'WITHSCORES', 'LIMIT', offset, count)
    for i = 1, #flat, 2 do
      -- Ids sort by time: of one millisecond, those from `before` on were on the page before this one.
      if before == '' or flat[i] < before then found[#found + 1] = { id = flat[i], created = tonumber(flat[i + 1]) } end
    end
    if #flat < 2 * count then return found, false end
    offset = offset + count
  end
  return found, true
end

local function passes(record)
  for field, value in pairs(wanted) do
    if record[field] ~= value then return false end
  end
  return true
end

local candidates, more = {}, false
for _, index in ipairs(indexes) do
  local found, may_have_more = next_ids(index, next(wanted) and math.max(most, 200) or most)
  more = more or may_have_more
  for _, candidate in ipairs(found) do candidates[#candidates + 1] = candidate end
end
table.sort(candidates, newer_first)

local page, last = {}, ''
for position, candidate in ipairs(candidates) do
  if #page >= most or position > MOST_LOOKED_AT then
    more = true
    break
  end
  last = candidate.id
  local flat = redis.call('HGETALL', delivery_key(candidate.id))
  local record = {}
  for i = 1, #flat, 2 do record[flat[i]] = flat[i + 1] end
  if record.status and passes(record) then page[#page + 1] = { candidate.id, flat } end
end
return { more and '1' or '', last, unpack(page) }
