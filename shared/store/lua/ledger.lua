-- Add folded envelopes to the counters, once, together with their offsets; or change nothing and say what is known already.
-- KEYS[1]: hash of offsets by partition.  KEYS[2]: hash of what the stream has brought.  KEYS[3]: producers by time.
-- ARGV[1]: msgpack {places, seen, sums, additions, producers, stream, seconds}:
--   places: {{partition, first offset, last offset, offset that was stored for sure}, ...}
--   seen: {{key, first byte, seconds to keep}, ...}
--   sums: {{{bucket key, expiry as unix seconds, key, expiry, ...}, {field, sums, field, sums, ...}}, ...}; all fields
--     are added to all keys; sums: see measures.py; the field `changes` of each key grows
--   additions: {{key, field, amount, expiry as unix seconds}, ...}; an empty field: the key is the number
--   producers: {{key, envelopes, highest sequence number}, ...}
--   stream: {field, amount, ...};  now: unix seconds;  keep: seconds without an envelope after which a producer is looked at no
--   more;  remember: seconds for which what it has sent is known, should it come again
-- ARGV[2], ...: the bits of each of `seen`; the store's msgpack knows no bytes.
-- Returns {'behind', {offset stored, ...}} where less is stored than has been, {'stale', {offset stored, ...}} where an offset is not new, {'seen', {{index of seen, bits}, ...}} where bits
-- are set already, {'added', {offset stored before, ...}} otherwise; -1 stands for no offset.
local work = cmsgpack.unpack(ARGV[1])
local call = redis.call

local stored, stale, behind = {}, false, false
for at, place in ipairs(work.places) do
  stored[at] = tonumber(call('HGET', KEYS[1], place[1]) or '-1')
  stale = stale or stored[at] >= place[2]
  behind = behind or stored[at] < place[4]
end
if behind then return {'behind', stored} end
if stale then return {'stale', stored} end

local merged, known = {}, {}
for at, run in ipairs(work.seen) do
  local bits = ARGV[at + 1]
  local old = call('GETRANGE', run[1], run[2], run[2] + #bits - 1)
  if #old == 0 then
    merged[at] = bits
  else
    local bytes, both, hit = {}, {}, false
    for index = 1, #bits do
      local new, had = string.byte(bits, index), string.byte(old, index) or 0
      bytes[index] = string.char(bit.bor(new, had))
      local common = bit.band(new, had)
      both[index] = string.char(common)
      hit = hit or common ~= 0
    end
    merged[at] = table.concat(bytes)
    if hit then known[#known + 1] = {at, table.concat(both)} end
  end
end
if #known > 0 then return {'seen', known} end

for at, run in ipairs(work.seen) do
  call('SETRANGE', run[1], run[2], merged[at])
  call('EXPIRE', run[1], run[3])
end
for _, entry in ipairs(work.sums) do
  local targets, flat = entry[1], entry[2]
  local fields, packed = {}, {}
  for at = 1, #flat, 2 do fields[#fields + 1] = flat[at] end
  for target = 1, #targets, 2 do
    local key, values = targets[target], {}
    local olds = call('HMGET', key, unpack(fields))
    for at, field in ipairs(fields) do
      local sum, value = flat[at * 2], packed[at]
      if olds[at] then
        local old = cmsgpack.unpack(olds[at])
        for index = 1, 6 do old[index] = old[index] + sum[index] end
        local slots = old[7]
        for slot, count in pairs(sum[7]) do slots[slot] = (slots[slot] or 0) + count end
        value = cmsgpack.pack(old)
      elseif not value then
        value = cmsgpack.pack(sum)
        packed[at] = value
      end
      values[at * 2 - 1], values[at * 2] = field, value
    end
    call('HSET', key, unpack(values))
    -- whoever has read the bucket sees whether it has changed since
    call('HINCRBY', key, 'changes', 1)
    call('EXPIREAT', key, targets[target + 1])
  end
end
for _, addition in ipairs(work.additions) do
  if addition[2] == '' then
    call('INCRBY', addition[1], addition[3])
  else
    call('HINCRBY', addition[1], addition[2], addition[3])
  end
  call('EXPIREAT', addition[1], addition[4])
end
for _, producer in ipairs(work.producers) do
  local key = producer[1]
  call('HINCRBY', key, 'envelopes', producer[2])
  if producer[3] > tonumber(call('HGET', key, 'highest') or '-1') then call('HSET', key, 'highest', producer[3]) end
  call('EXPIRE', key, work.remember)
  call('ZADD', KEYS[3], work.now, key)
end
if #work.producers > 0 then call('ZREMRANGEBYSCORE', KEYS[3], '-inf', work.now - work.keep) end
for at = 1, #work.stream, 2 do
  if work.stream[at + 1] ~= 0 then call('HINCRBY', KEYS[2], work.stream[at], work.stream[at + 1]) end
end
for _, place in ipairs(work.places) do call('HSET', KEYS[1], place[1], place[3]) end
return {'added', stored}
