-- Add an envelope's events to the counters, once, together with its offset.
-- KEYS[1]: hash of offsets by partition.
-- ARGV[1]: partition field.  ARGV[2]: offset of the envelope.
-- ARGV[3]: JSON {groups: [[[bucket key, ...], field prefix], ...], events: [[group, seen key, bit, tasks, in, out], ...]}
-- ARGV[4]: JSON [seconds to keep per grain, ...].  ARGV[5]: seconds to remember a request record.
-- Returns {offset stored before, or -1; events counted; events seen before}.
local before = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '-1')
local offset = tonumber(ARGV[2])
if offset <= before then return {before, 0, 0} end

local work = cjson.decode(ARGV[3])
local sums, counted, repeated = {}, 0, 0
for _, event in ipairs(work.events) do
  local fresh = true
  if event[2] ~= '' then
    fresh = redis.call('SETBIT', event[2], event[3], 1) == 0
    redis.call('EXPIRE', event[2], ARGV[5])
  end
  if fresh then
    local sum = sums[event[1]]
    if not sum then
      sum = {0, 0, 0, 0}
      sums[event[1]] = sum
    end
    sum[1] = sum[1] + 1
    sum[2] = sum[2] + event[4]
    sum[3] = sum[3] + event[5]
    sum[4] = sum[4] + event[6]
    counted = counted + 1
  else
    repeated = repeated + 1
  end
end

local keep = cjson.decode(ARGV[4])
local measures = {'r', 't', 'i', 'o'}
for group, sum in pairs(sums) do
  local target = work.groups[group + 1]
  for grain, key in ipairs(target[1]) do
    for index, measure in ipairs(measures) do
      redis.call('HINCRBY', key, target[2] .. measure, string.format('%.0f', sum[index]))
    end
    redis.call('EXPIRE', key, keep[grain])
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return {before, counted, repeated}
