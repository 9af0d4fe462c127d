-- Some of an integration's deliveries, newest first.
-- ARGV[2] most; ARGV[3] the least id ('' for any); ARGV[4] the id before which to go on ('' from the newest);
-- ARGV[5] a JSON list of the statuses to look through; ARGV[6] a JSON object of what fields must be.
-- Returns '1' where there may be more, the last id looked at, then for each delivery its id and its fields, flat.

local most, least, before = tonumber(ARGV[2]), ARGV[3], ARGV[4]
local statuses, wanted = cjson.decode(ARGV[5]), cjson.decode(ARGV[6])
least, before = least == '' and '-' or '[' .. least, before == '' and '+' or '(' .. before

-- A filter that few records pass must not hold up the server: the page ends early, and the next one goes on from there.
local MOST_LOOKED_AT = 2000

local function passes(record)
  for field, value in pairs(wanted) do
    if record[field] ~= value then return false end
  end
  return true
end

-- Where a status has more than was asked for, what of the others is older than the last of these waits for the next page.
local candidates, more, floor = {}, false, ''
local count = next(wanted) and math.max(most, 200) or most
for _, status in ipairs(statuses) do
  local members = redis.call('ZRANGE', key('in:' .. status), before, least, 'BYLEX', 'REV', 'LIMIT', 0, count)
  for _, member in ipairs(members) do
    candidates[#candidates + 1] = { id = string.match(member, '^%w+'), member = member, status = status }
  end
  if #members == count then
    more = true
    local oldest = candidates[#candidates].id
    if oldest > floor then floor = oldest end
  end
end
table.sort(candidates, function(one, other) return one.id > other.id end)

local page, last = {}, ''
for position, candidate in ipairs(candidates) do
  if #page >= most or position > MOST_LOOKED_AT or candidate.id < floor then
    more = true
    break
  end
  last = candidate.id
  local _, record = unpack_member(candidate.member, candidate.status)
  record = record or by_name(redis.call('HGETALL', delivery_key(last)))
  if record.status and passes(record) then page[#page + 1] = { last, flatten(record) } end
end
return { more and '1' or '', last, unpack(page) }
