-- Take what the requests of a batch demand, one after the other: what one takes is gone for the next.
-- shared/decision/amounts.py is the same in Python; a test runs both side by side.
-- ARGV[1]: JSON [[request id, until (unix ms), [[key, kind, limit, width ms, extra, cost, enforced, name], ...]], ...]
-- ARGV[2]: 1 to take, 0 only to look.
-- Kinds: 1 sliding window, 2 token bucket (extra: its size), 3 calendar period (extra: its end, unix ms), 4 concurrent,
-- 5 once (by one request until extra, unix ms), 6 allowance (key: hash|field, width: calls a minute once it is spent,
-- extra: its end, unix ms); what is spent of it is counted by ledger.lua.
-- Returns JSON [now (unix microseconds), [[[left, ms until more is left, ms to wait or 0], ...], ...]].
-- A request takes all it demands or nothing; a demand that is not enforced never stops it.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
local PARTS = 20
local look = {}

-- each returns: fits, left before, ms until more is left, ms to wait, how to take it
look[1] = function(key, limit, width, _, cost)
  local part = math.ceil(width / PARTS)
  local current = math.floor(now / part)
  local flat = redis.call('HGETALL', key)
  local used, counts, gone = 0, {}, {}
  for i = 1, #flat, 2 do
    local index, count = tonumber(flat[i]), tonumber(flat[i + 1])
    if index < current - PARTS then
      gone[#gone + 1] = flat[i]
    else
      used = used + count
      counts[#counts + 1] = {index, count}
    end
  end
  table.sort(counts, function(a, b) return a[1] < b[1] end)
  local function leaves(index) return (index + PARTS + 1) * part - now end
  local reset, wait, freed = width, width, 0
  if counts[1] then reset = leaves(counts[1][1]) end
  for _, pair in ipairs(counts) do
    freed = freed + pair[2]
    if used - freed + cost <= limit then
      wait = leaves(pair[1])
      break
    end
  end
  return used + cost <= limit, limit - used, reset, wait, function()
    if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
    redis.call('HINCRBY', key, current, cost)
    redis.call('PEXPIRE', key, width + 2 * part)
  end
end

look[2] = function(key, limit, width, size, cost)
  local each = math.ceil(width * 1000 / limit)
  local full_at = math.max(tonumber(redis.call('GET', key) or 0), now_us)
  local after = full_at + cost * each
  local left = math.floor((size * each - (full_at - now_us)) / each)
  local wait = math.ceil((after - now_us - size * each) / 1000)
  local reset = math.ceil(math.min(each, math.max(full_at - now_us, 0)) / 1000)
  return after - now_us <= size * each, left, reset, cost > size and width or wait, function()
    -- a request may take from the same amount twice
    local then_full = math.max(tonumber(redis.call('GET', key) or 0), now_us) + cost * each
    redis.call('SET', key, string.format('%.0f', then_full), 'PX', math.max(1, math.ceil((then_full - now_us) / 1000)))
  end
end

look[3] = function(key, limit, _, ends, cost)
  local used = tonumber(redis.call('GET', key) or 0)
  local reset = math.max(ends - now, 1)
  return used + cost <= limit, limit - used, reset, reset, function()
    redis.call('INCRBY', key, cost)
    redis.call('PEXPIREAT', key, ends + 60000)
  end
end

look[4] = function(key, limit, _, _, _, id, ends)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  local used = redis.call('ZCARD', key)
  local held = redis.call('ZSCORE', key, id)
  return held or used < limit, limit - used, 1000, 1000, function()
    redis.call('ZADD', key, ends, id)
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    redis.call('PEXPIREAT', key, tonumber(last[2]) + 1000)
  end
end

look[5] = function(key, _, _, ends, _, id)
  local holder = redis.call('GET', key)
  local reset = math.max(ends - now, 1)
  return not holder or holder == id, holder and 0 or 1, reset, reset, function()
    redis.call('SET', key, id, 'PX', reset)
  end
end

look[6] = function(key, limit, rate, ends)
  local bar = string.find(key, '|', 1, true)
  local spent = tonumber(redis.call('HGET', string.sub(key, 1, bar - 1), string.sub(key, bar + 1)) or 0)
  local reset = math.max(ends - now, 1)
  local function nothing() end
  if spent < limit then return true, limit - spent, reset, reset, nothing end
  if rate == 0 then return false, 0, reset, reset, nothing end
  local fits, _, _, wait, take = look[1](key, rate, 60000, 0, 1)
  return fits, 0, reset, wait, take
end

-- what a request takes off the amount that is answered
local function taken(kind, cost)
  if kind == 6 then return 0 end
  return kind >= 4 and 1 or cost
end

local answers = {}
for number, request in ipairs(cjson.decode(ARGV[1])) do
  local admitted, seen = ARGV[2] == '1', {}
  for index, demand in ipairs(request[3]) do
    local fits, left, reset, wait, take = look[demand[2]](
      demand[1], demand[3], demand[4], demand[5], demand[6], request[1], request[2])
    seen[index] = {fits, left, reset, wait, take, taken(demand[2], demand[6])}
    if not fits and demand[7] then admitted = false end
  end
  local answer = {}
  for index, one in ipairs(seen) do
    local fits, left = one[1], one[2]
    if admitted and fits then
      one[5]()
      left = left - one[6]
    end
    answer[index] = {math.max(left, 0), one[3], fits and 0 or math.max(one[4], 1)}
  end
  answers[number] = answer
end
return string.format('[%.0f,', now_us) .. cjson.encode(answers) .. ']'
