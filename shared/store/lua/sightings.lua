-- Add to what is remembered of subjects, and tell what that is by now.
-- ARGV[1]: JSON [[key, slice, slices, seconds to keep, hits, calls, minute or -1, [mark, ...], sample], ...].
-- With a minute the slice keeps the most hits of any of its minutes, else their sum.
-- Returns per row {[field, value, ...], marks, [some marks]}; fields: h<slice> hits, c<slice> calls, i<slice> a sample.
local MOST_MARKS = 64
local answers = {}
for index, row in ipairs(cjson.decode(ARGV[1])) do
  local key, slice, slices, keep, hits, calls, minute, marks, sample = unpack(row)
  if minute >= 0 then
    local this = redis.call('HINCRBY', key, 'm' .. string.format('%.0f', minute), hits)
    local field = 'h' .. string.format('%.0f', slice)
    if this > tonumber(redis.call('HGET', key, field) or '-1') then redis.call('HSET', key, field, this) end
  else
    if hits > 0 then redis.call('HINCRBY', key, 'h' .. string.format('%.0f', slice), hits) end
    if calls > 0 then redis.call('HINCRBY', key, 'c' .. string.format('%.0f', slice), calls) end
  end
  if sample ~= '' then redis.call('HSETNX', key, 'i' .. string.format('%.0f', slice), sample) end

  local fields, kept, gone = redis.call('HGETALL', key), {}, {}
  for at = 1, #fields, 2 do
    local letter, number = string.sub(fields[at], 1, 1), tonumber(string.sub(fields[at], 2))
    local old
    if letter == 'm' then old = number < minute - 1 else old = number <= slice - slices end
    if old then
      gone[#gone + 1] = fields[at]
    else
      kept[#kept + 1] = fields[at]
      kept[#kept + 1] = fields[at + 1]
    end
  end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
  redis.call('EXPIRE', key, keep)

  local count, some = 0, {}
  if #marks > 0 then
    local set = key .. ':marks'
    for _, mark in ipairs(marks) do redis.call('ZADD', set, 'GT', slice, mark) end
    redis.call('ZREMRANGEBYSCORE', set, '-inf', slice - slices)
    redis.call('ZREMRANGEBYRANK', set, 0, -MOST_MARKS - 1)
    redis.call('EXPIRE', set, keep)
    count = redis.call('ZCARD', set)
    some = redis.call('ZREVRANGE', set, 0, 4)
  end
  answers[index] = {kept, count, some}
end
return answers
